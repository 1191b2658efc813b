"""What can happen to a camera's pictures after they were taken, done to windows of episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from whale_ros.evaluation.windows import Window

Spoil = Callable[[Window, float], Window]


def blurred(window: Window, sigma: float) -> Window:
    """By a Gaussian of `sigma` pixels, before and after."""
    return replace(
        window,
        past_frames=_blur(window.past_frames, sigma),
        future_frames=_blur(window.future_frames, sigma),
    )


def occluded(window: Window, share: float) -> Window:
    """A grey square, its side a share of the picture's, covers the middle, before and after."""
    return replace(
        window,
        past_frames=_cover(window.past_frames, share),
        future_frames=_cover(window.future_frames, share),
    )


def frozen(window: Window, count: float) -> Window:
    """The last `count` observed frames are the one before them; what really came is not frozen.

    Raises ValueError if no frame is before them.
    """
    left = window.past_frames.shape[1] - int(count)
    if left < 1:
        raise ValueError(f"{count:g} of {window.past_frames.shape[1]} frames cannot be frozen")
    stuck = window.past_frames[:, left - 1 : left].expand(-1, int(count), -1, -1, -1)
    return replace(window, past_frames=torch.cat([window.past_frames[:, :left], stuck], dim=1))


# Name: unit of the severity, severities, how it is done.
SPOILED: dict[str, tuple[str, tuple[float, ...], Spoil]] = {
    "blurred": ("pixels", (0.5, 1.0, 2.0), blurred),
    "occluded": ("share of the side", (0.15, 0.3, 0.45), occluded),
    "frozen": ("frames", (1, 3, 5), frozen),
}


def _blur(frames: Tensor, sigma: float) -> Tensor:
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=frames.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    flat = frames.reshape(-1, 1, *frames.shape[-2:])
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), "replicate"), kernel)
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), "replicate"), kernel.transpose(2, 3))
    return flat.view(frames.shape)


def _cover(frames: Tensor, share: float) -> Tensor:
    height, width = frames.shape[-2:]
    sides = round(share * height), round(share * width)
    top, left = (height - sides[0]) // 2, (width - sides[1]) // 2
    covered = frames.clone()
    covered[..., top : top + sides[0], left : left + sides[1]] = 0.5
    return covered
