"""Faults that are being tried in a world: what each spoils and demands ends with it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random

from whale_ros.faults.fault import Fault, Steps
from whale_ros.faults.oracle import Demand, Oracle
from whale_ros.faults.world import CYCLE_S, Filter, World


class Case:
    """alone: whether no other fault is tried at the same time."""

    def __init__(self, world: World, fault: Fault, alone: bool = True) -> None:
        self.world, self.fault, self.alone = world, fault, alone
        self._steps = fault.inject(self)
        self._spoiled: list[str] = []
        self._demands: list[Demand] = []

    @property
    def t(self) -> float:
        return self.world.t

    @property
    def rng(self) -> Random:
        return self.world.rng

    @property
    def oracle(self) -> Oracle:
        return self.world.oracle

    def spoil(self, stream: str, spoils: Filter) -> None:
        """Until the fault ends."""
        self.world.filters[stream] = spoils
        self._spoiled.append(stream)

    def must_hold(
        self, since: float | None = None, latches: bool | None = None, within_s: float = 0.0
    ) -> Demand:
        """From now on, or a time; until it ends, or until a reset if the fault latches."""
        since = self.t if since is None else since
        latches = self.fault.latches if latches is None else latches
        self._demands.append(self.oracle.must_hold(since, latches, within_s))
        return self._demands[-1]

    def must_have_held(self, latches: bool | None = None) -> None:
        """It is over as soon as it has begun: what counts is the clean second after it."""
        demand = self.must_hold(latches=latches)
        if not demand.latches:
            demand.over = self.t

    def until(self, condition: Callable[[], bool], seconds: float) -> Steps:
        """Waits in steps; to be asked again for the condition afterwards."""
        end = self.t + seconds
        while self.t < end and not condition():
            yield CYCLE_S

    def go_on(self) -> float | None:
        """Seconds until it wants to go on; None when it is over."""
        wait = next(self._steps, None)
        if wait is None:
            for stream in self._spoiled:
                del self.world.filters[stream]
            for demand in self._demands:
                if not demand.latches and demand.over is None:
                    demand.over = self.t
        return wait


def inject(world: World, faults: Sequence[Fault], within_s: float = 0.0) -> None:
    """Runs the world until all faults are over; each begins at a random time `within_s`."""
    cases = [Case(world, fault, alone=len(faults) == 1) for fault in faults]
    due = [(world.t + world.rng.uniform(0.0, within_s), i) for i in range(len(cases))]
    heapq.heapify(due)
    while due:
        at, i = heapq.heappop(due)
        world.run(at - world.t)
        wait = cases[i].go_on()
        if wait is not None:
            heapq.heappush(due, (world.t + wait, i))
