"""Where is the hand, or the object? A small network reads it from a picture, real or imagined.

It is trained on real pictures only, so that an imagined thing counts as being where it is seen. Its
own error on real held-out pictures is the floor under all that it measures.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.frames import to_float

SIZE = 64  # pixels that it looks at, square
CHANNELS = (16, 32, 64, 64)
STEPS = 1500
LOOKS = 20  # at a picture, at most: small datasets are soon known by heart
BATCH = 64
LEARNING_RATE = 2e-3


class PositionProbe(nn.Module):
    """Pictures (B, 3, R, R) float in [0, 1] to positions (B, 3) in the base frame [m]."""

    mean: Tensor  # (3,)
    spread: Tensor  # (3,)

    def __init__(self) -> None:
        super().__init__()
        self.network = reader(3)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("spread", torch.ones(3))

    def forward(self, frames: Tensor) -> Tensor:
        small = F.adaptive_avg_pool2d(frames, SIZE)
        return self.mean + self.spread * self.network(small - 0.5)


def reader(numbers: int) -> nn.Module:
    """Pictures (B, 3, SIZE, SIZE) to (B, numbers)."""
    sizes = [3, *CHANNELS]
    return nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(i, o, 4, 2, 1), nn.GroupNorm(8, o), nn.SiLU())
            for i, o in zip(sizes[:-1], sizes[1:], strict=True)
        ),
        nn.Flatten(),
        nn.Linear(CHANNELS[-1] * (SIZE >> len(CHANNELS)) ** 2, 128),
        nn.SiLU(),
        nn.Linear(128, numbers),
    )


def train_position_probe(
    data: EpisodeSet,
    positions: Sequences,
    device: torch.device | str = "cpu",
    steps: int = STEPS,
    seed: int = 0,
) -> PositionProbe:
    """To read `positions`, (T_e+1, 3) of each episode, from its frames.

    About a minute on one CPU core; the same seed gives the same probe.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        probe = PositionProbe()
    frames, truth = data.frames.flat, positions.flat
    probe.mean.copy_(truth.mean(0))
    probe.spread.copy_(truth.std(0).clamp(min=1e-3))
    probe.to(device).train()
    steps = min(steps, 2 + LOOKS * len(frames) // BATCH)
    optimizer = torch.optim.AdamW(probe.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in trange(steps, desc="training a position probe"):
        picked = torch.randint(len(frames), (BATCH,), generator=generator)
        error = probe(to_float(frames[picked].to(device))) - truth[picked].to(device)
        loss = F.smooth_l1_loss(error / probe.spread, torch.zeros_like(error))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe.eval().requires_grad_(False)
