"""The action space: what the seven numbers of an end-effector action mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

DIM = 7
POSITION = slice(0, 3)
ROTATION = slice(3, 6)
GRIPPER = 6

# What may be learnt from; `composition` says what they mean. Absolute poses are no increments.
TYPES = ("base_twist", "axis_angle", "body_twist", "euler_coordinate_difference")


@dataclass(frozen=True)
class ActionSpace:
    """End-effector deltas of one model step.

    An action is a float vector of shape (7,): translation [m], rotation [rad], gripper command
    (0 open .. 1 closed, absolute). Limits are on the norms of translation and rotation. What is
    executed is of the type `base_twist`: in the arm's base frame, rotations as rotation vectors.
    """

    type: str = "base_twist"
    step_s: float = 0.2
    max_translation_m: float = 0.05
    max_rotation_rad: float = 0.1

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"unknown action type {self.type!r}; known: {', '.join(TYPES)}")
        for name in ("step_s", "max_translation_m", "max_rotation_rad"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"action space: {name} must be a positive number, not {value!r}")

    @property
    def signature(self) -> str:
        """Names the space in messages and checkpoints; equal signatures mean equal meaning."""
        return (
            f"{self.type}/{DIM}/{self.step_s:g}s/"
            f"{self.max_translation_m:g}m/{self.max_rotation_rad:g}rad"
        )

    def must_be_executable(self) -> None:
        """Raises ValueError unless its actions can be told to an arm: only base twists can."""
        if self.type != "base_twist":
            raise ValueError(
                f"actions of type {self.type!r} can be learnt from, not executed; "
                "convert the data to 'base_twist' to train a model that drives an arm"
            )

    def no_faster_than(self, linear: float, angular: float) -> ActionSpace:
        """The same with limits that keep to speeds as well [m/s, rad/s]."""
        return replace(
            self,
            max_translation_m=min(self.max_translation_m, linear * self.step_s),
            max_rotation_rad=min(self.max_rotation_rad, angular * self.step_s),
        )

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> ActionSpace:
        """Raises ValueError that names unknown or missing keys."""
        known = set(cls.__dataclass_fields__)
        if set(values) != known:
            raise ValueError(
                f"action space: expected the keys {sorted(known)}, got {sorted(values)}"
            )
        return cls(**values)

    def normalise(self, actions: np.ndarray) -> np.ndarray:
        """Scale actions (..., 7) to about [-1, 1] for the networks; float32."""
        scaled = np.array(actions, np.float32)
        scaled[..., POSITION] /= self.max_translation_m
        scaled[..., ROTATION] /= self.max_rotation_rad
        scaled[..., GRIPPER] = 2 * scaled[..., GRIPPER] - 1
        return scaled

    def clip(self, actions: np.ndarray) -> np.ndarray:
        """Shorten translations and rotations (..., 7) to the limits, keeping their directions."""
        clipped = np.array(actions, float)
        for part, limit in (
            (POSITION, self.max_translation_m),
            (ROTATION, self.max_rotation_rad),
        ):
            norm = np.linalg.norm(clipped[..., part], axis=-1, keepdims=True)
            clipped[..., part] *= np.minimum(1.0, limit / np.maximum(norm, 1e-12))
        clipped[..., GRIPPER] = np.clip(clipped[..., GRIPPER], 0.0, 1.0)
        return clipped

    def why_invalid(self, actions: np.ndarray) -> str | None:
        """Say in words what is wrong with an action sequence (H, 7), or None if nothing is."""
        if actions.ndim != 2 or actions.shape[1] != DIM:
            return f"actions have shape {actions.shape}, expected (horizon, {DIM})"
        if len(actions) == 0:
            return "the action sequence is empty"
        if not np.isfinite(actions).all():
            step, axis = np.argwhere(~np.isfinite(actions))[0]
            return f"action {step} holds {actions[step, axis]} at index {axis}"
        slack = 1 + 1e-5
        translation = np.linalg.norm(actions[:, POSITION], axis=1)
        if translation.max() > self.max_translation_m * slack:
            return (
                f"action {translation.argmax()} moves {translation.max():.4f} m in a step, "
                f"limit {self.max_translation_m:g} m"
            )
        rotation = np.linalg.norm(actions[:, ROTATION], axis=1)
        if rotation.max() > self.max_rotation_rad * slack:
            return (
                f"action {rotation.argmax()} turns {rotation.max():.4f} rad in a step, "
                f"limit {self.max_rotation_rad:g} rad"
            )
        gripper = actions[:, GRIPPER]
        if gripper.min() < -1e-5 or gripper.max() > 1 + 1e-5:
            return f"gripper commands span {gripper.min():g} .. {gripper.max():g}, allowed 0 .. 1"
        return None
