"""Try faults one after the other, or some at once, in random order, on gates in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from whale_ros.faults.case import Case
from whale_ros.faults.catalogue import FAULTS
from whale_ros.faults.fault import Fault, draw, run_together, union
from whale_ros.faults.oracle import Demand, Oracle, Violation
from whale_ros.faults.world import World
from whale_ros.gate.check import Now
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Gate

TRIALS_PER_GATE = 100
RECOVERS_S = 3.0
LATE_S = 0.02  # a cycle or two until the next command is seen
LATCHED_S = 1.8  # longer than what clears by itself would take
WITHIN_S = 0.8  # several faults at once begin so soon after one another

MakeGate = Callable[[GateConfig, Now], Gate]


@dataclass(frozen=True)
class Trial:
    """What was tried, and what came of it. latency_s: from the moment at which it could be noticed
    until zero; recovery_s: from its end, or the reset, until motion; None where nothing was
    demanded.

    fault: its name, or those of several. held: whether the arm stood when and for as long as it
    had to. recovered: whether it moved again, by itself or after a reset, as demanded. unmet: what
    else had to be seen and was not.
    """

    fault: str
    held: bool
    recovered: bool
    latency_s: float | None
    recovery_s: float | None
    unsafe: int
    violations: tuple[Violation, ...]
    unmet: tuple[str, ...] = ()


def read_trial(written: dict[str, Any]) -> Trial:
    """One that `asdict` made."""
    violations = tuple(Violation(**each) for each in written["violations"])
    return Trial(**{**written, "violations": violations, "unmet": tuple(written["unmet"])})


def trials(
    count: int, seed: int, make_gate: MakeGate = Gate, faults: Sequence[Fault] = FAULTS
) -> Iterator[Trial]:
    """`count` trials; every fault equally often as far as the worlds have what it needs."""
    rng = Random(seed)
    queues: dict[bool, list[Fault]] = {True: [], False: []}
    worlds = [e for e in (False, True) if any(fault.estop in (None, e) for fault in faults)]
    for number in range(count):
        if number % TRIALS_PER_GATE == 0:
            estop = worlds[number // TRIALS_PER_GATE % len(worlds)]
            world = World(make_gate, Random(rng.getrandbits(64)), estop)
        queue = queues[estop]
        if not queue:
            queue += [fault for fault in faults if fault.estop in (None, estop)]
            rng.shuffle(queue)
        yield try_at_once(world, [queue.pop()])


def combinations(
    seed: int, make_gate: MakeGate = Gate, faults: Sequence[Fault] = FAULTS
) -> Iterator[tuple[Fault, Trial]]:
    """Pairs and triples at random, without end, each with what it demands."""
    rng, number = Random(seed), 0
    while True:
        if number % TRIALS_PER_GATE == 0:
            estop = bool(number // TRIALS_PER_GATE % 2)
            world = World(make_gate, Random(rng.getrandbits(64)), estop)
        number += 1
        drawn = draw([f for f in faults if f.estop in (None, estop)], rng.choice([2, 3]), rng)
        yield union(drawn), try_at_once(world, drawn)


def try_at_once(world: World, faults: Sequence[Fault]) -> Trial:
    """While the arm moves; afterwards it moves again, if the gate lets it."""
    oracle, fault = world.oracle, union(faults)
    oracle.fault = "nothing"
    moves = world.run_until(lambda: oracle.moving, RECOVERS_S)
    world.run(world.rng.uniform(0.05, 0.6))
    oracle.fault = fault.name
    demands, unsafe, written = len(oracle.demands), oracle.unsafe, len(oracle.violations)
    cases = [Case(world, each, alone=len(faults) == 1) for each in faults]
    starts = [world.rng.uniform(0.0, 0.0 if case.alone else WITHIN_S) for case in cases]
    run_together(cases, starts, lambda: world.t, world.run)
    if any(demand.latches for demand in oracle.demands[demands:]):
        world.run(LATCHED_S)
        _reset(world)
    recovered = world.run_until(lambda: oracle.moving, RECOVERS_S)
    if not recovered:  # it latched: rightly so only by something that several faults did together
        _reset(world)
        again = world.run_until(lambda: oracle.moving, RECOVERS_S)
        recovered = again and len(faults) > 1
    world.run(0.05)
    what = {"fault": fault.name, "holds": fault.required == "H", "latches": fault.latches}
    what |= {"moved": moves, "recovered": recovered, "alone": len(faults) == 1}
    return verdict(oracle, what, demands, unsafe, written)


def verdict(
    oracle: Oracle,
    what: dict[str, Any],
    demands: int,
    unsafe: int,
    written: int,
    unmet: tuple[str, ...] = (),
) -> Trial:
    """what: fault; holds and latches, as it has to; moved before, and recovered afterwards; alone,
    or else whether it latches depends on which of several faults came first.

    demands, unsafe, written: how many demands, unsafe commands and violations there were before.
    """
    made = oracle.demands[demands:]
    stopped = [demand for demand in made if demand.was_moving]
    first = min(stopped, key=lambda demand: (not demand.declared, demand.since), default=None)
    held = not what["holds"] or (
        what["moved"]
        and (not what["alone"] or any(demand.latches == what["latches"] for demand in made))
        and all(d.latency_s is not None for d in made if d.declared or d.was_moving)
        and not any(demand.declared and _is_late(demand) for demand in stopped)
    )
    oracle.end_trial()
    recoveries = [demand.recovery_s for demand in made if demand.recovery_s is not None]
    return Trial(
        what["fault"],
        held,
        what["recovered"],
        first.latency_s if first else None,
        max(recoveries, default=None),
        oracle.unsafe - unsafe,
        tuple(oracle.violations[written:]),
        unmet,
    )


def _is_late(demand: Demand) -> bool:
    """Also where nothing was commanded: who is silent does not hold."""
    return demand.latency_s is not None and demand.latency_s > demand.within_s + LATE_S


def _reset(world: World) -> None:
    """A person tries until the gate grants it."""
    world.run_until(world.reset, RECOVERS_S)
