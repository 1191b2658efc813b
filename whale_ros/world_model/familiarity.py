"""How much a picture looks like the training pictures, by what their principal components miss.

The dynamics cannot tell that a scene is new: a camera pushed aside gives tokens like any others.
A thumbnail's residual outside the principal components of all training thumbnails can (the
classic reconstruction error of principal component analysis), and costs microseconds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 16  # pixels of the thumbnail's side
COMPONENTS = 256  # with fewer, what moves every day is missed as well, and hides what is new
FIT_ON = 10_000  # pictures at most


class Familiarity(nn.Module):
    mean: Tensor  # (3 * SIZE * SIZE,)
    components: Tensor  # (3 * SIZE * SIZE, COMPONENTS), orthonormal columns

    def __init__(self) -> None:
        super().__init__()
        numbers = 3 * SIZE * SIZE
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("components", torch.zeros(numbers, COMPONENTS))

    def fit(self, frames: Tensor) -> None:
        """Learn from training pictures (M, 3, R, R), M >= COMPONENTS."""
        thumbnails = _thumbnails(frames).double()  # in single precision eigh may not converge
        self.mean.copy_(thumbnails.mean(0))
        covariance = torch.cov(thumbnails.T)
        _, vectors = torch.linalg.eigh(covariance)  # ascending
        self.components.copy_(vectors[:, -COMPONENTS:])

    def forward(self, frames: Tensor) -> Tensor:
        """Unfamiliarity of pictures (..., 3, R, R): root mean square residual, 0 .. 1; (...)."""
        x = _thumbnails(frames.reshape(-1, *frames.shape[-3:])) - self.mean
        residual = x - x @ self.components @ self.components.T
        return residual.square().mean(-1).sqrt().reshape(frames.shape[:-3])


def _thumbnails(frames: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(frames, SIZE).flatten(1)
