"""An emergency stop that says twenty times a second or more that it is not pressed."""

from __future__ import annotations

import math

from whale_ros.gate.check import Check, Now


class EStop:
    """Pressed is what says so, and what has not said otherwise for `timeout_s`."""

    def __init__(self, topic: str, timeout_s: float) -> None:
        self.topic = topic
        self.timeout_s = timeout_s
        self.was_heard = False
        self._pressed = False
        self._arrival = -math.inf

    def feed(self, now: Now, pressed: bool) -> None:
        self.was_heard, self._pressed, self._arrival = True, pressed, now.steady

    def check(self, now: Now) -> Check:
        age = now.steady - self._arrival
        if self._pressed:
            ok, message = False, f"the e-stop on {self.topic} is pressed"
        elif not self.was_heard:
            ok, message = False, f"no e-stop was heard on {self.topic}: counts as pressed"
        else:
            ok = 0.0 <= age <= self.timeout_s
            message = f"the e-stop on {self.topic} was heard {age:.3f} s ago"
            message += "" if ok else f", limit {self.timeout_s:g} s: counts as pressed"
        return Check("estop", ok, age, self.timeout_s, message, urgent=True)
