"""Camera pictures as the networks take them."""

from __future__ import annotations

from torch import Tensor


def to_float(frames: Tensor) -> Tensor:
    """uint8 (..., R, R, 3) to float (..., 3, R, R) in [0, 1]."""
    return frames.movedim(-1, -3).float() / 255


def to_bytes(frames: Tensor) -> Tensor:
    """float (..., 3, R, R) in [0, 1] to uint8 (..., R, R, 3)."""
    return (frames * 255).round().byte().movedim(-3, -1)
