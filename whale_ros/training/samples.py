"""Sample pictures of a model in training: rows of frames, real ones above the model's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from whale_ros.imagination.live import HISTORY
from whale_ros.imagination.rollout import imagine
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.frames import to_bytes, to_float
from whale_ros.world_model.whale_st import WhaleST

RECONSTRUCTED, IMAGINED = 8, 4  # frames, sequences


@torch.inference_mode()
def reconstructions(model: WhaleST, data: EpisodeSet, gap: int) -> np.ndarray:
    """Frames of several episodes, and what encoding and decoding leaves of them.

    The reference is the first frame of the episode, the frame at most `gap` later.
    Returns (2 * R, K * R, 3) uint8.
    """
    episodes = _spread(data, RECONSTRUCTED)
    last = (data.frames.lengths[episodes] - 1).clamp(max=gap)
    real = to_float(data.frames[episodes, last]).to(model.device)
    first = to_float(data.frames[episodes, torch.zeros_like(last)]).to(model.device)
    return _sheet([real, model.decode(model.encode(real), first)])


@torch.inference_mode()
def imaginations(model: WhaleST, data: EpisodeSet, codes: Sequences, length: int) -> np.ndarray:
    """The frames after the first HISTORY of several episodes, under their own actions.

    codes: (T_e+1, N, C) of each episode; length: frames, the observed ones included.
    Returns (2 * K * R, (length - HISTORY) * R, 3) uint8.
    """
    device = model.device
    episodes, time = _spread(data, IMAGINED)[:, None], torch.arange(length)
    frames = to_float(data.frames[episodes, time]).to(device)
    seen = codes[episodes, time[:HISTORY]].long().to(device)
    past, future = data.actions[episodes, time[:-1]].to(device).tensor_split([HISTORY - 1], 1)
    rollout = imagine(model, model.start(seen, past), future, past)
    imagined = model.decode(rollout.latents, frames[:, HISTORY - 1 : HISTORY])
    rows = zip(frames[:, HISTORY:], imagined, strict=True)
    return _sheet([row for pair in rows for row in pair])


def _spread(data: EpisodeSet, count: int) -> Tensor:
    """Indices of at most `count` episodes."""
    return torch.linspace(0, len(data) - 1, min(count, len(data))).long()


def _sheet(rows: list[Tensor]) -> np.ndarray:
    """Rows of pictures (K, 3, R, R) float in [0, 1] as one."""
    pictures = to_bytes(torch.stack(rows).cpu())
    height, width, size = pictures.shape[:3]
    return pictures.permute(0, 2, 1, 3, 4).reshape(height * size, width * size, 3).numpy()
