"""Notice a camera that repeats one picture, with stamps as fresh as ever, while the arm moves."""

from __future__ import annotations

import numpy as np

from whale_ros.gate.check import Check

MOVED_M = 0.02  # a hand that moved so far must have changed the picture
REPEATS = 5


class PictureWatch:
    """Counts how often the present picture came, and how far the hand went meanwhile."""

    def __init__(self) -> None:
        self._picture: int | None = None
        self._repeats = 0
        self._position: np.ndarray | None = None  # when this picture first came

    def feed(self, picture: int, position: np.ndarray | None) -> None:
        """picture: a hash of its pixels. position: (3,) of the end effector [m]."""
        if picture != self._picture:
            self._picture, self._repeats, self._position = picture, 0, position
        else:
            self._repeats += 1

    def check(self, position: np.ndarray | None) -> Check:
        moved = 0.0
        if position is not None and self._position is not None:
            moved = float(np.linalg.norm(position - self._position))
        ok = self._repeats < REPEATS or moved <= MOVED_M
        message = f"the camera showed one picture {self._repeats + 1} times"
        if not ok:
            message += f" while the hand moved {moved:.3f} m: it is frozen"
        return Check("picture", ok, self._repeats, REPEATS, message)
