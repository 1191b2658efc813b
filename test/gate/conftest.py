"""A gate that a test drives by its own clock."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from whale_ros.gate.check import Now
from whale_ros.gate.chunk import Chunk
from whale_ros.gate.confidence import Heartbeat
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Gate
from whale_ros.gate.picture import Picture
from whale_ros.gate.pose import Pose

ROS_EPOCH = 1_700_000_000.0
START = 1000.0  # steady


class Rig:
    """The gate with a camera, an arm that moves as told, and a world model, all well at first.

    Put a stream's name into `silent` to stop it; change `heartbeat` and `quaternion` at will.
    """

    def __init__(self, config: GateConfig | None = None) -> None:
        self.config = config or GateConfig()
        self.t = 0.0
        self.skipped_s = 0.0  # by which ROS time is ahead of the steady clock
        self.gate = Gate(self.config, self.now)
        self.silent: set[str] = set()
        self.frozen = False  # the camera repeats one picture
        self.picture_kind: dict = {}
        self.pressed = False  # the e-stop
        self.position = np.array([0.0, 0.6, 0.2])
        self.quaternion = np.array([1.0, 0.0, 0.0, 0.0])
        self.heartbeat: dict = {}
        self.sequence = 0
        self.command = self.status = None

    @property
    def now(self) -> Now:
        return Now(START + self.t, ROS_EPOCH + self.t + self.skipped_s)

    def cycle(self, n: int = 1):
        """n cycles of 10 ms; images and heartbeats every tenth of them, poses in each."""
        for _ in range(n):
            self.t = round(self.t + 0.01, 6)
            tick = round(self.t * 100)
            if tick % 10 == 0 and "camera" not in self.silent:
                picture = self.picture(7 if self.frozen else tick)
                self.gate.on_camera(self.now, self.now.ros, picture)
            if "estop" not in self.silent:
                self.gate.on_estop(self.now, self.pressed)
            if "pose" not in self.silent:
                self.gate.on_pose(self.now, self.pose())
            if tick % 10 == 0 and "heartbeat" not in self.silent:
                self.gate.on_heartbeat(self.now, self.beat(tick))
            self.command, self.status = self.gate.cycle(self.now)
            self.position = self.position + self.command.twist[:3] * 0.01
        return self.status

    def picture(self, pixels: int = 0, **change) -> Picture:
        picture = Picture(pixels, 128, 128, "rgb8", 384, 49152)
        return dataclasses.replace(picture, **(self.picture_kind | change))

    def pose(self, **change) -> Pose:
        pose = Pose(self.now.ros, "base", self.position.copy(), self.quaternion)
        return dataclasses.replace(pose, **change)

    def beat(self, tick: int = 0, **change) -> Heartbeat:
        values = dict(
            stamp=self.now.ros,
            ready=True,
            uncertainty=0.1 + 1e-6 * tick,
            threshold=0.5,
            familiarity_error=0.1,
            familiarity_threshold=0.3,
            checkpoint="abc",
        )
        return Heartbeat(**{**values, **self.heartbeat, **change})

    def chunk(self, actions=None, **change) -> Chunk:
        """4 actions of 2 cm along x, approved now."""
        if actions is None:
            actions = np.tile([0.02, 0, 0, 0, 0, 0, 0.5], (4, 1))
        actions = np.asarray(actions, float)
        self.sequence += 1
        now = self.now.ros
        values = dict(
            id=f"chunk {self.sequence}",
            session="s1",
            sequence=self.sequence,
            stamp=now,
            expiry=now + 2.0,
            start=now,
            frame="base",
            action_space=self.config.action_space.signature,
            step_s=0.2,
            horizon=len(actions),
            dim=actions.shape[1],
            numbers=actions.ravel().tolist(),
            uncertainty=0.2,
            threshold=0.5,
            checkpoint="abc",
        )
        return Chunk(**{**values, **change})

    def send(self, actions=None, **change) -> str | None:
        return self.gate.on_chunk(self.now, self.chunk(actions, **change))

    def moving(self) -> bool:
        return bool(self.command.twist.any())


@pytest.fixture
def rig() -> Rig:
    """Released from the hold of the start, waiting for a chunk."""
    rig = Rig()
    rig.cycle(130)
    assert rig.status.reason == "waiting for an approved chunk"
    return rig


@pytest.fixture(scope="session")
def new_rig() -> type[Rig]:
    """To make a rig with a configuration of one's own, held as at the start."""
    return Rig
