"""Trip after some bad cycles in a row, or an urgent one; release after many good ones."""

from __future__ import annotations

from collections.abc import Iterable

from whale_ros.gate.check import Check


class Debounce:
    """Starts tripped: nothing moves before `release_cycles` good cycles in a row."""

    def __init__(self, trip_cycles: int, release_cycles: int) -> None:
        self.trip_cycles = trip_cycles
        self.release_cycles = release_cycles
        self.tripped = True
        self.good = 0
        self._bad: dict[str, int] = {}

    def update(self, checks: Iterable[Check]) -> list[Check]:
        """Count one cycle; returns the checks that fail in it."""
        failing = [check for check in checks if not check.ok]
        self._bad = {check.name: self._bad.get(check.name, 0) + 1 for check in failing}
        self.good = 0 if failing else self.good + 1
        urgent = any(check.urgent for check in failing)
        if urgent or any(count >= self.trip_cycles for count in self._bad.values()):
            self.tripped = True
        elif self.good >= self.release_cycles:
            self.tripped = False
        return failing
