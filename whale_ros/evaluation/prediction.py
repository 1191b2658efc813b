"""How well a world model foretells held-out episodes, beside what is easier or impossible to beat.

Each number is given for these ways to foretell a frame:
    model     imagined by the model
    shuffled  imagined by the model under the actions of another episode
    copy      the last observed frame
    ceiling   the real frame, through the tokenizer and back
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from whale_ros.evaluation.bootstrap import interval
from whale_ros.evaluation.lpips import Lpips
from whale_ros.evaluation.position_probe import PositionProbe
from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.windows import Window, held_out_windows
from whale_ros.imagination.live import HISTORY
from whale_ros.imagination.retracing import feature_distance
from whale_ros.imagination.rollout import Rollout, imagine
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.whale_st import WhaleST

HORIZON = 15
REPORTED_STEPS = (1, 4, 8, 15)
HEADLINE_STEP = 8
MOVING = 0.05  # a pixel moves if a channel differs by more than this from the last observed frame
SEES_WELL_DB = 1.0  # a tokenizer stays that shows a new scene at most so much worse than its own
WAYS = ("model", "shuffled", "copy", "ceiling")

Table = dict[str, dict[str, float | None]]  # way, step


@dataclass
class Foretold:
    """B x H frames, and their tokens as numbers."""

    frames: Tensor  # (B, H, 3, R, R)
    features: Tensor  # (B, H, N, C)


@torch.inference_mode()
def foretell(model: WhaleST, window: Window, actions: Tensor, z: Tensor | None = None) -> Rollout:
    state = model.start(model.encode(window.past_frames), window.past_actions, z)
    return imagine(model, state, actions, window.past_actions)


@torch.inference_mode()
def every_way(model: WhaleST, window: Window) -> dict[str, Foretold]:
    """A window's future, foretold in each of WAYS."""
    real = window.future_frames
    imagined = {
        "model": foretell(model, window, window.actions).latents,
        "shuffled": foretell(model, window, window.other_actions).latents,
    }
    ways = {
        name: Foretold(model.decode(codes, window.last), model.features(codes))
        for name, codes in imagined.items()
    }
    seen = {"copy": window.last.expand_as(real), "ceiling": ceiling(model, window)}
    return ways | {
        name: Foretold(frames, model.features(model.encode(frames)))
        for name, frames in seen.items()
    }


def ceiling(model: WhaleST, window: Window) -> Tensor:
    """The real future through the tokenizer and back, (B, H, 3, R, R)."""
    return model.decode(model.encode(window.future_frames), window.last)


@torch.inference_mode()
def tokenizer_psnr(model: WhaleST, data: EpisodeSet) -> float | None:
    """What `evaluate_prediction` tells of the ceiling, on moving pixels at HEADLINE_STEP [dB]."""
    error, moving = torch.zeros(()), torch.zeros(())
    for window in held_out_windows(data, HISTORY, HORIZON, model.device):
        moves = is_moving(window)[:, HEADLINE_STEP - 1]
        far = replace(window, future_frames=window.future_frames[:, HEADLINE_STEP - 1 :][:, :1])
        square = (ceiling(model, far) - far.future_frames).square().mean(2)[:, 0]
        error, moving = error + (square * moves).sum().cpu(), moving + moves.sum().cpu()
    return rounded(float(psnr(error / moving)), 2)


def sees_well(psnr_db: float | None, metrics: dict) -> bool:
    """Whether a tokenizer shows a new scene about as well as the one that it has learnt.

    metrics: those of its card.
    """
    own = metrics.get("moving_pixels_psnr_db", {}).get("ceiling", {}).get(str(HEADLINE_STEP))
    return None not in (psnr_db, own) and psnr_db > own - SEES_WELL_DB


@torch.inference_mode()
def evaluate_prediction(
    model: WhaleST,
    data: EpisodeSet,
    seed: int = 0,
    probe: PositionProbe | None = None,
    lpips: Lpips | None = None,
) -> dict:
    """A report of windows of HISTORY observed and HORIZON imagined frames, all in one dictionary.

    PSNR is of the mean squared error over all windows, so that windows without motion do not
    count for infinitely much; the others are means over windows, but for quantiles of the hand's
    error. Without a probe or LPIPS there is no entry for them. None stands for a number that is
    infinite or not defined, as where nothing moves.
    """
    measured: defaultdict[str, defaultdict[str, list[Tensor]]] = defaultdict(
        lambda: defaultdict(list)
    )
    episodes, moving = [], []
    steps = torch.tensor(REPORTED_STEPS) - 1
    windows = held_out_windows(data, HISTORY, HORIZON, model.device, seed)
    for window in windows:
        real = window.future_frames
        moves = is_moving(window).float()
        features = model.features(model.encode(real))
        episodes.append(window.episodes)
        moving.append(moves.sum((2, 3)).cpu())
        for name, way in every_way(model, window).items():
            error = (way.frames - real).square().mean(2)
            frames = way.frames[:, steps]
            numbers = {
                "error": error.sum((2, 3)),
                "moving_error": (error * moves).sum((2, 3)),
                "feature_distance": feature_distance(way.features, features)[:, steps],
                "ssim": ssim(frames, real[:, steps]),
            }
            if lpips:
                numbers["lpips"] = lpips(
                    frames.flatten(0, 1), real[:, steps].flatten(0, 1)
                ).unflatten(0, frames.shape[:2])
            if probe:
                numbers["hand"] = _hand_error_cm(probe, frames, window.future_hand[:, steps])
            for metric, number in numbers.items():
                measured[metric][name].append(number.cpu())
        if probe:
            floor = _hand_error_cm(probe, real[:, steps], window.future_hand[:, steps])
            measured["hand"]["real frames"].append(floor.cpu())

    together = {
        metric: {name: torch.cat(numbers) for name, numbers in ways.items()}
        for metric, ways in measured.items()
    }
    return _report(together, torch.cat(episodes), torch.cat(moving), data, seed)


