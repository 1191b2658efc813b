"""Everything that a person may set of the gate, with the values of the built-in arm."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from whale_ros.actions.space import ActionSpace


@dataclass(frozen=True)
class GateConfig:
    """Lengths in metres, angles in radians, times in seconds. No number means "off".

    Raises ValueError that names the field if a number is not positive and finite, or the
    workspace box is inside out; or if no arm can be told actions of that type.
    """

    action_space: ActionSpace = ActionSpace()
    frame: str = "base"

    workspace_low: tuple[float, ...] = (-0.32, 0.38, 0.03)
    workspace_high: tuple[float, ...] = (0.32, 0.92, 0.42)
    workspace_margin_m: float = 0.01  # a chunk may end on the box; the arm may overshoot by this
    max_linear_speed: float = 0.25
    max_angular_speed: float = 0.5
    max_linear_acceleration: float = 2.0
    max_angular_acceleration: float = 4.0

    camera_period_s: float = 0.1
    camera_missed_periods: float = 3.0
    pose_timeout_s: float = 0.2
    heartbeat_timeout_s: float = 0.5
    heartbeat_max_image_age_s: float = 1.0  # from the image's stamp to the arrival of its judgement
    future_tolerance_s: float = 0.05
    max_skew_s: float = 0.05  # between an image and the pose nearest to it

    estop_topic: str = ""  # empty: there is none
    estop_timeout_s: float = 0.1

    chunk_max_age_s: float = 1.0  # from approval to arrival
    chunk_max_validity_s: float = 5.0  # from approval to expiry
    chunk_max_horizon: int = 64

    trip_cycles: int = 2
    release_cycles: int = 100
    cycle_s: float = 0.01

    def __post_init__(self) -> None:
        self.action_space.must_be_executable()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name} must be a positive number, not {value!r}")
        for name in ("workspace_low", "workspace_high"):
            corner = getattr(self, name)
            if len(corner) != 3 or not all(map(math.isfinite, corner)):
                raise ValueError(f"{name} must be 3 finite numbers, not {corner!r}")
        for axis, low, high in zip("xyz", self.workspace_low, self.workspace_high, strict=True):
            if not low < high:
                raise ValueError(f"workspace_low {axis} = {low} is not below workspace_high {high}")
        if not self.frame:
            raise ValueError("frame must name the frame of poses and commands, it is empty")

    @property
    def camera_timeout_s(self) -> float:
        return self.camera_missed_periods * self.camera_period_s
