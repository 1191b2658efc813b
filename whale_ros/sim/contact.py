"""How hard the arm presses on things, from MuJoCo's contacts."""

from __future__ import annotations

import mujoco
import numpy as np

from whale_ros.sim.intruder import NAME

# On the surroundings. Of 72 nominal episodes without noise in the actions none presses on them at
# all; with noise up to 170 N, and the expert driven into a box with 250 N and more.
HARMFUL_N = 30.0
_SURROUNDINGS = ("world", "tablelink", "RetainingWall", NAME)  # what no task wants touched


class ContactForces:
    """Sums of normal forces between the arm and what it touches, in one environment."""

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        surroundings: tuple[str, ...] = _SURROUNDINGS,
    ) -> None:
        self._model, self._data = model, data
        bodies = model.geom_bodyid
        arm = model.body_rootid == model.body("base").id
        untouched = np.isin(np.arange(model.nbody), [model.body(n).id for n in surroundings])
        self._of_arm = arm[bodies]  # per geom
        self._of_surroundings = untouched[bodies]
        self._force = np.zeros(6)

    def measure(self) -> tuple[float, float]:
        """Normal forces [N] on the surroundings (table, walls, intruder), and on the task's things.

        Each is the sum over all points at which any part of the arm touches them now.
        """
        pairs = self._data.contact.geom  # (contacts, 2)
        arm = self._of_arm[pairs]
        forces = [0.0, 0.0]
        for contact in np.flatnonzero(arm.sum(axis=1) == 1):  # not of the arm with itself
            other = pairs[contact][~arm[contact]]
            mujoco.mj_contactForce(self._model, self._data, int(contact), self._force)
            forces[0 if self._of_surroundings[other][0] else 1] += float(self._force[0])
        return forces[0], forces[1]
