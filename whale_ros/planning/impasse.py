"""What a planner does when no candidate passes."""

from __future__ import annotations

REACTIONS = ("hold", "widen", "ask")
WIDENED = 2.0  # times as far around as usual


class Impasse:
    """hold: the arm holds and the next plan is made as usual. widen: look further around once.
    ask: that too, and if it did not help plan no more until an operator says so.
    """

    def __init__(self, reaction: str) -> None:
        self._reaction = reaction
        self._failures = 0

    @property
    def width(self) -> float:
        """How far around to look in the next plan, 1 as usual."""
        return WIDENED if self._reaction != "hold" and self._failures == 1 else 1.0

    @property
    def waits_for_operator(self) -> bool:
        return self._reaction == "ask" and self._failures > 1

    def decided(self, passed: bool) -> None:
        """Take note of a plan: whether any of its candidates passed."""
        self._failures = 0 if passed else self._failures + 1

    def go_on(self) -> None:
        """An operator says so."""
        self._failures = 0
