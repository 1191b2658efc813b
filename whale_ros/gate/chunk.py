"""An approved chunk: what it must be like, and what it commands at a given time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION
from whale_ros.gate.check import Now
from whale_ros.gate.confidence import MAX_UNCERTAINTY, bounds_uncertainty, compare, positive
from whale_ros.gate.config import GateConfig


@dataclass(frozen=True)
class Chunk:
    """Times in ROS seconds. `numbers` holds horizon x dim floats, row-major, as received."""

    id: str
    session: str
    sequence: int
    stamp: float  # when it was approved
    expiry: float
    start: float  # when its first action begins
    frame: str
    action_space: str
    step_s: float
    horizon: int
    dim: int
    numbers: Sequence[float]
    uncertainty: float
    threshold: float
    checkpoint: str

    @cached_property
    def actions(self) -> np.ndarray:
        """(H, 7) float64."""
        return np.array(self.numbers, float).reshape(self.horizon, self.dim)

    @property
    def end(self) -> float:
        return self.start + self.horizon * self.step_s

    def step(self, ros_s: float) -> int | None:
        """The action in force at a time, None after the last one."""
        step = max(0, math.floor((ros_s - self.start) / self.step_s))
        return step if step < self.horizon else None

    def twist(self, step: int) -> np.ndarray:
        """(6,) [m/s, rad/s]."""
        return self.actions[step, :GRIPPER] / self.step_s

    def positions(self, ros_s: float, position: np.ndarray) -> np.ndarray:
        """Where the end effector (3,) gets by the end of each action from now on, (n, 3) [m]."""
        step = self.step(ros_s)
        if step is None:
            return np.empty((0, 3))
        moves = self.actions[step:, POSITION].copy()
        moves[0] *= min(1.0, (self.start + (step + 1) * self.step_s - ros_s) / self.step_s)
        return position + np.cumsum(moves, axis=0)


def why_malformed(chunk: Chunk, config: GateConfig) -> str | None:
    """What makes a chunk unusable in any mode, or None. Cheap, however large it claims to be."""
    space = config.action_space
    if chunk.frame != config.frame:
        return f"its frame is {chunk.frame!r}, expected {config.frame!r}"
    if chunk.action_space != space.signature:
        return f"its action space is {chunk.action_space!r}, expected {space.signature!r}"
    if not abs(chunk.step_s - space.step_s) <= 1e-6:  # NaN too
        return f"its actions take {chunk.step_s:g} s, expected {space.step_s:g} s"
    if chunk.dim != DIM:
        return f"its actions have {chunk.dim} numbers, expected {DIM}"
    if not 1 <= chunk.horizon <= config.chunk_max_horizon:
        return f"it has {chunk.horizon} actions, expected 1 .. {config.chunk_max_horizon}"
    if len(chunk.numbers) != chunk.horizon * chunk.dim:
        return f"it has {len(chunk.numbers)} numbers, expected {chunk.horizon} x {chunk.dim}"
    if not np.isfinite(chunk.actions).all():
        step, axis = np.argwhere(~np.isfinite(chunk.actions))[0]
        return f"action {step} holds {chunk.actions[step, axis]} at index {axis}"
    gripper = chunk.actions[:, GRIPPER]
    if gripper.min() < -1e-5 or gripper.max() > 1 + 1e-5:
        return f"gripper commands span {gripper.min():g} .. {gripper.max():g}, allowed 0 .. 1"
    return None


def why_untimely(chunk: Chunk, config: GateConfig, now: Now) -> str | None:
    """What is wrong with a chunk's times, or None."""
    for name, value in (
        ("approval stamp", chunk.stamp),
        ("expiry", chunk.expiry),
        ("first action's time", chunk.start),
    ):
        if not positive(value):
            return f"its {name} is {value:g}"
    age = now.ros - chunk.stamp
    if age < -config.future_tolerance_s:
        return f"it was approved {-age:.3f} s in the future"
    if age > config.chunk_max_age_s:
        return f"it was approved {age:.3f} s ago, limit {config.chunk_max_age_s:g} s"
    if chunk.expiry <= now.ros:
        return f"it expired {now.ros - chunk.expiry:.3f} s ago"
    if chunk.expiry - chunk.stamp > config.chunk_max_validity_s:
        return (
            f"it would be valid for {chunk.expiry - chunk.stamp:.3f} s, "
            f"limit {config.chunk_max_validity_s:g} s"
        )
    if chunk.start - now.ros > config.future_tolerance_s:
        return f"its first action begins only in {chunk.start - now.ros:.3f} s"
    if chunk.end <= now.ros:
        return f"its last action ended {now.ros - chunk.end:.3f} s ago"
    return None


def why_unsure(chunk: Chunk, running_checkpoint: str) -> str | None:
    """Why the confidence in a chunk does not suffice, or None."""
    if not 0 < chunk.uncertainty <= MAX_UNCERTAINTY:
        return f"its uncertainty {chunk.uncertainty:g} is impossible and counts as maximal"
    if not bounds_uncertainty(chunk.threshold) or chunk.uncertainty > chunk.threshold:
        return compare("its uncertainty", chunk.uncertainty, chunk.threshold, MAX_UNCERTAINTY)
    if chunk.checkpoint != running_checkpoint or not running_checkpoint:
        return (
            f"checkpoint {chunk.checkpoint[:12]!r} approved it, "
            f"but {running_checkpoint[:12]!r} watches"
        )
    return None


def why_too_fast(chunk: Chunk, config: GateConfig) -> str | None:
    """Which action breaks the limit on step size or speed, or None."""
    space = config.action_space
    slack = 1 + 1e-5  # float32 on the wire
    for part, verb, unit, step_limit, speed_limit in (
        (POSITION, "moves", "m", space.max_translation_m, config.max_linear_speed),
        (ROTATION, "turns", "rad", space.max_rotation_rad, config.max_angular_speed),
    ):
        limit = min(step_limit, speed_limit * chunk.step_s)
        sizes = np.linalg.norm(chunk.actions[:, part], axis=1)
        worst = int(sizes.argmax())
        if sizes[worst] > limit * slack:
            return f"action {worst} {verb} {sizes[worst]:.4f} {unit} in a step, limit {limit:.4g}"
    return None
