"""The bench's arm: seven joints with position drives, led by end-effector twists.

It has the interface of `whale_ros.sim.arm.SimArm` and nothing else in common with it. The base
frame is the world's: x ahead, y left, z up, its origin on the table top under the arm. Units:
metres, radians, seconds. Quaternions are (w, x, y, z).
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # off-screen, before mujoco is imported

import mujoco
import numpy as np
from transforms3d.quaternions import qinverse, qmult

from whale_ros.actions.composition import to_quaternion, to_rotation_vector
from whale_ros.sim.bench.kinematics import HOME, InverseKinematics, quaternion_of
from whale_ros.sim.bench.slide_block import TASK, Layout, progress, succeeded
from whale_ros.sim.camera import Camera, View
from whale_ros.sim.contact import ContactForces
from whale_ros.sim.driving import STEP_S, moved, turned
from whale_ros.sim.intruder import NAME as INTRUDER
from whale_ros.sim.intruder import Intruder, spots_on_the_way

TASKS = (TASK,)
WORKSPACE_LOW = np.array([0.28, -0.28, 0.03])
WORKSPACE_HIGH = np.array([0.62, 0.28, 0.34])
MAX_TILT_RAD = np.deg2rad(40)
MAX_LEAD_RAD = 0.15  # how far the target may be turned ahead of a hand that is blocked
AT_BLOCK_M = 0.05  # a hand so near to the block is about to take it to the zone
VIEW = View(look_at=(0.42, 0.0, 0.12), distance_m=0.78, azimuth_deg=205.0, elevation_deg=-36.0)

HOME_QUAT = np.array([0.0, 0.0, 1.0, 0.0])
_MAX_OPENING_M = 0.084
_SUBSTEPS = 5


class BenchArm:
    """One simulated arm on a bench. `step` advances physics, `camera` renders what it sees."""

    def __init__(self, task: str = TASK, seed: int = 0) -> None:
        """Raises ValueError for an unknown task."""
        self._model = model = mujoco.MjModel.from_xml_path(str(Path(__file__).parent / "scene.xml"))
        self.data = mujoco.MjData(model)
        self.camera = Camera(model, VIEW)
        self.intruder = Intruder(model, self.data, passive=("world", "table", "zone"))
        self._contacts = ContactForces(model, self.data, ("world", "table", INTRUDER))
        self._hand = self.data.site("hand")
        self._block = self.data.body("block")
        self.reset(task, seed)

    def reset(self, task: str, seed: int) -> None:
        """Put arm, block and zone at the start of `task`; equal seeds give equal scenes."""
        if task not in TASKS:
            raise ValueError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
        self.task, self.seed = task, seed
        layout = Layout.drawn(seed)
        model, data = self._model, self.data
        mujoco.mj_resetData(model, data)
        self._goal = layout.zone
        data.mocap_pos[model.body("zone").mocapid[0]] = layout.zone
        block = data.joint(int(model.body("block").jntadr[0]))
        block.qpos[:3] = layout.block
        block.qpos[3:] = to_quaternion(np.array([0, 0, layout.block_yaw]))
        self._kinematics = InverseKinematics(model)
        self._target, self._target_quat = layout.hand, HOME_QUAT
        for _ in range(100):
            angles = self._kinematics.follow(self._target, self._target_quat, STEP_S)
        for i, angle in enumerate(angles):
            data.joint(f"joint{i + 1}").qpos = angle
        for finger in ("finger_left", "finger_right"):
            data.joint(finger).qpos = _MAX_OPENING_M / 2
        mujoco.mj_forward(model, data)
        self._way_m = float(np.linalg.norm((layout.zone - layout.block)[:2]))
        self.gripper_command = 0.0
        self.time_s = 0.0
        self.contact_force, self.object_force = 0.0, 0.0  # [N], see ContactForces

    def step(self, twist: np.ndarray, gripper: float) -> None:
        """Advance by STEP_S while the hand is driven with `twist` and `gripper`.

        twist: (6,) linear [m/s] and angular [rad/s] velocity in the base frame.
        gripper: commanded closing, 0 open .. 1 closed.
        """
        low, high = WORKSPACE_LOW, WORKSPACE_HIGH
        self._target = moved(self._target, self.hand_position, twist[:3], low, high)
        quaternion = turned(self._target_quat, twist[3:] * STEP_S, HOME_QUAT, MAX_TILT_RAD)
        self._target_quat = _near(quaternion, qmult(self.hand_quaternion, HOME_QUAT))
        self.gripper_command = float(gripper)
        control = self.data.ctrl
        control[: len(HOME)] = self._kinematics.follow(self._target, self._target_quat, STEP_S)
        control[len(HOME) :] = (1 - self.gripper_command) * _MAX_OPENING_M / 2
        mujoco.mj_step(self._model, self.data, _SUBSTEPS)
        mujoco.mj_forward(self._model, self.data)
        self.time_s += STEP_S
        self.contact_force, self.object_force = self._contacts.measure()

    @property
    def observation(self) -> np.ndarray:
        """(12,) hand (3), gripper's opening, block (3), yaws of hand and block, zone (3)."""
        yaws = [_yaw(self.hand_quaternion), _yaw(self._block.xquat)]
        opening = [self.gripper_opening]
        return np.concatenate([self.hand_position, opening, self.object_position, yaws, self._goal])

    @property
    def progress(self) -> float:
        """0 .. 1"""
        return progress(self.object_position, self._goal, self._way_m)

    @property
    def success(self) -> bool:
        return succeeded(self.object_position, self._goal)

    @property
    def hand_position(self) -> np.ndarray:
        """(3,) position between the finger tips in the base frame [m]."""
        return self._hand.xpos.copy()

    @property
    def hand_quaternion(self) -> np.ndarray:
        """(4,) orientation of the hand in the base frame, (w, x, y, z); home is unrotated."""
        quaternion = qmult(quaternion_of(self._hand), qinverse(HOME_QUAT))
        return quaternion if quaternion[0] >= 0 else -quaternion

    @property
    def gripper_opening(self) -> float:
        """0 closed .. 1 open, from the distance between the fingers."""
        fingers = [self.data.joint(name).qpos[0] for name in ("finger_left", "finger_right")]
        return float(sum(fingers) / _MAX_OPENING_M)

    @property
    def object_position(self) -> np.ndarray:
        """(3,) position of the block in the base frame [m]."""
        return self._block.xpos.copy()

    @property
    def joint_angles(self) -> np.ndarray:
        """(7,) [rad]"""
        return np.array([self.data.joint(f"joint{i + 1}").qpos[0] for i in range(len(HOME))])

    def put_in_the_way(self, edge_m: float) -> None:
        """Put a box where the hand is going: to the block or, once there, to the zone.

        Raises ValueError if there is no room for it, or no box of that size.
        """
        hand, block = self.hand_position, self.object_position
        there = np.linalg.norm(block - hand) < AT_BLOCK_M
        spots = spots_on_the_way(hand, self._goal if there else block, edge_m)
        if not self.intruder.put_where_free(spots, edge_m):
            raise ValueError(f"no room for a box of {edge_m:g} m in the hand's way")

    def render(self) -> np.ndarray:
        """(128, 128, 3) uint8 RGB image of the camera."""
        return self.camera.render(self.data)

    def close(self) -> None:
        """Free the OpenGL context, in the thread that rendered."""
        self.camera.close()


def _near(quaternion: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """The orientation, turned no more than MAX_LEAD_RAD away from the hand's."""
    ahead = to_rotation_vector(qmult(quaternion, qinverse(hand)))
    angle = float(np.linalg.norm(ahead))
    if angle <= MAX_LEAD_RAD:
        return quaternion
    return qmult(to_quaternion(ahead * MAX_LEAD_RAD / angle), hand)


def _yaw(quaternion: np.ndarray) -> float:
    w, x, y, z = quaternion
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
