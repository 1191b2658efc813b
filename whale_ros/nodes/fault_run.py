"""Try all faults on running systems, round by round, and keep what is known as it goes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from random import Random

from whale_ros.faults.fault import Fault, draw, union
from whale_ros.faults.judge import SYSTEM_LIMITS, audited, judge, read_events
from whale_ros.faults.trial import Trial
from whale_ros.nodes import fault_catalogue, fault_gate, fault_machine, fault_model, fault_network
from whale_ros.nodes.fault_case import try_at_once
from whale_ros.nodes.fault_processes import NotRunning
from whale_ros.nodes.fault_system import System, TwoWitnesses

STARTS = 3  # tries in a row


@dataclass(frozen=True)
class Phase:
    """Faults that need the same kind of system. why_not: why there can be none here, or ""; every:
    in each how-manyth round they are tried, for those that take long; apart: in a process of its
    own, because the middleware keeps in mind which networks a process had.
    """

    name: str
    faults: Sequence[Fault]
    make: Callable[[Path, int], System] = System
    why_not: Callable[[], str] = lambda: ""
    every: int = 1
    apart: bool = False


def with_estop(output: Path, seed: int) -> System:
    return System(output, seed, estop=True)


PHASES = [
    Phase("arm", [*fault_catalogue.FAULTS, *fault_gate.FAULTS]),
    Phase("estop", fault_gate.ESTOP_FAULTS, with_estop),
    Phase("killed", fault_gate.KILLS, TwoWitnesses),
    Phase("processor", fault_machine.PROCESSOR, System, fault_machine.why_no_priority),
    Phase("disk", fault_machine.DISK, fault_machine.SmallDisk, fault_machine.why_no_disk),
    Phase(
        "cable",
        fault_network.CABLE,
        fault_network.TwoMachines,
        fault_network.why_no_cable,
        apart=True,
    ),
    Phase("model", fault_model.FAULTS, fault_model.RealModel, every=2),
    Phase("clock", fault_machine.CLOCK, fault_machine.SimulatedTime),
]
TOGETHER = Phase(
    "together",
    [*fault_catalogue.FAULTS, *fault_gate.FAULTS, *fault_gate.ESTOP_FAULTS],
    with_estop,
)


def try_round(
    phase: Phase, folder: Path, seed: int, tell: Callable[[str], None]
) -> Iterator[Trial]:
    """Each fault once, in random order. Raises NotRunning if no system can be started."""
    if phase.apart:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            yield from process.submit(_try_phase, phase.name, folder, seed).result()
        for fault in phase.faults:
            tell(fault.name)
        return
    order = [[fault] for fault in phase.faults]
    Random(f"{seed} {phase.name}").shuffle(order)
    yield from _try_all(phase, folder, seed, iter(order), tell)


def _try_phase(name: str, folder: Path, seed: int) -> list[Trial]:
    """Raises NotRunning."""
    phase = next(phase for phase in PHASES if phase.name == name)
    return list(try_round(replace(phase, apart=False), folder, seed, lambda _: None))


def try_together(
    folder: Path, seed: int, seconds: float, tell: Callable[[str], None]
) -> Iterator[tuple[Fault, Trial]]:
    """Pairs and triples for so long."""
    rng, end, unions = Random(seed), time.monotonic() + seconds, {}

    def drawn() -> Iterator[list[Fault]]:
        while time.monotonic() < end:
            faults = draw(TOGETHER.faults, rng.choice([2, 3]), rng)
            unions[union(faults).name] = union(faults)
            yield faults

    for trial in _try_all(TOGETHER, folder, seed, drawn(), tell):
        yield unions[trial.fault], trial


def _try_all(
    phase: Phase,
    folder: Path,
    seed: int,
    order: Iterator[list[Fault]],
    tell: Callable[[str], None],
) -> Iterator[Trial]:
    """Another system is started where the arm does not move again; that is a trial missed.

    What a system wrote is kept only where something was not as it should be.
    """
    left = next(order, None)
    systems = failed = 0
    while left is not None:
        part = folder / str(systems)
        systems += 1
        system = phase.make(part, seed + systems)
        moves = True
        try:
            system.start()
            failed = 0
            while left is not None and moves:
                moves = try_at_once(system, left)
                tell(union(left).name)
                left = next(order, None)
        except NotRunning:
            failed += 1
            if failed == STARTS:
                raise
        finally:
            system.close()
        events = read_events(part / "events")
        events += audited(system.audit_log) if system.audited else []
        events.sort(key=lambda event: event[0])
        tried = list(judge(events, SYSTEM_LIMITS))
        yield from tried
        if tried and moves and not any(_is_odd(trial) for trial in tried):
            shutil.rmtree(part)


def _is_odd(trial: Trial) -> bool:
    return bool(trial.unsafe or trial.unmet) or not (trial.held and trial.recovered)


def available(phases: Iterable[Phase]) -> tuple[list[Phase], dict[str, str]]:
    """Those that can be tried here, and why not of the others."""
    reasons = {phase.name: phase.why_not() for phase in phases}
    return [p for p in phases if not reasons[p.name]], {n: why for n, why in reasons.items() if why}
