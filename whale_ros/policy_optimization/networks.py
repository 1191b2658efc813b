"""Small networks that read an observation: progress, which is the reward, and the cloned action."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from whale_ros.policy_optimization.offline import OfflineData

WIDTH = 128
STEPS = 1500
BATCH = 256
LEARNING_RATE = 1e-3


def train_reward(data: OfflineData, seed: int, steps: int = STEPS) -> nn.Module:
    """Observations (..., D) to progress (..., 1), 0 .. 1; the same seed gives the same network."""
    network = _network(data.observations.shape[-1], 1, nn.Sigmoid(), seed)
    inputs, targets = data.observations.flatten(0, 1), data.progress.flatten().unsqueeze(-1)
    return _regress(network, inputs, targets, steps, seed, "training the reward")


def train_clone(data: OfflineData, seed: int, steps: int = STEPS) -> nn.Module:
    """Observations (..., D) to actions (..., ACTION): behaviour cloning of all the episodes."""
    targets = data.policy_actions.flatten(0, 1)
    network = _network(data.observations.shape[-1], targets.shape[-1], nn.Tanh(), seed)
    inputs = data.observations[:, :-1].flatten(0, 1)
    return _regress(network, inputs, targets, steps, seed, "cloning")


def check_reward(reward: nn.Module, data: OfflineData) -> dict[str, float]:
    """How well it reads episodes that it was not trained on."""
    pair = torch.stack([reward(data.observations).flatten(), data.progress.flatten()])
    return {
        "correlation": float(torch.corrcoef(pair)[0, 1]),
        "rmse": float(F.mse_loss(pair[0], pair[1]).sqrt()),
        "frames": pair.shape[1],
    }


def _network(inputs: int, outputs: int, squash: nn.Module, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(inputs, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, outputs),
            squash,
        )


def _regress(
    network: nn.Module, inputs: Tensor, targets: Tensor, steps: int, seed: int, name: str
) -> nn.Module:
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in trange(steps, desc=name):
        picked = torch.randint(len(inputs), (BATCH,), generator=generator)
        loss = F.mse_loss(network(inputs[picked]), targets[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)
