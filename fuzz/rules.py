"""What must be true of the gate whatever comes: an account of its own, of inputs and commands."""

from __future__ import annotations

import numpy as np

from whale_ros.gate.check import Now
from whale_ros.gate.chunk import Chunk
from whale_ros.gate.confidence import Heartbeat
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Command, Mode, State, Status

SLACK = 1.0001


class Rules:
    """Told what the gate took and what was asked of it; `cycle` asserts that it may command so."""

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self.latched = False
        self.others = False  # publish commands too
        self._limits = {
            "camera": config.camera_timeout_s,
            "pose": config.pose_timeout_s,
            "heartbeat": config.heartbeat_timeout_s,
        }
        if config.estop_topic:
            self._limits["estop"] = config.estop_timeout_s
        self._alive = dict.fromkeys(self._limits, -np.inf)  # steady
        self._missing = dict.fromkeys([*self._limits, "confidence"], 0)  # cycles in a row
        self._unsure = True
        self._approved: Chunk | None = None  # since the last hold
        self._twist = np.zeros(6)  # of the last cycle, None if that was in another mode
        self._mode = Mode.GATE

    # ---- what happens

    def heard(self, stream: str, now: Now, reason: str | None) -> None:
        assert reason is None or reason, "it says why"
        if reason is None:
            self._alive[stream] = now.steady

    def beat(self, now: Now, beat: Heartbeat, reason: str | None) -> None:
        if beat.ready:
            self.heard("heartbeat", now, reason)
        if reason is None:
            sure = 0 < beat.uncertainty <= beat.threshold < 1.5  # the largest there can be
            familiar = 0 < beat.familiarity_error <= beat.familiarity_threshold < np.inf
            self._unsure = not (beat.ready and sure and familiar)

    def chunk(self, chunk: Chunk, reason: str | None) -> None:
        assert reason is None or reason, "it says why"
        if reason is None:
            assert not self.latched, "nothing is approved after a latch"
            self._approved = chunk

    def latch(self) -> None:
        self.latched, self._approved = True, None

    def reset(self, refused: str | None) -> None:
        if self.latched and refused is None:
            self.latched, self._approved = False, None

    def mode_was_set(self) -> None:
        self._approved = None

    # ---- what must be true

    def cycle(self, now: Now, command: Command, status: Status) -> None:
        self._count_missing(now)
        _check_numbers(command)
        assert bool(status.reason) != (status.state is State.EXECUTING), "it says why"
        if self.latched:
            assert status.state is State.LATCHED, "only a reset ends a latch"
        self.latched = status.state is State.LATCHED
        if status.state is State.EXECUTING:
            self._may_execute(now, command, status)
        else:
            self._approved = None
            assert not command.twist.any() and command.gripper is None, "zero unless it executes"
        self._twist, self._mode = command.twist, status.mode

    def _count_missing(self, now: Now) -> None:
        for stream, limit in self._limits.items():
            missing = now.steady - self._alive[stream] > limit
            self._missing[stream] = self._missing[stream] + 1 if missing else 0
        self._missing["confidence"] = self._missing["confidence"] + 1 if self._unsure else 0

    def _may_execute(self, now: Now, command: Command, status: Status) -> None:
        chunk = self._approved
        assert chunk is not None and status.chunk_id == chunk.id, "moved by what was not approved"
        assert now.ros < chunk.expiry, "moved by what has expired"
        assert status.mode is not Mode.HOLD
        assert not self.others, "moved though somebody else commands"
        if "estop" in self._missing:
            assert not self._missing["estop"], "moved though the e-stop is silent"
        if status.mode is Mode.MONITOR_ONLY:
            return
        for what, cycles in self._missing.items():
            assert cycles < self.config.trip_cycles, f"moved though {what} is missing"
        linear, angular = command.twist[:3], command.twist[3:]
        assert np.linalg.norm(linear) <= self.config.max_linear_speed * SLACK
        assert np.linalg.norm(angular) <= self.config.max_angular_speed * SLACK
        if self._mode is Mode.GATE:
            seconds = 2 * self.config.cycle_s * SLACK
            change = command.twist - self._twist
            assert np.linalg.norm(change[:3]) <= self.config.max_linear_acceleration * seconds
            assert np.linalg.norm(change[3:]) <= self.config.max_angular_acceleration * seconds


def _check_numbers(command: Command) -> None:
    assert command.twist.shape == (6,) and np.isfinite(command.twist).all()
    assert command.gripper is None or 0 <= command.gripper <= 1
    assert (command.position is None) == (command.quaternion is None)
    if command.position is not None and command.quaternion is not None:
        assert np.isfinite(command.position).all()
        assert abs(np.linalg.norm(command.quaternion) - 1) < 2e-3
