"""Compare ROS time with the steady clock: stamps mean nothing when it jumps or stands still."""

from __future__ import annotations

from whale_ros.gate.check import Check, Now

JUMP_S = 0.05
LATCH_S = 1.0  # nobody adjusts a running clock by so much without a reason
STANDSTILL_S = 0.2
ROUNDING_S = 1e-6  # of seconds since 1970 in floating point


class ClockWatch:
    """Looks at both clocks once a cycle; `jump_s` is by how much ROS time left the steady clock
    between the last two looks [s]."""

    def __init__(self, now: Now) -> None:
        self.jump_s = 0.0
        self._last = now
        self._advanced = now.steady  # when ROS time was last seen to advance

    def look(self, now: Now) -> None:
        before, self._last = self._last, now
        self.jump_s = 0.0
        if before.ros > 0:  # simulated time is 0 until the first message on /clock
            self.jump_s = (now.ros - before.ros) - (now.steady - before.steady)
        if abs(now.ros - before.ros) > ROUNDING_S:
            self._advanced = now.steady

    @property
    def jumped(self) -> bool:
        return not abs(self.jump_s) <= JUMP_S

    def checks(self) -> list[Check]:
        still_s = self._last.steady - self._advanced
        stands = f"ROS time has stood still for {still_s:.3f} s, limit {STANDSTILL_S:g} s"
        jump = (
            f"ROS time jumped by {self.jump_s:+.3f} s, limit {JUMP_S:g} s "
            "(simulated time must come on /clock 50 times a second)"
        )
        return [
            Check("clock", still_s <= STANDSTILL_S, still_s, STANDSTILL_S, stands),
            Check("clock_jump", not self.jumped, abs(self.jump_s), JUMP_S, jump, urgent=True),
        ]
