"""A simulated arm: Meta-World v3's Sawyer, driven by end-effector twists in six dimensions.

Meta-World moves a mocap body, to which the hand is welded, by translation only and puts its
orientation back in every step. Here the mocap body's orientation is driven too, so that an action
has seven dimensions: translation, rotation, gripper. Frames: Meta-World's world frame is the arm's
`base` frame. Units: metres, radians, seconds. Quaternions are (w, x, y, z) in this module.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass

os.environ.setdefault("MUJOCO_GL", "egl")  # off-screen, before mujoco is imported

import mujoco
import numpy as np
from transforms3d.quaternions import qinverse, qmult

from whale_ros.sim.camera import Camera
from whale_ros.sim.contact import ContactForces
from whale_ros.sim.driving import STEP_S, moved, turned
from whale_ros.sim.intruder import Intruder, load_environment, spots_on_the_way

TASKS = ("reach-v3", "push-v3", "drawer-open-v3")
HELD_OUT_TASKS = ("button-press-topdown-v3", "window-open-v3")  # no model is trained on them
WORKSPACE_LOW = np.array([-0.30, 0.40, 0.05])
WORKSPACE_HIGH = np.array([0.30, 0.90, 0.40])
MAX_TILT_RAD = np.deg2rad(45)
AT_OBJECT_M = 0.1  # a hand so near to the task's object is about to take it to the goal
POSTURE_STIFFNESS = 2.0  # [N m / rad]
POSTURE_DAMPING = 2.0  # [N m s / rad]

HOME_QUAT = np.array([1.0, 0.0, 1.0, 0.0]) / np.sqrt(2)

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION  # all that the next step depends on
_FIELDS = (
    "observation",
    "gripper_command",
    "progress",
    "success",
    "time_s",
    "contact_force",
    "object_force",
    "_target",
    "_target_quat",
)


@dataclass(frozen=True)
class Snapshot:
    """Everything that an arm's future depends on but the twists to come."""

    task: str
    seed: int
    physics: np.ndarray  # MuJoCo's integration state
    edge_m: float  # of the intruder, also of an absent one
    sites: np.ndarray  # (sites, 3): Meta-World shows the goal elsewhere before the first step
    previous_observation: np.ndarray  # (18,), which Meta-World keeps
    fields: dict  # of SimArm


