"""Differential inverse kinematics of the bench's arm: damped least squares, and a posture."""

from __future__ import annotations

import mujoco
import numpy as np
from transforms3d.quaternions import qinverse, qmult

from whale_ros.actions.composition import to_rotation_vector

HOME = np.array([0.0, 0.35, 0.0, 1.92, 0.0, 0.87, 0.0])  # [rad], the hand points down
DAMPING = 0.03
MAX_JOINT_SPEED_RAD_S = 2.5
POSTURE_PER_S = 0.5  # share of the way back to the home posture, as far as the hand allows


class InverseKinematics:
    """Joint angles whose hand follows a pose. Pure geometry: physics is not asked."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._site = model.site("hand").id
        joints = [model.joint(f"joint{i + 1}") for i in range(len(HOME))]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._low, self._high = np.array([joint.range for joint in joints]).T
        self._jacobian = np.zeros((6, model.nv))
        self.angles = HOME.copy()  # (7,) [rad]

    def follow(self, position: np.ndarray, quaternion: np.ndarray, seconds: float) -> np.ndarray:
        """Move the angles (7,) for `seconds` towards a pose of the hand, within their limits.

        position: (3,) [m], quaternion: (w, x, y, z), both in the base frame.
        """
        self._data.qpos[self._qpos] = self.angles
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(
            self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site
        )
        jacobian = self._jacobian[:, self._dofs]
        hand = self._data.site(self._site)
        turn = qmult(quaternion, qinverse(quaternion_of(hand)))
        error = np.concatenate([position - hand.xpos, to_rotation_vector(turn)])
        damped = jacobian @ jacobian.T + DAMPING**2 * np.eye(6)
        inverse = jacobian.T @ np.linalg.inv(damped)  # (7, 6)
        back = (HOME - self.angles) * POSTURE_PER_S * seconds
        change = inverse @ error + back - inverse @ (jacobian @ back)
        most = MAX_JOINT_SPEED_RAD_S * seconds
        change *= min(1.0, most / max(float(np.abs(change).max()), 1e-12))
        self.angles = np.clip(self.angles + change, self._low, self._high)
        return self.angles


def quaternion_of(site) -> np.ndarray:
    """(4,) orientation of a site of MuJoCo's data in the base frame, (w, x, y, z)."""
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, site.xmat)
    return quaternion
