"""How many steps a scene is from the picture of a finished task: a value, learned from episodes.

The distance to a goal picture in features hardly changes before hand and object are near their
goal. What a goal-conditioned value reads from both pictures does: it was shown how many steps
episodes took from there to their success. It is kept beside a checkpoint, whose features it reads.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from whale_ros.world_model.checkpoint import Card, CheckpointError

FILE = "value.safetensors"
WIDTH = 256


class Value(nn.Module):
    def __init__(self, features: int) -> None:
        """features: numbers of a frame."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * features, WIDTH),
            nn.LayerNorm(WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.LayerNorm(WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, 1),
        )

    def forward(self, frame: Tensor, goal: Tensor) -> Tensor:
        """Features (..., N, C) of frames and of the goal to steps to go (...), in model steps."""
        frame, goal = torch.broadcast_tensors(frame.flatten(-2), goal.flatten(-2))
        return self.layers(torch.cat([frame, goal, frame - goal], dim=-1)).squeeze(-1)


def features_of(card: Card) -> int:
    """Numbers of a frame's features."""
    tokenizer = card.config.tokenizer
    return tokenizer.tokens * tokenizer.code_dim


def save_value(folder: Path, value: Value, card: Card, training: dict) -> None:
    """Beside the checkpoint in `folder`, atomically. training: where it comes from."""
    partial = folder / (FILE + ".partial")
    about = {"checkpoint": card.sha256, "training": json.dumps(training)}
    save_file(value.state_dict(), partial, metadata=about)
    partial.replace(folder / FILE)


def load_value(folder: Path, card: Card) -> Value | None:
    """None if there is none. Raises CheckpointError if it is broken or of another checkpoint."""
    path = folder / FILE
    if not path.is_file():
        return None
    again = "make it again with `whale train-value`, or remove it"
    try:
        with safe_open(path, "pt") as file:
            if (made_for := (file.metadata() or {}).get("checkpoint")) != card.sha256:
                raise CheckpointError(
                    f"{path} was trained for checkpoint {str(made_for)[:12]}, not for "
                    f"{card.sha256[:12]}; {again}"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        value = Value(features_of(card))
        value.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}; {again}") from error
    return value.eval().requires_grad_(False)
