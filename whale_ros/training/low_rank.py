"""Training a large network by what is added to its linear layers: W + B A, where W stays as it is.

B and A have few rows or columns (LoRA, arXiv 2106.09685), so that gradients and the optimiser's
moments, three times the memory of what is trained, cost next to nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

RANK = 16


class LowRank(nn.Module):
    def __init__(self, outputs: int, inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        down = torch.empty(RANK, inputs).uniform_(-bound, bound, generator=generator)
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(torch.zeros(outputs, RANK))  # so that at first nothing is added

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def make_low_rank(network: nn.Module, seed: int) -> None:
    """Freeze the network but for what is added to every linear layer that is larger than that."""
    generator = torch.Generator().manual_seed(seed)
    network.requires_grad_(False)
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear) and min(layer.weight.shape) > RANK:
            added = LowRank(layer.out_features, layer.in_features, generator)
            added.to(layer.weight.device)
            parametrize.register_parametrization(layer, "weight", added)


def merge(network: nn.Module) -> None:
    """Add what was learned to the layers themselves, which are as before then."""
    for layer in list(network.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    network.requires_grad_(True)
