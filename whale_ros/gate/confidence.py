"""Judge the world model's heartbeat: does it foretell well the scene that the camera shows now?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whale_ros.gate.check import Check, Now
from whale_ros.gate.config import GateConfig
from whale_ros.gate.watchdogs import Watchdog

IDENTICAL_LIMIT = 5  # bit-identical uncertainties of a moving scene: the model or camera is frozen
MOVED_M = 0.001
CARRIED_S = 1.05  # the world model repeats its last uncertainty so long over a gripper switch
# A quarter of the distance of features in -1 .. 1, and an entropy in shares of its maximum.
MAX_UNCERTAINTY = 0.25 * 2.0 + 1.0


@dataclass(frozen=True)
class Heartbeat:
    """What world_model/uncertainty says; `stamp` [s] is of the camera image that was judged.

    retraced: false where the uncertainty is that of an earlier image.
    """

    stamp: float
    ready: bool
    uncertainty: float
    threshold: float
    familiarity_error: float
    familiarity_threshold: float
    checkpoint: str
    message: str = ""
    retraced: bool = True


class Confidence:
    """`heartbeat` is the newest that counted, None before the first."""

    def __init__(self, config: GateConfig) -> None:
        self.heartbeat: Heartbeat | None = None
        self.watchdog = Watchdog(
            "heartbeat",
            config.heartbeat_timeout_s,
            config.heartbeat_max_image_age_s,
            config.future_tolerance_s,
        )
        self._identical = 0
        self._position: np.ndarray | None = None
        self._retraced_s = -math.inf  # stamp of the newest that was not carried over

    def feed(self, now: Now, heartbeat: Heartbeat, position: np.ndarray | None) -> str | None:
        """position (3,): of the end effector. None if the heartbeat counts, else why not.

        One that says that the model is not ready counts at once, but keeps nothing alive.
        """
        if not heartbeat.ready:
            self.heartbeat = heartbeat
            return None
        reason = self.watchdog.feed(now, heartbeat.stamp)
        if reason is None:
            if heartbeat.retraced:
                self._count_identical(heartbeat, position)
                self._retraced_s = heartbeat.stamp
            self.heartbeat = heartbeat
        return reason

    def forget(self, why: str) -> None:
        self.watchdog.forget(why)
        self.heartbeat, self._retraced_s = None, -math.inf
        self._identical, self._position = 0, None

    def checks(self, now: Now) -> list[Check]:
        return [self.watchdog.check(now), self._uncertainty(), self._familiarity()]

    def _uncertainty(self) -> Check:
        beat = self.heartbeat
        if beat is None:
            return Check("uncertainty", False, math.inf, math.nan, "no uncertainty yet")
        value, threshold = beat.uncertainty, beat.threshold
        if not beat.ready:
            message = f"the world model is not ready: {beat.message or 'no reason given'}"
            return Check("uncertainty", False, math.inf, threshold, message)
        if not 0 < value <= MAX_UNCERTAINTY:
            message = f"uncertainty {value:g} is impossible and counts as maximal"
            return Check("uncertainty", False, math.inf, threshold, message)
        if beat.stamp - self._retraced_s > CARRIED_S:
            message = "no image was retraced for too long: the uncertainty counts as maximal"
            return Check("uncertainty", False, math.inf, threshold, message)
        if self._identical >= IDENTICAL_LIMIT:
            message = (
                f"uncertainty was exactly {value:g} in {self._identical + 1} images "
                "of a moving arm and counts as maximal: is the camera frozen?"
            )
            return Check("uncertainty", False, math.inf, threshold, message)
        ok = bounds_uncertainty(threshold) and value <= threshold
        message = compare("uncertainty", value, threshold, MAX_UNCERTAINTY)
        return Check("uncertainty", ok, value, threshold, message)

    def _familiarity(self) -> Check:
        beat = self.heartbeat
        if beat is None:
            return Check("familiarity", False, math.inf, math.nan, "no familiarity error yet")
        value, threshold = beat.familiarity_error, beat.familiarity_threshold
        if not positive(value):
            message = f"familiarity error {value:g} is impossible and counts as maximal"
            if not beat.ready:
                message = "no familiarity error of a world model that is not ready"
            return Check("familiarity", False, math.inf, threshold, message)
        ok = positive(threshold) and value <= threshold
        message = compare("familiarity error of the camera image", value, threshold)
        return Check("familiarity", ok, value, threshold, message)

    def _count_identical(self, heartbeat: Heartbeat, position: np.ndarray | None) -> None:
        if self.heartbeat is None or heartbeat.uncertainty != self.heartbeat.uncertainty:
            self._identical, self._position = 0, position
        elif position is not None and (
            self._position is None or np.linalg.norm(position - self._position) > MOVED_M
        ):
            self._identical, self._position = self._identical + 1, position


def positive(value: float) -> bool:
    """Whether `value` is a number above zero; NaN and infinity are not."""
    return math.isfinite(value) and value > 0


def bounds_uncertainty(threshold: float) -> bool:
    """Whether some uncertainty lies above it: a threshold that nothing exceeds checks nothing."""
    return 0 < threshold < MAX_UNCERTAINTY


def compare(what: str, value: float, threshold: float, largest: float = math.inf) -> str:
    """One sentence on a value that should stay at or below a threshold, itself below `largest`."""
    if largest <= threshold < math.inf:
        return f"the threshold for {what} is {threshold:g}, which nothing exceeds: not calibrated"
    if not positive(threshold):
        return f"the threshold for {what} is {threshold:g}: not calibrated"
    return f"{what} {value:.4g}, limit {threshold:.4g}"