def is_moving(window: Window) -> Tensor:
    """(B, H, R, R) which pixels of the future differ from the last observed frame."""
    return (window.future_frames - window.last).abs().amax(2) > MOVING


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (B, H) of pictures (B, H, 3, R, R), as Wang et al. (2004) define it."""
    pairs = zip(first.flatten(0, 1).cpu().numpy(), second.flatten(0, 1).cpu().numpy(), strict=True)
    values = [
        structural_similarity(
            *pair,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in pairs
    ]
    return torch.tensor(np.array(values)).unflatten(0, first.shape[:2])


def psnr(error: Tensor) -> Tensor:
    """In dB, of a mean squared error of pictures in [0, 1]."""
    return -10 * torch.log10(error)


def _hand_error_cm(probe: PositionProbe, frames: Tensor, position: Tensor) -> Tensor:
    """(B, H) from frames (B, H, 3, R, R) and true positions (B, H, 3) [m]."""
    found = probe(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
    return 100 * (found - position).norm(dim=-1)


def _report(
    measured: dict[str, dict[str, Tensor]],
    episodes: Tensor,
    moving: Tensor,
    data: EpisodeSet,
    seed: int,
) -> dict:
    steps = [step - 1 for step in REPORTED_STEPS]
    height, width = data.frames.flat.shape[1:3]
    pixels = height * width
    whole = {name: psnr(error.mean(0) / pixels) for name, error in measured["error"].items()}
    moved = {
        name: psnr(error.sum(0) / moving.sum(0)) for name, error in measured["moving_error"].items()
    }
    report: dict = {
        "split": data.infos[0].split,
        "windows": len(episodes),
        "episodes": len(data),
        "observed_frames": HISTORY,
        "imagined_frames": HORIZON,
        "seed": seed,
        "psnr_db": {name: _at(value[steps], 2) for name, value in whole.items()},
        "moving_pixels_psnr_db": {name: _at(value[steps], 2) for name, value in moved.items()},
        "moving_pixels_psnr_db_of_every_step": {
            name: [rounded(number, 2) for number in value.tolist()] for name, value in moved.items()
        },
        "ssim": _means(measured["ssim"]),
        "feature_distance": _means(measured["feature_distance"]),
    }
    if "lpips" in measured:
        report["lpips"] = _means(measured["lpips"])
    if "hand" in measured:
        for name, quantile in (("median", 0.5), ("worst_tenth", 0.9)):
            report[f"hand_error_cm_{name}"] = {
                way: _at(error.quantile(quantile, dim=0), 2)
                for way, error in measured["hand"].items()
            }
    report["moving_pixels_gain_db"] = {
        f"over {other}": _gain(measured["moving_error"], moving, episodes, len(data), other)
        for other in ("copy", "shuffled")
    }
    return report


def _gain(
    errors: dict[str, Tensor], moving: Tensor, episodes: Tensor, count: int, other: str
) -> dict:
    """PSNR of the model minus that of another way, at HEADLINE_STEP, with its 95 % interval."""

    def per_episode(windows: Tensor) -> Tensor:
        return torch.zeros(count).index_add_(0, episodes, windows[:, HEADLINE_STEP - 1])

    model, others, pixels = map(per_episode, (errors["model"], errors[other], moving))

    def gain(times: Tensor) -> Tensor:
        return psnr(times @ model / (times @ pixels)) - psnr(times @ others / (times @ pixels))

    value, low, high = (rounded(number, 2) for number in interval(gain, count))
    return {"step": HEADLINE_STEP, "db": value, "from": low, "to": high}


def _means(ways: dict[str, Tensor]) -> Table:
    return {name: _at(numbers.mean(0), 4) for name, numbers in ways.items()}


def _at(values: Tensor, digits: int) -> dict[str, float | None]:
    """Numbers at REPORTED_STEPS, by step."""
    return {
        str(step): rounded(value, digits)
        for step, value in zip(REPORTED_STEPS, values.tolist(), strict=True)
    }
