"""The gate's decisions under any inputs, in any order, at any time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fuzz.draw import Draw
from fuzz.rules import Rules
from whale_ros.gate.check import Now
from whale_ros.gate.chunk import Chunk
from whale_ros.gate.confidence import Heartbeat
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Gate
from whale_ros.gate.picture import Picture
from whale_ros.gate.pose import Pose

EPOCH = 1_700_000_000.0
STREAMS = ("camera", "pose", "heartbeat", "estop")
MODES = ("gate", "hold", "monitor_only", "GATE", "")
BIG = 2**32 - 1
PICTURES: dict[str, tuple] = {
    "pixels": (0, 1),
    "height": (0, 1, 64, BIG),
    "width": (0, 64, BIG),
    "encoding": ("", "mono8"),
    "step": (0, 384, BIG),
    "size": (0, 49152, BIG),
}
WAITS = (0.0, 0.05, 0.09, 0.11, 0.3, 2.0, 60.0)
CLOCK_STEPS = (0.0, 0.04, 0.06, 0.9, 1.1, 1e6, -0.03, -0.06, -0.9, -1e6, -2e9)
EVENTS = (
    "well", "well", "well", "chunk", "chunk", "odd_chunk", "wild_chunk", "picture", "pose", "beat",
    "estop", "graph", "silence", "wait", "clock", "stop", "fail", "reset", "mode",
)  # fmt: skip


def gate(data: bytes) -> None:
    """A byte for each event, and those that say more about it."""
    draw = Draw(data)
    rig = Rig(draw)
    while draw.left:
        getattr(rig, draw.one_of(EVENTS))()


def gates() -> list[bytes]:
    """Moves; moves and is stopped, reset, moves again; is told everything once."""
    well, chunk = bytes([0, 7]), bytes([3, 1, 1, 200, 100, 3])
    moves = b"\0" + well + chunk + well
    numbers = {name: number for number, name in enumerate(EVENTS)}
    again = bytes([numbers["stop"], numbers["well"], 1, numbers["reset"]]) + moves[1:]
    everything = b"".join(bytes([number]) + bytes(6) + well for number in range(len(EVENTS)))
    return [moves, b"\1" + moves[1:], moves + again, moves + everything]


class Rig:
    """A gate with all that it needs, and an arm that moves as told."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        estop = draw.one_of(("", "estop"))
        # Released soon, so that few bytes tell much.
        self.config = GateConfig(estop_topic=estop, release_cycles=3, camera_period_s=0.02)
        self.now = Now(1000.0, EPOCH)
        self.gate = Gate(self.config, self.now)
        self.rules = Rules(self.config)
        self.silent: set[str] = set()
        self.pressed = False
        self.position = np.array([0.0, 0.6, 0.2])
        self.number = 0  # of the newest of anything

    def cycle(self, seconds: float = 0.01, ros: float = 0.0) -> None:
        """ros: by how much ROS time leaves the steady clock [s]."""
        self.now = Now(self.now.steady + seconds, self.now.ros + seconds + ros)
        if "camera" not in self.silent:
            self.see(*self.good_picture())
        if "pose" not in self.silent:
            self.feel(self.good_pose())
        if "heartbeat" not in self.silent:
            self.judge(self.good_beat())
        if "estop" not in self.silent and self.config.estop_topic:
            self.press()
        command, status = self.gate.cycle(self.now)
        self.rules.cycle(self.now, command, status)
        self.position = self.position + np.clip(command.twist[:3], -1, 1) * 0.01

    # ---- events

    def well(self) -> None:
        for _ in range(self.draw.below(8) + 1):
            self.cycle()

    def wait(self) -> None:
        self.cycle(self.draw.one_of(WAITS))

    def clock(self) -> None:
        self.cycle(ros=self.draw.one_of(CLOCK_STEPS))

    def chunk(self) -> None:
        direction = np.eye(6)[self.draw.below(6)] * self.draw.one_of((1, -1))
        action = [*(direction * self.draw.between(0, 0.06)), self.draw.between(0, 1)]
        self.approve(self.good_chunk([action] * (self.draw.below(6) + 1)))

    def odd_chunk(self) -> None:
        chunk = self.good_chunk([[0.01] + [0.0] * 6] * 2)
        fields = [field.name for field in dataclasses.fields(Chunk) if field.name != "id"]
        name = self.draw.one_of(fields)
        old: Any = getattr(chunk, name)
        if isinstance(old, str):
            value: Any = self.draw.one_of(("", "s2", "base", "tool", "abc", "abd"))
        elif isinstance(old, int):
            value = self.draw.one_of((0, 1, old - 1, old + 1, 7, 64, 65, BIG, 2**64 - 1))
        elif isinstance(old, float):
            value = self.number_near(old)
        else:
            value = [self.draw.number() for _ in range(self.draw.below(20))]
        self.approve(dataclasses.replace(chunk, **{name: value}))

    def wild_chunk(self) -> None:
        with np.errstate(over="ignore"):
            on_the_wire = np.float32([self.draw.number() for _ in range(7)])
        self.approve(self.good_chunk([on_the_wire.tolist()]))

    def picture(self) -> None:
        stamp, picture = self.good_picture()
        name = self.draw.one_of(list(PICTURES))
        change = {name: self.draw.one_of(PICTURES[name])}
        self.see(self.number_near(stamp), dataclasses.replace(picture, **change))

    def pose(self) -> None:
        good, what = self.good_pose(), self.draw.below(4)
        numbers = np.array([self.draw.number() for _ in range(4)])
        change: dict[str, Any] = {}
        if what == 0:
            change["position"] = self.position + numbers[:3]
        elif what == 1:
            change["quaternion"] = numbers
        elif what == 2:
            change["frame"] = "tool"
        self.feel(dataclasses.replace(good, stamp=self.number_near(good.stamp), **change))

    def beat(self) -> None:
        names = "uncertainty", "threshold", "familiarity_error", "familiarity_threshold"
        good = self.good_beat()
        change: dict[str, Any] = {self.draw.one_of(names): self.draw.number()}
        change["ready"] = bool(self.draw.below(4))
        change["retraced"] = bool(self.draw.below(4))
        change["checkpoint"] = self.draw.one_of(("abc", "abc", "other", ""))
        self.judge(dataclasses.replace(good, stamp=self.number_near(good.stamp), **change))

    def estop(self) -> None:
        self.pressed = bool(self.draw.below(2))
        if self.config.estop_topic:
            self.press()

    def graph(self) -> None:
        others = self.draw.one_of(((), (), ("x",)))
        self.gate.on_graph(self.draw.one_of(({}, {"a": "a is wrong"})), others)
        self.rules.others = bool(others)

    def silence(self) -> None:
        self.silent ^= {self.draw.one_of(STREAMS)}

    def stop(self) -> None:
        self.gate.stop(self.now, "a person said so")
        self.rules.latch()

    def fail(self) -> None:
        self.rules.latch()
        self.rules.cycle(self.now, *self.gate.fail(self.now, "ValueError: so"))

    def reset(self) -> None:
        refused = self.gate.reset(self.now)
        assert refused is None or self.rules.latched
        self.rules.reset(refused)

    def mode(self) -> None:
        mode = self.draw.one_of(MODES)
        refused = self.gate.set_mode(self.now, mode)
        assert (refused is None) == (mode in MODES[:3])
        if refused is None:
            self.rules.mode_was_set()

    # ---- what is well by itself

    def number_near(self, good: float) -> float:
        return self.draw.one_of((good, good, good + self.draw.number(), self.draw.number()))

    def good_picture(self) -> tuple[float, Picture]:
        self.number += 1
        return self.now.ros, Picture(self.number, 128, 128, "rgb8", 384, 49152)

    def good_pose(self) -> Pose:
        return Pose(self.now.ros, "base", self.position, np.array([1.0, 0.0, 0.0, 0.0]))

    def good_beat(self) -> Heartbeat:
        self.number += 1
        return Heartbeat(self.now.ros, True, 0.1 + self.number % 7 / 100, 0.5, 0.1, 0.3, "abc")

    def good_chunk(self, actions: list[list[float]]) -> Chunk:
        self.number += 1
        now, space = self.now.ros, self.config.action_space
        return Chunk(
            f"chunk {self.number}", "s1", self.number, now, now + 1.0, now, "base",
            space.signature, space.step_s, len(actions), 7, np.ravel(actions).tolist(),
            0.2, 0.5, "abc",
        )  # fmt: skip

    # ---- into the gate

    def see(self, stamp: float, picture: Picture) -> None:
        self.rules.heard("camera", self.now, self.gate.on_camera(self.now, stamp, picture))

    def feel(self, pose: Pose) -> None:
        self.rules.heard("pose", self.now, self.gate.on_pose(self.now, pose))

    def judge(self, beat: Heartbeat) -> None:
        self.rules.beat(self.now, beat, self.gate.on_heartbeat(self.now, beat))

    def press(self) -> None:
        self.gate.on_estop(self.now, self.pressed)
        self.rules.heard("estop", self.now, None)
        if self.pressed:
            self.rules.latch()

    def approve(self, chunk: Chunk) -> None:
        self.rules.chunk(chunk, self.gate.on_chunk(self.now, chunk))
