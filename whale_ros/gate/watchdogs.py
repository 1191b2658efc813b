"""Watch that a stream of stamped messages stays alive."""

from __future__ import annotations

import math

from whale_ros.gate.check import Check, Now


class Watchdog:
    """Ages of one stream: time-out on the steady clock, sanity of stamps on ROS time."""

    def __init__(
        self, name: str, timeout_s: float, max_stamp_age_s: float, future_tolerance_s: float
    ) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self.max_stamp_age_s = max_stamp_age_s
        self.future_tolerance_s = future_tolerance_s
        self.stamp = math.nan
        self._arrival = -math.inf
        self._dropped = ""
        self._forgotten = ""

    def feed(self, now: Now, stamp: float, why_bad: str | None = None) -> str | None:
        """Take a message's stamp [s]; None if it counts, else why it is dropped.

        `why_bad` is what its reader found wrong with the rest of the message.
        """
        reason = why_bad or self._why_bad_stamp(now, stamp)
        if reason is None:
            self.stamp, self._arrival = stamp, now.steady
        self._dropped = reason or ""
        return reason

    def forget(self, why: str) -> None:
        """What came before counts no longer."""
        self.stamp, self._arrival = math.nan, -math.inf
        self._forgotten = f" since {why}"

    def age(self, now: Now) -> float:
        """Seconds since the newest message that counted; infinite before the first."""
        return now.steady - self._arrival

    def check(self, now: Now) -> Check:
        age = self.age(now)
        if math.isinf(age):
            message = f"no {self.name} message{self._forgotten or ' yet'}"
        else:
            message = f"newest {self.name} message is {age:.3f} s old, limit {self.timeout_s:g} s"
        if self._dropped:
            message += f"; dropped one: {self._dropped}"
        return Check(self.name, 0.0 <= age <= self.timeout_s, age, self.timeout_s, message)

    def _why_bad_stamp(self, now: Now, stamp: float) -> str | None:
        if not math.isfinite(stamp) or stamp <= 0.0:
            return "its stamp is zero"
        age = now.ros - stamp
        if age < -self.future_tolerance_s:
            return f"its stamp is {-age:.3f} s in the future"
        if age > self.max_stamp_age_s:
            return f"its stamp is {age:.3f} s old, limit {self.max_stamp_age_s:g} s"
        # After a time-out the history is void, or a clock set back would shut this out for long.
        if stamp <= self.stamp and self.age(now) <= self.timeout_s:
            return "its stamp is not newer than the one before"
        return None
