"""How long a plan may take, on a machine that may be slower than was thought."""

from __future__ import annotations

LEFT_STEPS = 2  # of a horizon, that a plan must at least be new
IMAGE_STEPS = 1  # of it, by which the newest image is older than the plan's beginning
MARGIN_S = 0.1


class Pace:
    """`steps` is how many actions are settled while a plan is made, of so many `candidates`.

    One that comes too late gives the next one a step more, as far as enough of the horizon is left:
    the arm then stands still between chunks, and moves. Where none is left, the next one has half
    as many candidates. One that would have done with a candidate more or with a step less takes
    that back.
    """

    def __init__(self, least: int, horizon: int, step_s: float, candidates: int) -> None:
        self.steps = self._least = least
        self.candidates = self._all = candidates
        self._most = max(least, horizon - LEFT_STEPS - IMAGE_STEPS)
        self._step_s = step_s

    @property
    def seconds(self) -> float:
        return self.steps * self._step_s

    def too_late(self) -> None:
        if self.steps == self._most:
            self.candidates = (self._all + 1) // 2
        self.steps = min(self.steps + 1, self._most)

    def in_time(self, took_s: float) -> None:
        """took_s: from asking to the answer."""
        if self.candidates < self._all:
            # A candidate takes less than its share: what they begin with is imagined only once.
            if took_s * (self.candidates + 1) / self.candidates < self.seconds - MARGIN_S:
                self.candidates += 1
        elif took_s < (self.steps - 1) * self._step_s - MARGIN_S:
            self.steps = max(self.steps - 1, self._least)
