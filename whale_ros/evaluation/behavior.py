"""Does it help the dynamics to know z, the behaviour at work?

Windows of held-out episodes are foretold in these ways:
    inferred    z inferred from what was seen, anew after every frame
    own         z inferred from the window's whole history, then held
    another's   as `own`, but of an episode of another behaviour
    none        no z
The dynamics sees the whole history, or its last two frames only, where z could carry what such a
context lacks. All is repeated for several checkpoints, trained alike but for their seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from whale_ros.evaluation.bootstrap import interval
from whale_ros.evaluation.prediction import (
    HEADLINE_STEP,
    HORIZON,
    REPORTED_STEPS,
    is_moving,
    psnr,
)
from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.windows import Window, held_out_windows
from whale_ros.imagination.live import HISTORY
from whale_ros.imagination.retracing import feature_distance
from whale_ros.imagination.rollout import imagine
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.whale_st import WhaleST

WAYS = ("inferred", "own", "another's", "none")
COMPARED = (("inferred", "none"), ("inferred", "another's"), ("own", "none"), ("own", "another's"))
CONTEXTS = (HISTORY, 2)
STRIDE = 10
STEPS = torch.tensor(REPORTED_STEPS) - 1


@dataclass(frozen=True)
class Metric:
    digits: int
    better: int  # 1: more, -1: less
    of_mean: Callable[[Tensor], Tensor] = lambda mean: mean


METRICS = {
    "feature_distance": Metric(4, -1),
    "moving_pixels_psnr_db": Metric(2, 1, psnr),
    "cross_entropy_nats": Metric(4, -1),  # of a code, given the real frames before
}


@dataclass
class Measured:
    """One model on one split in one context. Sums over the windows of each of E episodes."""

    sums: dict[tuple[str, str], Tensor]  # metric, way: (E, S), S reported steps
    counts: dict[str, Tensor]  # metric: (E, S), what to divide by

    def value(self, metric: str, way: str, times: Tensor) -> Tensor:
        """(..., S), where each episode counts `times` (..., E)."""
        mean = (times @ self.sums[metric, way]) / (times @ self.counts[metric])
        return METRICS[metric].of_mean(mean)

    def gain(self, metric: str, way: str, other: str, times: Tensor) -> Tensor:
        """(...) by how much a way is better than another one at HEADLINE_STEP."""
        step = REPORTED_STEPS.index(HEADLINE_STEP)
        difference = self.value(metric, way, times) - self.value(metric, other, times)
        return METRICS[metric].better * difference[..., step]


def evaluate_behavior(models: list[WhaleST], data: EpisodeSet, seed: int = 0) -> dict:
    """A report of one split: the means over models, and how much these differ (std)."""
    split = data.infos[0].split
    every_model = [measure(model, data, seed) for model in tqdm(models, f"evaluating {split}")]
    report: dict = {"split": split, "episodes": len(data), "seed": seed}
    for context in CONTEXTS:
        measured = [contexts[context] for contexts in every_model]
        everybody = torch.ones(len(data))
        values = {
            metric: {
                way: [
                    _over_models([float(m.value(metric, way, everybody)[i]) for m in measured])
                    for i in range(len(REPORTED_STEPS))
                ]
                for way in WAYS
            }
            for metric in METRICS
        }
        report[f"context_of_{context}"] = {
            metric: {
                way: dict(zip(map(str, REPORTED_STEPS), numbers, strict=True))
                for way, numbers in ways.items()
            }
            for metric, ways in values.items()
        } | {"gain": [compare(measured, metric, *pair) for metric in METRICS for pair in COMPARED]}
    return report


def compare(measured: list[Measured], metric: str, way: str, other: str) -> dict:
    """The gain of a way over another one, paired by episodes, at HEADLINE_STEP."""
    episodes = len(measured[0].counts[metric])
    each = [interval(partial(m.gain, metric, way, other), episodes) for m in measured]
    together = _over_models([value for value, _, _ in each])
    return {
        "metric": metric,
        "of": way,
        "over": other,
        "step": HEADLINE_STEP,
        **together,
        "more_than_spread": None not in together.values() and together["mean"] > together["spread"],
        "of_each_with_95_percent_interval": [[rounded(x, 5) for x in numbers] for numbers in each],
    }


def _over_models(values: list[float]) -> dict:
    """Mean and standard deviation; the spread of one model is unknown: None."""
    spread = torch.tensor(values).std().item() if len(values) > 1 else math.nan
    return {"mean": rounded(sum(values) / len(values), 5), "spread": rounded(spread, 5)}


@torch.inference_mode()
def measure(model: WhaleST, data: EpisodeSet, seed: int = 0) -> dict[int, Measured]:
    """For each of CONTEXTS, the frames of a window's history that the dynamics sees.

    Raises ValueError if the episodes are too short, or differ in length.
    """
    if len(set(data.actions.lengths.tolist())) > 1:  # windows are lent to that of the same number
        raise ValueError("behaviour is evaluated on episodes of one length, these differ")
    device = model.device

    def windows() -> Iterator[Window]:
        return held_out_windows(data, HISTORY, HORIZON, device, seed, STRIDE)

    own = torch.cat([_own_z(model, window) for window in windows()])
    lender = of_another_behavior([info.behavior for info in data.infos], seed).to(device)
    others = own.unflatten(0, (len(data), -1))[lender].flatten(0, 1)

    def zeros() -> Tensor:
        return torch.zeros(len(data), len(REPORTED_STEPS))

    measured = {c: Measured(defaultdict(zeros), defaultdict(zeros)) for c in CONTEXTS}
    done = 0
    for window in windows():
        rows = slice(done, done + len(window.actions))
        done = rows.stop
        held = {
            "inferred": None,
            "own": own[rows],
            "another's": others[rows],
            "none": model.dynamics.no_behavior.expand(len(window.actions), -1),
        }
        moves = is_moving(window)[:, STEPS].float()
        pixels = moves.sum((2, 3)).cpu()
        codes = model.encode(torch.cat([window.past_frames, window.future_frames], dim=1))
        for context, sums in measured.items():
            seen = codes[:, HISTORY - context :]
            for way, z in held.items():
                for metric, number in _errors(model, window, moves, seen, z).items():
                    sums.sums[metric, way].index_add_(0, window.episodes, number.cpu())
            for metric in METRICS:
                weight = pixels if metric == "moving_pixels_psnr_db" else torch.ones_like(pixels)
                sums.counts[metric].index_add_(0, window.episodes, weight)
    return measured


def of_another_behavior(behaviors: list[str], seed: int) -> Tensor:
    """(E,) for each episode a random one of another behaviour, or else just another one."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for own, name in enumerate(behaviors):
        others = [i for i in range(len(behaviors)) if behaviors[i] != name]
        others = others or [i for i in range(len(behaviors)) if i != own] or [own]
        chosen.append(others[int(torch.randint(len(others), (), generator=generator))])
    return torch.tensor(chosen)


