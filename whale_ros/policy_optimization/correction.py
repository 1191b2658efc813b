"""A policy that corrects the cloned one a little (residual learning, arXiv 1812.03201).

Left free, SAC goes within a few hundred steps to actions that the data does not have, where neither
its critic nor the world model is worth anything.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

LIMIT = 0.4  # of a correction, in each number of an action


class Correction:
    """Adds corrections, -1 .. 1 in units of the limit, to what the clone does."""

    def __init__(self, clone: nn.Module, limit: float = LIMIT) -> None:
        self.clone, self.limit = clone, limit

    def apply(self, observations: np.ndarray, corrections: np.ndarray) -> np.ndarray:
        """Actions (..., ACTION) for observations (..., D) and corrections (..., ACTION)."""
        cloned = self.clone(torch.from_numpy(observations)).numpy()
        return np.clip(cloned + self.limit * corrections, -1.0, 1.0)

    def of(self, observations: Tensor, actions: Tensor) -> Tensor:
        """What corrections (..., ACTION) lead to actions; some are beyond -1 .. 1."""
        return (actions - self.clone(observations)) / self.limit
