"""An arm, a camera, a world model and a planner around a gate, in simulated time."""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from whale_ros.faults.oracle import Approval, Limits, Oracle
from whale_ros.gate.check import Now
from whale_ros.gate.chunk import Chunk
from whale_ros.gate.confidence import Heartbeat
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Gate, Mode
from whale_ros.gate.picture import Picture
from whale_ros.gate.pose import Pose

EPOCH = 1_700_000_000.0
CYCLE_S = 0.01
PERIODS = {"camera": 0.1, "pose": 0.025, "estop": 0.02, "chunk": 0.5}
LATENCIES = {"camera": 0.05, "pose": 0.004, "heartbeat": 0.18, "estop": 0.002, "chunk": 0.01}
DEAD_MAN_S = 0.1  # of the arm
STEP_S = 0.2
NEAR = np.array([-0.25, 0.45, 0.10]), np.array([0.25, 0.85, 0.35])  # where the planner goes

Filter = Callable[[Any], list[Any]]


class World:
    """Runs a gate cycle by cycle. A filter of a stream sees each message as it arrives and says
    what reaches the gate; what it hands on as it was counts as good."""

    def __init__(self, make_gate: Callable[[GateConfig, Now], Gate], rng: Random, estop: bool):
        self.rng = rng
        self.config = GateConfig(estop_topic="estop" if estop else "")
        self.oracle = Oracle(Limits())
        self.t = 1000.0
        self.ros_offset = EPOCH
        self.ros_stopped: float | None = None
        self.awake_s = 0.0  # that the gate was not asleep
        self.loss = 0.0  # share of messages that do not arrive
        self.filters: dict[str, Filter] = {}
        self.planning = True
        self.session = "s0"
        self.sent: list[Chunk] = []
        self.position = np.array([0.0, 0.6, 0.2])
        self.told_position = self.position  # by the newest good pose that reached the gate
        self._make_gate = make_gate
        self._twist = np.zeros(6)
        self._commanded = -math.inf
        self._target, self._speed = self.position, 0.1
        self._sequence = 0
        self._pictures = 0
        self._queue: list[tuple[float, int, str, Any]] = []
        self._pushed = 0
        self._due = {stream: self.t for stream in PERIODS if estop or stream != "estop"}
        self.gate = make_gate(self.config, self.now)

    @property
    def now(self) -> Now:
        return Now(self.t, self.ros(self.t))

    def ros(self, steady: float) -> float:
        return self.ros_offset + steady if self.ros_stopped is None else self.ros_stopped

    def run(self, seconds: float) -> None:
        end = self.t + seconds
        while self.t < end:
            self.cycle()

    def run_until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Whether the condition came to hold in time."""
        end = self.t + seconds
        while self.t < end:
            if condition():
                return True
            self.cycle()
        return bool(condition())

    def cycle(self, late_s: float = 0.0) -> None:
        """What happens until the gate's next cycle, and that cycle."""
        jitter = self.rng.random() ** 4 * 0.008
        end = self.t + CYCLE_S * 0.9 + jitter + late_s
        self.awake_s += end - self.t if not late_s else 0.0
        waiting = self._arrivals(end, newest_only=late_s > 0)
        for time, stream, message in waiting:
            self._move(time)
            self._arrive(stream, message)
        self._move(end)
        command, _status = self.gate.cycle(self.now)
        self.oracle.command(self.t, self.now.ros, command.twist, self.position)
        self._twist, self._commanded = command.twist, self.t

    def sleep(self, seconds: float) -> None:
        """The gate does not run; of what comes meanwhile it finds the newest afterwards."""
        self.oracle.slept(self.t + seconds)
        self.cycle(late_s=seconds)

    def restart_gate(self, mode: str = "gate") -> None:
        self.gate = self._make_gate(self.config, self.now)
        self.gate.set_mode(self.now, mode)
        self.oracle.restarted()

    def reset(self) -> bool:
        """A person lets the arm move again. Whether the gate granted it."""
        granted = self.gate.reset(self.now) is None
        if granted:
            if self.gate.mode is Mode.HOLD:
                self.gate.set_mode(self.now, "gate")
            self.oracle.reset(self.t)
        return granted

    def jump(self, seconds: float) -> None:
        """ROS time does."""
        self.ros_offset += seconds

    # ---- messages

    def push(self, stream: str, message: Any, delay_s: float) -> None:
        self._pushed += 1
        heapq.heappush(self._queue, (self.t + delay_s, self._pushed, stream, message))

    def chunk(self, actions: np.ndarray | None = None, **change: Any) -> Chunk:
        """Approved now; (H, 7) actions, on the way to the planner's target if not given."""
        self._sequence += 1
        actions = self._plan() if actions is None else actions
        now = self.now.ros
        values = dict(
            id=f"chunk {self._sequence}",
            session=self.session,
            sequence=self._sequence,
            stamp=now,
            expiry=now + 1.5,
            start=now,
            frame=self.config.frame,
            action_space=self.config.action_space.signature,
            step_s=STEP_S,
            horizon=len(actions),
            dim=actions.shape[1] if actions.ndim == 2 else 0,
            numbers=actions.ravel().tolist(),
            uncertainty=0.2,
            threshold=0.5,
            checkpoint="abc",
        )
        return Chunk(**{**values, **change})

    def send(self, chunk: Chunk) -> str | None:
        """To the gate at once, and unknown to the oracle: nothing explains what it moves."""
        return self.gate.on_chunk(self.now, chunk)

    def approve(self, chunk: Chunk) -> str | None:
        """To the gate at once, and it may move the arm."""
        self.sent = [*self.sent[-20:], chunk]
        since = self.t - (self.now.ros - chunk.stamp)
        self.oracle.approved(
            Approval(since, chunk.start, chunk.expiry, STEP_S, chunk.actions[:, :6] / STEP_S)
        )
        return self.gate.on_chunk(self.now, chunk)

    def picture(self, **change: Any) -> Picture:
        self._pictures += 1
        return dataclasses.replace(Picture(self._pictures, 128, 128, "rgb8", 384, 49152), **change)

    def _arrivals(self, end: float, newest_only: bool) -> list[tuple[float, str, Any]]:
        for stream, due in self._due.items():
            while due <= end:
                self._make(stream, due)
                due += PERIODS[stream]
            self._due[stream] = due
        arrivals = []
        while self._queue and self._queue[0][0] <= end:
            time, _, stream, message = heapq.heappop(self._queue)
            arrivals.append((max(time, self.t), stream, message))
        if newest_only:  # what came while the gate slept is read after its timer
            newest = {stream: message for _, stream, message in arrivals}
            for stream, message in newest.items():
                self._pushed += 1
                heapq.heappush(self._queue, (end, self._pushed, stream, message))
            return []
        return arrivals

    def _make(self, stream: str, due: float) -> None:
        """A message that is stamped when it is due and arrives later."""
        ros = self.ros(due)
        message: Any = False
        if stream == "camera":
            message = (ros, self.picture())
        elif stream == "pose":
            quaternion = np.array([1.0, 0.0, 0.0, 0.0])
            message = Pose(ros, self.config.frame, self.position.copy(), quaternion)
        elif stream == "chunk":
            message = None  # planned when it arrives
        self.push(stream, message, due - self.t + self._latency(stream))

    def _latency(self, stream: str) -> float:
        return LATENCIES[stream] * self.rng.uniform(0.5, 1.0)

    def _arrive(self, stream: str, message: Any) -> None:
        if self.loss and stream != "estop" and self.rng.random() < self.loss:
            return
        if stream == "chunk" and message is None:
            if self.planning:
                self._filtered(stream, self.chunk())
        elif isinstance(message, _Delayed):
            self._hand_over(stream, message.message, good=False)
        else:
            self._filtered(stream, message)

    def _filtered(self, stream: str, message: Any) -> None:
        for passed in self.filters.get(stream, _pass)(message):
            self._hand_over(stream, passed, good=passed is message)

    def delay(self, stream: str, message: Any, seconds: float) -> None:
        """It arrives later, past all filters, and counts for nothing good."""
        self.push(stream, _Delayed(message), seconds)

    def good(self, stream: str, message: Any) -> None:
        """Nothing is wrong with this message by itself, wherever it goes."""
        self.oracle.heard(self.t, stream)
        if stream == "camera":
            self.push("heartbeat", self._beat(message[0]), self._latency("heartbeat"))

    def _hand_over(self, stream: str, message: Any, good: bool) -> None:
        now = self.now
        if good:
            self.good(stream, message)
        if stream == "camera":
            self.gate.on_camera(now, *message)
        elif stream == "pose":
            self.told_position = message.position if good else self.told_position
            self.gate.on_pose(now, message)
        elif stream == "heartbeat":
            self.gate.on_heartbeat(now, message)
        elif stream == "estop":
            self.gate.on_estop(now, message)
        else:
            self.approve(message)

    def _beat(self, stamp: float) -> Heartbeat:
        uncertainty = self.rng.uniform(0.05, 0.4)
        return Heartbeat(stamp, True, uncertainty, 0.5, 0.1, 0.3, "abc")

    # ---- arm and planner

    def _move(self, time: float) -> None:
        driven = min(time, self._commanded + DEAD_MAN_S) - self.t
        self.position = self.position + self._twist[:3] * max(0.0, driven)
        self.t = time

    def _plan(self) -> np.ndarray:
        """(5, 7): straight towards a target, to another one when it is near."""
        if np.linalg.norm(self._target - self.position) < 0.03:
            low, high = NEAR
            while np.linalg.norm(self._target - self.position) < 0.2:
                random = np.array([self.rng.random() for _ in range(3)])
                self._target = low + random * (high - low)
            self._speed = self.rng.uniform(0.06, 0.2)
        way = self._target - self.position
        length = float(np.linalg.norm(way))
        step = way / length * min(self._speed * STEP_S, length / 5)
        turn = self.rng.uniform(-0.05, 0.05)
        return np.tile([*step, 0.0, 0.0, turn, self.rng.random()], (5, 1))


@dataclasses.dataclass(frozen=True)
class _Delayed:
    message: Any


def _pass(message: Any) -> list[Any]:
    return [message]
