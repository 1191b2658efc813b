"""Checkpoints: weights as safetensors, and beside them a JSON card that says what they are.

Nothing here unpickles. A checkpoint is a folder with `model.safetensors` and `card.json`.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from whale_ros.actions.space import ActionSpace
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.whale_st import WhaleST

SCHEMA = 3  # 1 had no behaviour model, 2 thresholds where 3 has scales
WEIGHTS, CARD = "model.safetensors", "card.json"
SHIPPED = Path(__file__).parent / "checkpoints" / "tiny"


class CheckpointError(ValueError):
    """A checkpoint that must not be used; the message names it and says why."""


@dataclass(frozen=True)
class Scales:
    """Units of the uncertainties: bounds that most nominal held-out data stays under.

    A calibration tells how many times a scale a threshold is. Raises ValueError if one is none.
    """

    live_uncertainty: float  # of one retraced step from the present
    candidate_uncertainty: float  # of a whole rollout
    unfamiliarity: float  # of one image

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            if not (isinstance(value, float | int) and math.isfinite(value) and value > 0):
                raise ValueError(f"scale {name} must be a positive number, not {value!r}")


@dataclass(frozen=True)
class Card:
    """What a checkpoint is and how it was made."""

    config: WhaleConfig
    action_space: ActionSpace
    scales: Scales
    sha256: str = ""  # of the weights file
    action_statistics: dict = field(default_factory=dict)  # of the training episodes
    camera: str = ""  # in words: which camera and where it stands; the resolution is in `config`
    training: dict = field(default_factory=dict)  # data, steps, seeds, hardware, seconds
    metrics: dict = field(default_factory=dict)  # on held-out episodes
    licence: str = "Apache-2.0"
    schema: int = SCHEMA


def save_checkpoint(folder: Path, model: WhaleST, card: Card) -> Card:
    """Write weights and card; returns the card with the hash filled in.

    Raises ValueError if the card holds NaN or infinity, which are no JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
    content = asdict(card) | {"sha256": _sha256(weights.read_bytes())}
    (folder / CARD).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    return read_card(folder)


def save_checkpoint_at_once(folder: Path, model: WhaleST, card: Card) -> Card:
    """As `save_checkpoint`, into a folder that is there as a whole or, after a kill, not at all.

    Raises ValueError as it does, and OSError if the folder is there already.
    """
    partial = folder.with_suffix(".partial")
    card = save_checkpoint(partial, model, card)
    partial.rename(folder)
    return card


def load_checkpoint(folder: Path) -> tuple[WhaleST, Card]:
    """Raises CheckpointError if anything is absent, corrupt or does not fit."""
    card = read_card(folder)
    weights = (folder / WEIGHTS).read_bytes()
    if (found := _sha256(weights)) != card.sha256:
        raise CheckpointError(
            f"checkpoint {folder}: {WEIGHTS} is corrupt or not the one that the card describes "
            f"(SHA-256 {found[:12]}..., the card says {card.sha256[:12]}...); copy it again"
        )
    try:
        tensors = load(weights)
        _check_shapes(tensors, card)
        model = WhaleST(card.config, card.action_space)
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {folder}: weights do not fit: {error}") from error
    return model.eval(), card


def _check_shapes(tensors: dict[str, Tensor], card: Card) -> None:
    """Raises ValueError naming the first weight that is not as the configuration has it."""
    with torch.device("meta"):  # a card that claims to be huge shall not fill the memory
        expected = WhaleST(card.config, card.action_space).state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        if name not in expected:
            raise ValueError(f"{name} is unknown")
        if (found := tuple(tensors[name].shape)) != (wanted := tuple(expected[name].shape)):
            raise ValueError(f"{name} has the shape {found}, its configuration gives {wanted}")


def read_card(folder: Path) -> Card:
    """Raises CheckpointError if there is no card or it cannot be read."""
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"checkpoint {folder} has no {name}; give a folder that `whale train` wrote, "
                "or leave the parameter empty for the one that is shipped"
            )
    try:
        content = json.loads((folder / CARD).read_text())
        if content.get("schema") != SCHEMA:
            raise ValueError(
                f"schema {content.get('schema')!r}, this version of whale_ros reads {SCHEMA} only"
            )
        content["config"] = WhaleConfig.from_dict(content["config"])
        content["action_space"] = ActionSpace.from_dict(content["action_space"])
        content["scales"] = Scales(**content["scales"])
        return Card(**content)
    except (
        ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError,
    ) as error:  # fmt: skip
        raise CheckpointError(f"checkpoint {folder}: {CARD} cannot be read: {error}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
