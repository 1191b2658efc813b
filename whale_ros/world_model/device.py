"""The devices that a model can be on."""

from __future__ import annotations

import torch


def find_device(name: str = "auto") -> torch.device:
    """auto: a GPU if there is one. Raises ValueError that lists the devices if it is not there."""
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    if name not in ["cpu", *gpus, *(["cuda"] if gpus else [])]:
        there = ", ".join(["cpu", *gpus])
        raise ValueError(f"there is no device {name!r} that torch can use; there are: {there}")
    return torch.device(name)
