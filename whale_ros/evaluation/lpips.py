"""LPIPS (arXiv 1801.03924): how different two pictures look, from AlexNet's features.

Its two weight files are not ours to ship. Put both into one folder, under their published names:

    alexnet-owt-7be5be79.pth   https://download.pytorch.org/models/alexnet-owt-7be5be79.pth
    alex.pth                   https://github.com/richzhang/PerceptualSimilarity,
                               in lpips/weights/v0.1
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NETWORK, HEADS = "alexnet-owt-7be5be79.pth", "alex.pth"
MEAN = (-0.030, -0.088, -0.188)  # of pictures in [-1, 1], as AlexNet was trained
SPREAD = (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """Weights are random until loaded."""

    def __init__(self) -> None:
        super().__init__()
        pool, relu = nn.MaxPool2d(3, 2), nn.ReLU()
        self.features = nn.Sequential(  # numbered as in torchvision's AlexNet
            *(nn.Conv2d(3, 64, 11, 4, 2), relu, pool),
            *(nn.Conv2d(64, 192, 5, 1, 2), relu, pool),
            *(nn.Conv2d(192, 384, 3, 1, 1), relu),
            *(nn.Conv2d(384, 256, 3, 1, 1), relu),
            *(nn.Conv2d(256, 256, 3, 1, 1), relu),
        )
        convolutions = [layer for layer in self.features if isinstance(layer, nn.Conv2d)]
        self.heads = nn.ParameterList(
            torch.rand(1, layer.out_channels, 1, 1) for layer in convolutions
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance (B,) of pictures (B, 3, R, R) float in [0, 1], R >= 32."""
        apart = torch.zeros(len(first), device=first.device)
        for one, two, head in zip(
            self._levels(first), self._levels(second), self.heads, strict=True
        ):
            apart = apart + (head * (one - two).square()).sum(1).mean((1, 2))
        return apart

    def _levels(self, frames: Tensor) -> list[Tensor]:
        """The features after each ReLU, of length one at every place."""
        mean, spread = frames.new_tensor((MEAN, SPREAD)).view(2, 3, 1, 1)
        x = (2 * frames - 1 - mean) / spread
        levels = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                levels.append(F.normalize(x, dim=1, eps=1e-10))
        return levels


def load_lpips(folder: Path) -> Lpips:
    """Raises ValueError naming the file that is absent or holds something else."""
    network = {
        key: tensor
        for key, tensor in _read(folder / NETWORK).items()
        if key.startswith("features.")
    }
    heads = {
        key.replace("lin", "heads.").removesuffix(".model.1.weight"): tensor
        for key, tensor in _read(folder / HEADS).items()
    }
    lpips = Lpips()
    try:
        lpips.load_state_dict(network | heads)
    except RuntimeError as error:
        raise ValueError(f"{folder}: these are not the weights of LPIPS: {error}") from error
    return lpips.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"{path} is not there; where to get it says {__name__}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of broken bytes torch complains in many ways
        raise ValueError(f"{path} holds no weights: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no weights but a {type(content).__name__}")
    return content
