"""A fault that is being tried in a world: what it spoils and demands ends with it."""

from __future__ import annotations

from collections.abc import Callable
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
        return self.oracle.must_hold(since, latches, within_s, fault=self.fault.name)

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
            self.oracle.well_again(self.t, self.fault.name)
        return wait
