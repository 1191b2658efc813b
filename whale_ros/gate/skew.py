"""Do images and poses tell of the same moments?"""

from __future__ import annotations

from collections import deque

from whale_ros.gate.check import Check

REMEMBERED_POSES = 64
APART_S = 0.008  # closer poses are left out, so that those of half a second are remembered


class SkewWatch:
    """Compares each image's stamp with the nearest pose's among those that have come by then.

    One image is no proof: a gate that slept for a moment reads the image before the poses that
    waited beside it, and of those only the newest waits. So the check's value is what the last two
    images both exceed. An image that is older than the newest pose is only slow, not skewed, as
    long as a pose of its own moment came.
    """

    def __init__(self, max_skew_s: float) -> None:
        self.max_skew_s = max_skew_s
        self._poses: deque[float] = deque(maxlen=REMEMBERED_POSES)
        self._skews: deque[float] = deque(maxlen=2)

    def feed_pose(self, stamp: float) -> None:
        if not self._poses or abs(stamp - self._poses[-1]) >= APART_S:
            self._poses.append(stamp)

    def feed_image(self, stamp: float) -> None:
        if self._poses:
            self._skews.append(min(abs(stamp - pose) for pose in self._poses))

    def forget(self) -> None:
        self._poses.clear()
        self._skews.clear()

    def check(self) -> Check:
        skew = min(self._skews) if len(self._skews) == 2 else 0.0
        message = f"two images are {skew:.3f} s from the nearest pose, limit {self.max_skew_s:g} s"
        return Check("skew", skew <= self.max_skew_s, skew, self.max_skew_s, message)
