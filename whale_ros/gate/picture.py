"""Notice a camera that repeats one picture, with stamps as fresh as ever, while the arm moves,
and one whose pictures become of another kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whale_ros.gate.check import Check

MOVED_M = 0.02  # a hand that moved so far must have changed the picture
MOVING_M = 0.001  # from one picture that counts to the next
REPEATS = 5


@dataclass(frozen=True)
class Picture:
    """An image without its pixels. pixels: a hash of them; step: bytes of a row; size: of all."""

    pixels: int
    height: int
    width: int
    encoding: str
    step: int
    size: int

    @property
    def kind(self) -> str:
        return f"{self.width} x {self.height} {self.encoding}"

    def why_bad(self) -> str | None:
        """Why it cannot be an image, or None."""
        if not (self.height and self.step >= self.width > 0):
            return f"its size is {self.kind} with rows of {self.step} bytes"
        if self.size != self.height * self.step:
            return f"it has {self.size} bytes, expected {self.height} rows of {self.step}"
        return None


class KindWatch:
    """Pictures stay of the kind of the first: the calibration is of that kind only."""

    def __init__(self) -> None:
        self._first = ""
        self._newest = ""

    def feed(self, picture: Picture) -> None:
        self._newest = picture.kind
        self._first = self._first or picture.kind

    def accept(self) -> None:
        """A person has seen the change; whether it is calibrated for, the world model judges."""
        self._first = self._newest

    def check(self) -> Check:
        same = self._newest == self._first
        message = f"pictures are {self._newest}"
        message += "" if same else f", the first ones were {self._first}"
        return Check("picture_kind", same, float(not same), 0.0, message, urgent=True)


class PictureWatch:
    """Counts how often one picture came while the hand moved, and how long a way it went.

    A camera that shows a hand at rest may repeat itself, and shows its start a little later: only
    pictures between which the hand moved count.
    """

    def __init__(self) -> None:
        self._picture: int | None = None
        self._repeats = 0
        self._way = 0.0  # of the hand since the counting began [m]
        self._last: np.ndarray | None = None  # where it was when the newest one counted
        self._frozen = ""

    def feed(self, picture: int, position: np.ndarray | None) -> None:
        """picture: a hash of its pixels. position: (3,) of the end effector [m]."""
        if picture != self._picture:
            self._frozen = ""
        moved = _distance(position, self._last)
        if picture != self._picture:
            self._picture, self._repeats, self._way, self._last = picture, 0, 0.0, position
        elif self._last is None:  # it came before the first pose
            self._last = position
        elif moved > MOVING_M:
            self._repeats, self._way, self._last = self._repeats + 1, self._way + moved, position

    def check(self, position: np.ndarray | None) -> Check:
        moved = self._way + _distance(position, self._last)
        if self._repeats >= REPEATS and moved > MOVED_M:  # until another picture comes
            self._frozen = f" while the hand moved {moved:.3f} m: it is frozen"
        message = f"the camera showed one picture {self._repeats + 1} times{self._frozen}"
        return Check("picture", not self._frozen, self._repeats, REPEATS, message)


def _distance(here: np.ndarray | None, there: np.ndarray | None) -> float:
    """0 where a position is not known [m]."""
    if here is None or there is None:
        return 0.0
    return float(np.linalg.norm(here - there))
