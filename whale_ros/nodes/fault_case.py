"""A fault that is being tried on a running system, and the trial around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from whale_ros.faults.fault import Fault, Steps, run_together, union
from whale_ros.nodes.fault_processes import NotRunning
from whale_ros.nodes.fault_system import System

LATCHED_S = 1.8  # longer than what clears by itself would take
WITHIN_S = 0.8  # several faults at once begin so soon after one another


class Case:
    """What it spoils and demands ends with it."""

    def __init__(self, system: System, fault: Fault) -> None:
        self.system, self.fault = system, fault
        self._steps = fault.inject(self)

    @property
    def rng(self) -> Random:
        return self.system.rng

    def spoil(self, stream: str, kind: str, demand: dict | None = None, **order: Any) -> None:
        """By the relay, see `fault_players.Relay`; demand: what is due from then on, if not {}."""
        if demand is not None:
            order["demand"] = self._due(demand)
        order |= {"fault": self.fault.name, "stream": stream, "kind": kind}
        self.system.processes.tell("relay", **order)

    def demand(self, **demand: Any) -> None:
        """It must hold from now on; as `Oracle.must_hold` takes it, `after` so many seconds, or
        `briefly`: what counts is the clean second afterwards."""
        self.system.event("demand", self._due(demand))

    def demand_at_next_plan(self) -> None:
        self.system.event("demand at next plan", self._due({}))

    def expect(self, ok: Any, words: str) -> None:
        """What else must be seen; words say what was not."""
        if not ok:
            self.system.event("unmet", words)

    def _due(self, demand: dict) -> dict:
        return {"latches": self.fault.latches, "fault": self.fault.name, **demand}

    def go_on(self) -> float | None:
        """Seconds until it wants to go on; None when it is over."""
        wait = next(self._steps, None)
        if wait is None:
            now = time.time()  # before the relay ends it, or others would move too early
            self.system.processes.tell("relay", kind="none", fault=self.fault.name)
            self.system.log.write(now, "well again", self.fault.name)
        return wait

    def until(self, condition: Callable[[], Any], seconds: float) -> Steps:
        """Waits in steps; to be asked again for the condition afterwards."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not condition():
            yield 0.02


def try_at_once(system: System, faults: Sequence[Fault]) -> bool:
    """While the arm moves; whether it moves again afterwards, if need be after a reset."""
    moved = _moves_for_a_while(system)
    fault, alone = union(faults), len(faults) == 1
    system.event("fault", fault.name)
    cases = [Case(system, each) for each in faults]
    starts = [system.rng.uniform(0.0, 0.0 if alone else WITHIN_S) for _ in cases]
    try:
        run_together(cases, starts, time.monotonic, system.pause)
    except NotRunning as error:
        system.event("unmet", str(error))
    if fault.latches:
        system.pause(LATCHED_S)
        if system.is_latched():
            system.reset()
    recovered = moves = system.wait(system.moves, system.recovers_s)
    if not moves:  # it latched: rightly so only by something that several faults did together
        system.reset()
        moves = system.wait(system.moves, system.recovers_s)
        recovered = moves and not alone
    system.pause(system.begins_s)
    what = {"fault": fault.name, "holds": fault.required == "H", "latches": fault.latches}
    what |= {"moved": moved, "recovered": recovered, "alone": alone}
    what |= {"says": fault.says, "audited": system.audited}
    system.event("done", what)
    return moves


def _moves_for_a_while(system: System) -> bool:
    """On a busy machine an arm that has just begun to move may be held again, and latched."""
    end = time.monotonic() + system.recovers_s
    while time.monotonic() < end:
        if system.is_latched():
            system.reset()
        system.wait(system.moves, end - time.monotonic())
        system.pause(system.begins_s + system.rng.uniform(0.0, 0.5))
        if system.moves():
            return True
    return False
