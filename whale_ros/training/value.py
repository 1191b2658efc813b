"""Learn from episodes that succeeded how many steps are left until a goal picture is reached."""

from __future__ import annotations

import torch
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm, trange

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.value import Value
from whale_ros.world_model.whale_st import WhaleST

STEPS = 3000
BATCH = 512
LEARNING_RATE = 1e-3
NOISE = 0.1  # added to features: those to be judged are imagined
GOAL_AFTER = 4  # a goal is a frame up to so many steps after the first success
# Below a half, the smaller of several numbers of steps from a scene counts more (expectile
# regression, arXiv 2110.06169): an episode that dawdles says little of how near the goal is.
EXPECTILE = 0.2


def train_value(model: WhaleST, data: EpisodeSet, seed: int, steps: int = STEPS) -> Value:
    """Raises ValueError if no episode succeeds."""
    features, success = _successes(model, data)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        value = Value(features.flat[0].numel())
    optimizer = torch.optim.AdamW(value.parameters(), LEARNING_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in trange(steps, desc="training the value"):
        row = torch.randint(len(features), (BATCH,), generator=generator)
        frame = (torch.rand(BATCH, generator=generator) * features.lengths[row]).long()
        goal = success[row] + torch.randint(GOAL_AFTER + 1, (BATCH,), generator=generator)
        left = (success[row] - frame).clamp(min=0)
        seen = features[row, frame]
        seen = seen + NOISE * torch.randn(seen.shape, generator=generator)
        error = left - value(seen, features[row, goal.minimum(features.lengths[row] - 1)])
        loss = (torch.where(error < 0, 1 - EXPECTILE, EXPECTILE) * error**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return value.eval().requires_grad_(False)


@torch.inference_mode()
def rank_correlation(model: WhaleST, value: Value, data: EpisodeSet) -> float:
    """Mean over episodes that succeed: Spearman of what it reads and the steps really left.

    Raises ValueError if none of them takes 3 steps or more.
    """
    found = []
    for features, success in zip(*_successes(model, data), strict=True):
        if (steps := int(success)) >= 3:
            read = value(features[: steps + 1], features[steps])
            found.append(spearmanr(read.numpy(), range(steps, -1, -1)).statistic)
    if not found:
        raise ValueError(f"no episode of {data.folder} takes 3 steps or more to its success")
    return float(sum(found) / len(found))


@torch.inference_mode()
def _successes(model: WhaleST, data: EpisodeSet) -> tuple[Sequences, Tensor]:
    """Features (T_e+1, N, C) of the episodes that succeed, and when they do (E,)."""
    rows = torch.nonzero(data.success_at > 0).flatten()
    if not len(rows):
        raise ValueError(f"no episode of {data.folder} succeeds; a value is learned from those")
    encoded = [
        model.features(model.encode(to_float(data.frames[int(row)].to(model.device)))).cpu()
        for row in tqdm(rows, "encoding")
    ]
    return Sequences(encoded), data.success_at[rows]
