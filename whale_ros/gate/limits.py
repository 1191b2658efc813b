"""Limits on where the end effector is and how fast its command changes."""

from __future__ import annotations

import numpy as np

from whale_ros.gate.check import Check, Now
from whale_ros.gate.chunk import Chunk
from whale_ros.gate.config import GateConfig


def outside(position: np.ndarray, config: GateConfig) -> np.ndarray:
    """How far positions (..., 3) are outside the workspace box, (...) [m]; 0 inside."""
    over = np.maximum(config.workspace_low - position, position - config.workspace_high)
    return np.linalg.norm(np.maximum(over, 0.0), axis=-1)


def check_workspace(position: np.ndarray | None, config: GateConfig) -> Check:
    """Where the end effector (3,) is now."""
    limit = config.workspace_margin_m
    if position is None:
        return Check("workspace", False, np.inf, limit, "no pose to look for in the workspace")
    distance = float(outside(position, config))
    message = (
        f"end effector at ({', '.join(f'{x:.3f}' for x in position)}) m in {config.frame!r} is "
        f"{distance:.3f} m outside the workspace, limit {limit:g} m"
    )
    return Check("workspace", distance <= limit, distance, limit, message)


def why_leaves_workspace(
    chunk: Chunk, position: np.ndarray, config: GateConfig, now: Now
) -> str | None:
    """Which action would take the end effector, now at (3,), outside the box, or None.

    Where it is outside already it may come back, but no action may take it further away.
    """
    positions = chunk.positions(now.ros, position)
    distances = outside(positions, config)
    allowed = max(1e-6, float(outside(position, config)))
    if not (distances > allowed).any():
        return None
    first = int(np.argmax(distances > allowed))
    where = ", ".join(f"{x:.3f}" for x in positions[first])
    return (
        f"action {chunk.horizon - len(positions) + first} ends at ({where}) m, "
        f"{distances[first]:.3f} m outside the workspace"
    )


class Ramp:
    """Limits acceleration: follows a wanted twist as fast as the limits allow."""

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self.twist = np.zeros(6)

    def stop(self) -> np.ndarray:
        """Zero at once: a hold does not ramp."""
        self.twist = np.zeros(6)
        return self.twist

    def follow(self, wanted: np.ndarray, seconds: float) -> np.ndarray:
        """The twist (6,) after `seconds` of changing towards `wanted` (6,)."""
        twist = self.twist.copy()
        for part, limit in (
            (slice(0, 3), self.config.max_linear_acceleration),
            (slice(3, 6), self.config.max_angular_acceleration),
        ):
            change = wanted[part] - twist[part]
            size = np.linalg.norm(change)
            twist[part] += change * min(1.0, limit * seconds / max(float(size), 1e-12))
        self.twist = twist
        return twist
