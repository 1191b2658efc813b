"""A box that no training scene holds: Meta-World's scenes with one, and where to put it.

It hangs on nothing (a mocap body): whoever runs into it meets something that does not give way.
While it is absent it is inside the table's pedestal, where it meets and shows nothing.
"""

from __future__ import annotations

import copy

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS, _create_observable_goal_envs

NAME = "intruder"
MAX_EDGE_M = 0.15
_HIDDEN_AT = (0.0, 0.6, -0.5)
_COLOUR = (0.45, 0.15, 0.6, 1.0)
_PASSIVE = ("world", "tablelink", "mocap")  # a box may stand on the table
_CLEARANCE_M = 0.01


def load_environment(task: str):
    """Meta-World's environment of a task, its goal observable, with the absent box in it."""

    class WithIntruder(ALL_V3_ENVIRONMENTS[task]):
        def _initialize_simulation(self):
            spec = mujoco.MjSpec.from_file(self.fullpath)
            # At the end, so that the numbers of everything else stay what they are.
            box = spec.worldbody.add_body(name=NAME, mocap=True, pos=_HIDDEN_AT)
            box.add_geom(
                name=NAME,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[MAX_EDGE_M / 2] * 3,
                rgba=_COLOUR,
                contype=3,  # as everything in the scenes, and the wrist, which has a bit of its own
                conaffinity=5,
            )
            model = spec.compile()
            return model, mujoco.MjData(model)

    return _create_observable_goal_envs({task: WithIntruder})[f"{task}-goal-observable"](seed=0)


class Intruder:
    """The box of one environment. Resetting MuJoCo's data takes it away."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, passive: tuple[str, ...] = _PASSIVE
    ) -> None:
        """passive: names of the bodies that a box may touch."""
        self._model, self._data = model, data
        self._geom = model.geom(NAME).id
        self._body = model.body(NAME).id
        self._mocap = int(model.body(NAME).mocapid[0])
        ignored = [model.body(name).id for name in (*passive, NAME)]
        solid = (model.geom_contype | model.geom_conaffinity) != 0
        self._others = np.flatnonzero(solid & ~np.isin(model.geom_bodyid, ignored))
        self._hidden_at = data.mocap_pos[self._mocap].copy()

    @property
    def edge_m(self) -> float:
        """Edge length [m], also of the absent box."""
        return 2 * float(self._model.geom_size[self._geom, 0])

    @edge_m.setter
    def edge_m(self, edge_m: float) -> None:
        if not 0 < edge_m <= MAX_EDGE_M:
            raise ValueError(f"an intruder's edge is {edge_m:g} m, allowed 0 .. {MAX_EDGE_M:g} m")
        # Its bounding volume stays the largest box's, which is safe.
        self._model.geom_size[self._geom] = edge_m / 2

    def put(self, position: np.ndarray, edge_m: float) -> None:
        """Centre the box at a position (3,) in the base frame [m], whatever is there.

        Raises ValueError if there are no boxes of that size.
        """
        self.edge_m = edge_m
        self._move(position)

    def take_away(self) -> None:
        self._move(self._hidden_at)

    def put_where_free(self, positions: np.ndarray, edge_m: float) -> bool:
        """Put the box at the first of positions (N, 3) where it is inside nothing.

        False, and the box taken away, if there is none. Raises ValueError, see `put`.
        """
        self.edge_m = edge_m
        data = copy.copy(self._data)
        mujoco.mj_kinematics(self._model, data)  # after a reset some things only move now
        for position in positions:
            data.geom_xpos[self._geom] = position
            if self._clearance_m(data) >= _CLEARANCE_M:
                self.put(position, edge_m)
                return True
        self.take_away()
        return False

    def _move(self, position: np.ndarray) -> None:
        self._data.mocap_pos[self._mocap] = position
        # What MuJoCo derives in the next step is wanted now, and for this box alone.
        self._data.xpos[self._body] = self._data.geom_xpos[self._geom] = position

    def _clearance_m(self, data: mujoco.MjData) -> float:
        """Distance to what is nearest, table apart [m]."""
        far = 2 * _CLEARANCE_M
        return min(
            mujoco.mj_geomDistance(self._model, data, self._geom, int(geom), far, None)
            for geom in self._others
        )


def spots_near(thing: np.ndarray, edge_m: float, rng: np.random.Generator) -> np.ndarray:
    """(200, 3) places for a box on the table near a thing at (3,), the nearest ones first."""
    angles = rng.uniform(0, 2 * np.pi, 200)
    distances = np.linspace(0.05, 0.2, 200) + edge_m / 2
    spots = np.empty((200, 3))
    spots[:, 0] = thing[0] + distances * np.cos(angles)
    spots[:, 1] = thing[1] + distances * np.sin(angles)
    spots[:, 2] = edge_m / 2
    return spots


def spots_on_the_way(hand: np.ndarray, target: np.ndarray, edge_m: float) -> np.ndarray:
    """(20, 3) places for a box between hand (3,) and target (3,), from half-way to the target.

    The box hangs at the height of the way; where that is low, it stands on the table.
    """
    shares = np.linspace(0.5, 1.0, 20)[:, None]
    spots = hand + shares * (target - hand)
    spots[:, 2] = np.maximum(spots[:, 2], edge_m / 2)
    return spots