def _own_z(model: WhaleST, window: Window) -> Tensor:
    """(B, Z) as it seems after the history."""
    codes = model.encode(window.past_frames)
    return model.behavior.infer(codes, model.normalised(window.past_actions))[:, -1]


def _errors(
    model: WhaleST, window: Window, moves: Tensor, codes: Tensor, z: Tensor | None
) -> dict[str, Tensor]:
    """Each (B, S), for `METRICS`.

    moves: (B, S, R, R) the moving pixels; codes: (B, T+H, N, C) of the T frames that the dynamics
    sees and of the real future.
    """
    past, real = codes[:, :-HORIZON], codes[:, -HORIZON:]
    past_actions = window.past_actions[:, HISTORY - past.shape[1] :]
    state = model.start(past, past_actions, z)
    imagined = imagine(model, state, window.actions, past_actions).latents[:, STEPS]
    frames = model.decode(imagined, window.last)
    error = (frames - window.future_frames[:, STEPS]).square().mean(2)

    actions = model.normalised(torch.cat([past_actions, window.actions], dim=1))
    if z is None:
        every_z = model.behavior.infer(codes, actions)
    else:
        every_z = z.unsqueeze(1).expand(-1, codes.shape[1], -1)
    logits, _ = model.dynamics(codes[:, :-1], actions, every_z[:, :-1])
    surprise = F.cross_entropy(logits.flatten(0, -2), codes[:, 1:].flatten(), reduction="none")
    surprise = surprise.view(codes[:, 1:].shape).mean((2, 3))[:, -HORIZON:]
    distance = feature_distance(model.features(imagined), model.features(real[:, STEPS]))
    return {
        "feature_distance": distance,
        "moving_pixels_psnr_db": (error * moves).sum((2, 3)),
        "cross_entropy_nats": surprise[:, STEPS],
    }
