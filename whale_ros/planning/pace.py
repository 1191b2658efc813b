"""How long a plan may take, on a machine that may be slower than was thought."""

from __future__ import annotations

LEFT_STEPS = 2  # of a horizon, that a plan must at least be new
IMAGE_STEPS = 1  # of it, by which the newest image is older than the plan's beginning
MARGIN_S = 0.1


class Pace:
    """`steps` is how many actions are settled while a plan is made.

    One that comes too late gives the next one a step more, as far as enough of the horizon is left:
    the arm then stands still between chunks, and moves. One that would have done with a step less
    takes it back, down to `least`.
    """

    def __init__(self, least: int, horizon: int, step_s: float) -> None:
        self.steps = self._least = least
        self._most = max(least, horizon - LEFT_STEPS - IMAGE_STEPS)
        self._step_s = step_s

    @property
    def seconds(self) -> float:
        return self.steps * self._step_s

    def too_late(self) -> None:
        self.steps = min(self.steps + 1, self._most)

    def in_time(self, took_s: float) -> None:
        """took_s: from asking to the answer."""
        if took_s < (self.steps - 1) * self._step_s - MARGIN_S:
            self.steps = max(self.steps - 1, self._least)