class SimArm:
    """One simulated arm in one task. `step` advances physics, `camera` renders what it sees."""

    def __init__(self, task: str = TASKS[0], seed: int = 0) -> None:
        """Raises ValueError for an unknown task."""
        self._envs: dict = {}
        self.reset(task, seed)

    def reset(self, task: str, seed: int) -> None:
        """Put arm and objects at the start of `task`; equal seeds give equal scenes."""
        if task not in TASKS + HELD_OUT_TASKS:
            known = ", ".join(TASKS + HELD_OUT_TASKS)
            raise ValueError(f"unknown task {task!r}; known: {known}")
        if task not in self._envs:
            env = load_environment(task)
            env._freeze_rand_vec = False
            env.seeded_rand_vec = True
            env.mocap_low, env.mocap_high = WORKSPACE_LOW, WORKSPACE_HIGH
            env.max_path_length = np.inf
            self._envs[task] = (
                env,
                Camera(env.model),
                _Posture(env.model),
                Intruder(env.model, env.data),
                ContactForces(env.model, env.data),
            )
        self.task, self.seed = task, seed
        self.env, self.camera, posture, self.intruder, self._contacts = self._envs[task]
        # Meta-World leaves the state of the last episode in places that qpos does not cover.
        mujoco.mj_resetData(self.env.model, self.env.data)
        posture.release()
        self.env.seed(seed)
        self.observation, _ = self.env.reset()
        posture.hold(self.env.data)
        self._target_quat = HOME_QUAT.copy()
        self._target = self.env.data.mocap_pos[0].copy()
        self.gripper_command = 0.0
        self.progress, self.success = 0.0, False
        self.time_s = 0.0
        self.contact_force, self.object_force = 0.0, 0.0  # [N], see ContactForces

    def step(self, twist: np.ndarray, gripper: float) -> None:
        """Advance by STEP_S while the hand is driven with `twist` and `gripper`.

        twist: (6,) linear [m/s] and angular [rad/s] velocity in the base frame.
        gripper: commanded closing, 0 open .. 1 closed.
        """
        env, data = self.env, self.env.data
        low, high = WORKSPACE_LOW, WORKSPACE_HIGH
        self._target = moved(self._target, self.hand_position, twist[:3], low, high)
        self._target_quat = turned(self._target_quat, twist[3:] * STEP_S, HOME_QUAT, MAX_TILT_RAD)
        self.gripper_command = float(gripper)
        effort = 2 * self.gripper_command - 1
        data.mocap_pos[0] = self._target
        data.mocap_quat[0] = self._target_quat
        env.do_simulation([effort, -effort], n_frames=env.frame_skip)
        for site in env._target_site_config:
            env._set_pos_site(*site)
        mujoco.mj_forward(env.model, data)
        self.observation = env._get_obs()
        # Meta-World's rewards read the action only for its gripper effort.
        reward, info = env.evaluate_state(self.observation, np.array([0.0, 0.0, 0.0, effort]))
        self.progress = float(reward) / 10
        self.success = bool(info["success"])
        self.time_s += STEP_S
        self.contact_force, self.object_force = self._contacts.measure()

    def snapshot(self) -> Snapshot:
        """The present state, for `restore`."""
        model, data = self.env.model, self.env.data
        physics = np.empty(mujoco.mj_stateSize(model, _STATE))
        mujoco.mj_getState(model, data, physics, _STATE)
        fields = {name: copy.copy(getattr(self, name)) for name in _FIELDS}
        return Snapshot(
            self.task,
            self.seed,
            physics,
            self.intruder.edge_m,
            data.site_xpos.copy(),
            self.env._prev_obs.copy(),
            fields,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state; equal twists lead from there to equal states, as often as wanted."""
        if (self.task, self.seed) != (snapshot.task, snapshot.seed):
            self.reset(snapshot.task, snapshot.seed)  # what lies outside of MuJoCo's state
        model, data = self.env.model, self.env.data
        self.intruder.edge_m = snapshot.edge_m
        mujoco.mj_setState(model, data, snapshot.physics, _STATE)
        mujoco.mj_forward(model, data)  # what pictures and measurements show
        mujoco.mj_setState(model, data, snapshot.physics, _STATE)  # the solver's warm start
        data.site_xpos[:] = snapshot.sites
        self.env._prev_obs = snapshot.previous_observation.copy()
        for name, value in snapshot.fields.items():
            setattr(self, name, copy.copy(value))

    @property
    def data(self) -> mujoco.MjData:
        """MuJoCo's state, which the camera renders."""
        return self.env.data

    @property
    def hand_position(self) -> np.ndarray:
        """(3,) position of the hand body in the base frame [m]."""
        return self.env.data.body("hand").xpos.copy()

    @property
    def hand_quaternion(self) -> np.ndarray:
        """(4,) orientation of the hand in the base frame, (w, x, y, z); home is unrotated."""
        return qmult(self.env.data.body("hand").xquat, qinverse(HOME_QUAT))

    @property
    def gripper_opening(self) -> float:
        """0 closed .. 1 open, from the distance between the fingers."""
        return float(self.observation[3])

    @property
    def object_position(self) -> np.ndarray:
        """(3,) position of the task's object in the base frame [m]."""
        return self.observation[4:7].copy()

    def put_in_the_way(self, edge_m: float) -> None:
        """Put a box where the hand is going: to the task's object or, once there, to the goal.

        Raises ValueError if there is no room for it, or no box of that size.
        """
        hand, thing, goal = self.hand_position, self.object_position, self.observation[36:39]
        there = self.task == "reach-v3" or np.linalg.norm(thing - hand) < AT_OBJECT_M
        spots = spots_on_the_way(hand, goal if there else thing, edge_m)
        if not self.intruder.put_where_free(spots, edge_m):
            raise ValueError(f"no room for a box of {edge_m:g} m in the hand's way")

    def render(self) -> np.ndarray:
        """(128, 128, 3) uint8 RGB image of the camera."""
        return self.camera.render(self.env.data)

    def close(self) -> None:
        """Free the OpenGL contexts, in the thread that rendered."""
        for _, camera, *_ in self._envs.values():
            camera.close()


class _Posture:
    """Gives the seven-jointed arm the null-space stiffness that a real controller has.

    Without it the elbow sinks for seconds while the hand stands still.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._joints = [model.joint(f"right_j{i}") for i in range(7)]
        self._damping = [joint.damping.copy() for joint in self._joints]

    def hold(self, data: mujoco.MjData) -> None:
        for joint in self._joints:
            joint.stiffness[:] = POSTURE_STIFFNESS
            joint.damping[:] = POSTURE_DAMPING
            self._model.qpos_spring[joint.qposadr] = data.qpos[joint.qposadr]

    def release(self) -> None:
        for joint, damping in zip(self._joints, self._damping, strict=True):
            joint.stiffness[:] = 0.0
            joint.damping[:] = damping
