"""Faults of the simulated camera, as real ones have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

from whale_ros.sim.camera import Camera, Degradation

# kind: smallest and largest amount
KINDS = {
    "none": None,
    "freeze": None,  # the same picture again and again, with fresh stamps
    "blackout": None,  # black pictures
    "shift": (-0.5, 0.5),  # the camera looks aside [m]
    "light": (0.0, 5.0),  # factor on the brightness of the scene
    "drop": (0.0, 1.0),  # share of pictures that get lost
    "stop": None,  # no pictures
}


@dataclass(frozen=True)
class Fault:
    kind: str = "none"
    amount: float = 0.0
    until_s: float = float("inf")  # on the clock of CameraFaults


class CameraFaults:
    """A camera that has one fault at a time, or none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fault = Fault()
        self._last: np.ndarray | None = None
        self._rng = np.random.default_rng(0)

    def begin(self, kind: str, amount: float, duration_s: float) -> None:
        """Replace the present fault; a duration of 0 lasts until the next call.

        Raises ValueError that names what is known or allowed.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}, intruder")
        allowed = KINDS[kind]
        if allowed and not allowed[0] <= amount <= allowed[1]:
            raise ValueError(f"{kind}: amount {amount:g}, allowed {allowed[0]:g} .. {allowed[1]:g}")
        if not (np.isfinite(duration_s) and duration_s >= 0):
            raise ValueError(f"duration_s is {duration_s:g}, it must be 0 or more")
        until_s = self._clock() + duration_s if duration_s else float("inf")
        self._fault = Fault(kind, amount, until_s)

    def look(self, camera: Camera, data: mujoco.MjData) -> np.ndarray | None:
        """What comes out of the camera now: (S, S, 3) uint8 RGB, or None if nothing does."""
        fault = self._fault if self._clock() < self._fault.until_s else Fault()
        if fault.kind == "stop" or (fault.kind == "drop" and self._rng.random() < fault.amount):
            return None
        if fault.kind == "freeze" and self._last is not None:
            return self._last
        camera.degradation = Degradation(
            shift_m=fault.amount if fault.kind == "shift" else 0.0,
            light=fault.amount if fault.kind == "light" else 1.0,
            blackout=fault.kind == "blackout",
        )
        self._last = camera.render(data)
        return self._last
