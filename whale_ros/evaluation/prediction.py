"""Prediction quality on held-out episodes, beside what copying the last frame would give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from whale_ros.imagination.retracing import feature_distance
from whale_ros.imagination.rollout import Rollout, imagine
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

HORIZON = 8
REPORTED_STEPS = (1, 4, 8)
STRIDE = 5  # frames between the starts of two windows of an episode
MOVING = 0.05  # a pixel moves if a channel differs by more than this from the last observed frame
BATCH = 60


@dataclass
class Window:
    """B pieces of held-out episodes: T observed frames, then H that are to be foretold."""

    past_frames: Tensor  # (B, T, 3, R, R)
    past_actions: Tensor  # (B, T-1, 7)
    actions: Tensor  # (B, H, 7)
    future_frames: Tensor  # (B, H, 3, R, R)
    episodes: Tensor  # (B,) index of the episode


def held_out_windows(data: EpisodeSet, history: int) -> Iterator[Window]:
    """All windows of HORIZON steps after `history` frames, in batches.

    Raises ValueError if the episodes are too short for any.
    """
    length = history + HORIZON
    if data.frames.shape[1] < length:
        raise ValueError(
            f"the episodes have {data.frames.shape[1]} frames, evaluation needs at least {length}"
        )
    starts = range(0, data.frames.shape[1] - length + 1, STRIDE)
    pairs = torch.tensor([(e, s) for e in range(len(data)) for s in starts])
    for chunk in pairs.split(BATCH):
        time = chunk[:, 1:] + torch.arange(length)
        frames = to_float(data.frames[chunk[:, :1], time])
        actions = data.actions[chunk[:, :1], time[:, :-1]]
        yield Window(
            frames[:, :history],
            actions[:, : history - 1],
            actions[:, history - 1 :],
            frames[:, history:],
            chunk[:, 0],
        )


@torch.inference_mode()
def foretell(model: WhaleST, window: Window, actions: Tensor) -> Rollout:
    state = model.start(model.encode(window.past_frames), window.past_actions)
    return imagine(model, state, actions, window.past_actions)


@torch.inference_mode()
def evaluate_prediction(model: WhaleST, data: EpisodeSet, seed: int = 0) -> dict:
    """PSNR in dB at REPORTED_STEPS, over whole frames and over moving pixels.

    `shuffled` gives the model another window's actions. PSNR is of the mean squared error over
    all windows, so that windows without motion do not count for infinitely much.
    """
    generator = torch.Generator().manual_seed(seed)
    sums = {name: torch.zeros(2, HORIZON) for name in ("model", "shuffled", "ceiling", "copy")}
    pixels = torch.zeros(2, HORIZON)
    count = 0
    for window in held_out_windows(data, model.config.dynamics.window - HORIZON):
        batch = len(window.actions)
        last = window.past_frames[:, -1:]
        real = window.future_frames
        other = window.actions[torch.randperm(batch, generator=generator)]
        pictures = {
            "model": model.decode(foretell(model, window, window.actions).latents, last),
            "shuffled": model.decode(foretell(model, window, other).latents, last),
            "ceiling": model.decode(model.encode(real), last),
            "copy": last.expand_as(real),
        }
        moving = ((real - last).abs().amax(2, keepdim=True) > MOVING).float()
        pixels += torch.stack([torch.ones_like(moving).sum((0, 2, 3, 4)), moving.sum((0, 2, 3, 4))])
        for name, picture in pictures.items():
            error = (picture - real).square().mean(2, keepdim=True)
            sums[name] += torch.stack([error.sum((0, 2, 3, 4)), (error * moving).sum((0, 2, 3, 4))])
        count += batch
    psnr = {name: -10 * torch.log10(total / pixels) for name, total in sums.items()}
    return {
        "windows": count,
        "episodes": len(data),
        "seed": seed,
        "psnr_db": _at_reported_steps(psnr, 0),
        "moving_pixels_psnr_db": _at_reported_steps(psnr, 1),
    }


def _at_reported_steps(psnr: dict[str, Tensor], row: int) -> dict:
    return {
        name: {str(step): round(float(value[row, step - 1]), 2) for step in REPORTED_STEPS}
        for name, value in psnr.items()
    }


def feature_errors(model: WhaleST, window: Window, rollout: Rollout) -> Tensor:
    """(B, H) distance between imagined and real frames in the tokenizer's features."""
    return feature_distance(rollout.features, model.features(model.encode(window.future_frames)))
