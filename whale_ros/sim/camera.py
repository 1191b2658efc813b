"""The camera of the simulated arm: off-screen rendering, and the ways in which it can degrade."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

SIZE = 128  # pixels, square


@dataclass(frozen=True)
class View:
    """Where a camera is, and where it looks to."""

    look_at: tuple[float, float, float]  # base frame [m]
    distance_m: float
    azimuth_deg: float
    elevation_deg: float

    def __str__(self) -> str:
        return (
            f"simulated, {SIZE} x {SIZE} pixels, {self.distance_m:g} m from {self.look_at} in the "
            f"base frame, azimuth {self.azimuth_deg:g} deg, elevation {self.elevation_deg:g} deg"
        )


VIEW = View(look_at=(0.0, 0.68, 0.12), distance_m=0.95, azimuth_deg=140.0, elevation_deg=-32.0)
DESCRIPTION = str(VIEW)


@dataclass
class Degradation:
    """How the picture differs from a good one."""

    shift_m: float = 0.0  # the camera's look-at point is moved sideways
    light: float = 1.0  # factor on the brightness of the scene
    blackout: bool = False


class Camera:
    """Renders one MuJoCo model off-screen. Use each instance in one thread only."""

    def __init__(self, model: mujoco.MjModel, view: View = VIEW) -> None:
        # Shadows, reflections and multisampling cost most of the time in a software renderer.
        model.light_castshadow[:] = 0
        model.mat_reflectance[:] = 0
        model.vis.quality.offsamples = 0
        self._model, self._view = model, view
        self._renderer: mujoco.Renderer | None = None
        self._ambient = model.vis.headlight.ambient.copy()
        self._diffuse = model.vis.headlight.diffuse.copy()
        self._lights = model.light_diffuse.copy()
        self.degradation = Degradation()

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """(SIZE, SIZE, 3) uint8 RGB."""
        if self.degradation.blackout:
            return np.zeros((SIZE, SIZE, 3), np.uint8)
        if self._renderer is None:  # made here, because an OpenGL context belongs to its thread
            self._renderer = mujoco.Renderer(self._model, SIZE, SIZE)
        light = self.degradation.light
        self._model.vis.headlight.ambient[:] = self._ambient * light
        self._model.vis.headlight.diffuse[:] = self._diffuse * light
        self._model.light_diffuse[:] = self._lights * light
        self._renderer.update_scene(data, camera=_camera(self._view, self.degradation.shift_m))
        return self._renderer.render()

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _camera(view: View, shift_m: float) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    azimuth = np.deg2rad(view.azimuth_deg)
    sideways = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    camera.lookat[:] = np.array(view.look_at) + shift_m * sideways
    camera.distance = view.distance_m
    camera.azimuth, camera.elevation = view.azimuth_deg, view.elevation_deg
    return camera
