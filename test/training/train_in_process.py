"""Train a network of a few weights, as a process that can be killed.

python train_in_process.py RUN STEPS
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from whale_ros.training.loop import Schedule, Stage, train

torch.set_num_threads(1)
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
    return (torch.randn(16, 4, generator=generator),)


def loss(x: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    noise = torch.randn(len(x), 1, generator=generator)
    return (network(x) - x.sum(1, keepdim=True) + noise).square().mean(), {}


train(Stage("small", network, batch, loss), Schedule(int(sys.argv[2]), 1e-2), Path(sys.argv[1]))
