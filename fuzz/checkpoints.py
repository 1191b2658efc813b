"""Weights, and what describes them: read as what they must be, or refused by name."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import struct
from dataclasses import asdict
from functools import cache
from typing import Any

import safetensors.torch
import torch
import yaml

from fuzz.draw import FOLDER, ROOT, Draw, edited, file_of, yaml_files
from whale_ros.actions.space import ActionSpace
from whale_ros.evaluation.lpips import HEADS, NETWORK, load_lpips
from whale_ros.imagination.calibration import (
    CALIBRATION,
    Calibration,
    CalibrationError,
    load_calibration,
    why_void,
)
from whale_ros.training.loop import Outcome, Schedule, Stage, train
from whale_ros.world_model.checkpoint import (
    CARD,
    SHIPPED,
    WEIGHTS,
    Card,
    CheckpointError,
    Scales,
    load_checkpoint,
    read_card,
)
from whale_ros.world_model.config import (
    BehaviorConfig,
    DynamicsConfig,
    TokenizerConfig,
    WhaleConfig,
    shipped,
)
from whale_ros.world_model.value import FILE as VALUE
from whale_ros.world_model.value import Value, features_of, load_value
from whale_ros.world_model.whale_st import WhaleST

SMALL = WhaleConfig(
    name="small",
    tokenizer=TokenizerConfig(
        resolution=8, channels=(8,), width=8, layers=1, heads=1, code_dim=1, code_levels=3
    ),
    behavior=BehaviorConfig(width=2, layers=1, heads=1, window=10, z_dim=1),
    dynamics=DynamicsConfig(width=2, layers=1, heads=1, window=8),
)
SMALL_CARD = Card(SMALL, ActionSpace(), Scales(0.1, 0.2, 3.0))


def _json(name: str) -> Any:
    return json.loads((SHIPPED / name).read_text())


CARD_DOCUMENT = _json(CARD)
CALIBRATION_DOCUMENT = _json(CALIBRATION)
CONDITIONS = load_calibration(SHIPPED / CALIBRATION).conditions
MODEL_DOCUMENT = yaml.safe_load((ROOT / "config/models/tiny.yaml").read_text())


def card(data: bytes) -> None:
    (FOLDER / WEIGHTS).touch()
    (FOLDER / CARD).write_bytes(file_of(data, CARD_DOCUMENT, json.dumps))
    try:
        read = read_card(FOLDER)
    except CheckpointError:
        return
    assert isinstance(read, Card) and WhaleConfig.from_dict(read.config.to_dict()) == read.config
    assert all(0 < scale < math.inf for scale in asdict(read.scales).values())


def checkpoint(data: bytes) -> None:
    """A card and weights that it describes, as somebody with bad intent would write them."""
    head, tensors = _taken_apart(_weights())
    document = edited({"card": asdict(SMALL_CARD), "head": head}, Draw(data))
    try:
        written_card, written_head = dict(document["card"]), json.dumps(document["head"]).encode()
    except (TypeError, KeyError, ValueError):
        return
    weights = _put_together(data[1:] if data[:1] == b"R" else written_head, tensors)
    written_card["sha256"] = hashlib.sha256(weights).hexdigest()
    (FOLDER / WEIGHTS).write_bytes(weights)
    (FOLDER / CARD).write_text(json.dumps(written_card))
    try:
        model, card = load_checkpoint(FOLDER)
    except CheckpointError:
        return
    for name, tensor in WhaleST(card.config, card.action_space).state_dict().items():
        assert model.state_dict()[name].shape == tensor.shape


def calibration(data: bytes) -> None:
    path = FOLDER / CALIBRATION
    path.write_bytes(file_of(data, CALIBRATION_DOCUMENT, json.dumps))
    try:
        read = load_calibration(path)
    except CalibrationError:
        return
    assert isinstance(read, Calibration) and read.factor() > 0 and 0 < read.alpha < 1
    assert all(read.factor(task) > 0 for task in read.scores)
    assert (why_void(read, CONDITIONS) == "") == (read.conditions == CONDITIONS)


def value(data: bytes) -> None:
    head, tensors = _taken_apart(_value())
    (FOLDER / VALUE).write_bytes(_put_together(file_of(data, head, json.dumps), tensors))
    try:
        read = load_value(FOLDER, SMALL_CARD)
    except CheckpointError:
        return
    assert isinstance(read, Value)


def run_state(data: bytes) -> None:
    """What a training that was interrupted goes on with."""
    head, tensors = _taken_apart(_state())
    path = FOLDER / "stage.safetensors"
    path.write_bytes(_put_together(file_of(data, head, json.dumps), tensors))
    try:
        outcome = _go_on()
    except ValueError:
        return
    assert isinstance(outcome.steps, int)


def picture_weights(data: bytes) -> None:
    """What torch pickled, elsewhere: nothing but tensors comes out of it."""
    (FOLDER / NETWORK).write_bytes(data)
    (FOLDER / HEADS).write_bytes(data)
    try:
        load_lpips(FOLDER)
    except ValueError:
        return
    raise AssertionError("these were no weights of that network")


def model_yaml(data: bytes) -> None:
    path = FOLDER / "model.yaml"
    path.write_bytes(file_of(data, MODEL_DOCUMENT, yaml.safe_dump))
    try:
        read = WhaleConfig.from_yaml(path)
    except ValueError:
        return
    assert WhaleConfig.from_dict(json.loads(json.dumps(read.to_dict()))) == read


# ---- where to begin


def models() -> list[bytes]:
    return [*yaml_files(), *(b"R" + file.read_bytes() for file in shipped())]


def pickled() -> list[bytes]:
    file = io.BytesIO()
    torch.save({"features.0.weight": torch.zeros(1), "lin0.model.1.weight": torch.ones(1)}, file)
    old = io.BytesIO()
    torch.save({"features.0.bias": torch.ones(2)}, old, _use_new_zipfile_serialization=False)
    return [file.getvalue(), old.getvalue(), pickle.dumps({"features.0.bias": [1.0]}), b""]


def _taken_apart(file: bytes) -> tuple[Any, bytes]:
    """The head of a file of safetensors, and what follows it."""
    (length,) = struct.unpack("<Q", file[:8])
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def _put_together(head: bytes, tensors: bytes) -> bytes:
    return struct.pack("<Q", len(head)) + head + tensors


@cache
def _weights() -> bytes:
    return safetensors.torch.save(WhaleST(SMALL, ActionSpace()).state_dict())


@cache
def _value() -> bytes:
    words = {"checkpoint": SMALL_CARD.sha256}
    return safetensors.torch.save(Value(features_of(SMALL_CARD)).state_dict(), words)


@cache
def _state() -> bytes:
    (FOLDER / "stage.safetensors").unlink(missing_ok=True)
    _go_on()
    return (FOLDER / "stage.safetensors").read_bytes()


def _go_on() -> Outcome:
    """Two steps in all."""
    layer = torch.nn.Linear(1, 1)
    stage = Stage(
        "stage",
        layer,
        lambda generator: (torch.rand(2, 1, generator=generator),),
        lambda rows, generator: (layer(rows).square().mean(), {}),
        held_out=lambda: float(layer.weight.detach().square().sum()),
    )
    return train(stage, Schedule(2, 0.1), FOLDER)
