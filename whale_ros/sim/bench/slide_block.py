"""The bench's task: take the block between the fingers and slide it into the marked zone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TASK = "slide-block"
BLOCK_HALF_M = 0.03
IN_ZONE_M = 0.035  # between the centres of block and zone, on the table
_BLOCKS = (np.array([0.36, -0.13]), np.array([0.44, 0.13]))
_ZONES = (np.array([0.50, -0.15]), np.array([0.57, 0.15]))
_HANDS = (np.array([0.36, -0.08, 0.20]), np.array([0.48, 0.08, 0.28]))
_MAX_YAW_RAD = 0.35
_MIN_WAY_M = 0.12


@dataclass(frozen=True)
class Layout:
    """Where everything is at the start, in the base frame."""

    hand: np.ndarray  # (3,) [m]
    block: np.ndarray  # (3,) [m]
    block_yaw: float  # [rad]
    zone: np.ndarray  # (3,) [m]

    @classmethod
    def drawn(cls, seed: int) -> Layout:
        rng = np.random.default_rng(seed)
        hand = rng.uniform(*_HANDS)
        block, zone = rng.uniform(*_BLOCKS), rng.uniform(*_ZONES)
        while np.linalg.norm(zone - block) < _MIN_WAY_M:
            zone = rng.uniform(*_ZONES)
        yaw = float(rng.uniform(-_MAX_YAW_RAD, _MAX_YAW_RAD))
        return cls(hand, np.append(block, BLOCK_HALF_M), yaw, np.append(zone, 0.0))


def progress(block: np.ndarray, zone: np.ndarray, way_m: float) -> float:
    """Share of the way from where the block was at first, 0 .. 1."""
    return float(np.clip(1 - np.linalg.norm((zone - block)[:2]) / way_m, 0, 1))


def succeeded(block: np.ndarray, zone: np.ndarray) -> bool:
    return bool(np.linalg.norm((zone - block)[:2]) < IN_ZONE_M)
