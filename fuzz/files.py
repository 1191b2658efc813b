"""Files that somebody else may have written: read as what they must be, or refused by name."""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import yaml

from fuzz.draw import Draw, edited, file_of
from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import MANIFEST, Episode, EpisodeInfo, load_episode, read_manifest
from whale_ros.gate.config import GateConfig
from whale_ros.imagination.calibration import (
    CALIBRATION,
    Calibration,
    CalibrationError,
    load_calibration,
    why_void,
)
from whale_ros.nodes import gate as gate_node
from whale_ros.nodes import planner, scripted_policy, sim_robot, world_model
from whale_ros.nodes.parameters import BadParameter
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
from whale_ros.world_model.whale_st import WhaleST

ROOT = Path(__file__).parents[1]
FOLDER = Path(
    tempfile.mkdtemp(prefix="fuzz", dir="/dev/shm" if Path("/dev/shm").exists() else None)
)
NODES = (gate_node, planner, world_model, sim_robot, scripted_policy)
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
MANIFEST_DOCUMENT = {
    "action_space": ActionSpace().to_dict(),
    "files_sha256": "0" * 64,
    "episodes": [asdict(EpisodeInfo(f"{i}.npz", "train", "reach", "expert", i)) for i in (0, 1)],
}
ROBOT_DOCUMENT = yaml.safe_load((ROOT / "config/robots/ur.yaml").read_text())
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
    head, tensors = _good_weights()
    document = edited({"card": asdict(SMALL_CARD), "head": head}, Draw(data))
    try:
        written_card, written_head = dict(document["card"]), json.dumps(document["head"]).encode()
    except (TypeError, KeyError, ValueError):
        return
    if data[:1] == b"R":
        written_head = data[1:]
    weights = struct.pack("<Q", len(written_head)) + written_head + tensors
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


def manifest(data: bytes) -> None:
    (FOLDER / MANIFEST).write_bytes(file_of(data, MANIFEST_DOCUMENT, json.dumps))
    try:
        space, episodes = read_manifest(FOLDER)
    except ValueError:
        return
    assert space.signature
    for info in episodes:
        words = info.file, info.split, info.task, info.behavior
        assert all(isinstance(word, str) for word in words) and isinstance(info.seed, int)
        assert (FOLDER / info.file).resolve().is_relative_to(FOLDER.resolve())


def episode(data: bytes) -> None:
    path = FOLDER / "episode.npz"
    path.write_bytes(data)
    try:
        read = load_episode(path)
    except ValueError:
        return
    steps = len(read.actions)
    assert steps > 0 and read.actions.shape == (steps, 7)
    assert read.frames.ndim == 4 and read.frames.shape[::3] == (steps + 1, 3)
    assert read.frames.dtype == np.uint8 and read.hand_position.shape == (steps + 1, 3)
    for name, array in read.arrays().items():
        assert array.dtype.kind == {"frames": "u", "success": "b"}.get(name, "f")
        assert np.isfinite(array).all()


def model_yaml(data: bytes) -> None:
    path = FOLDER / "model.yaml"
    path.write_bytes(file_of(data, MODEL_DOCUMENT, yaml.safe_dump))
    try:
        read = WhaleConfig.from_yaml(path)
    except ValueError:
        return
    assert WhaleConfig.from_dict(json.loads(json.dumps(read.to_dict()))) == read


def robot_yaml(data: bytes) -> None:
    """What the nodes make of the values of a parameter file, which rcl has parsed."""
    document = edited(ROBOT_DOCUMENT, Draw(data))
    try:
        given = dict(document["/**"]["ros__parameters"])
    except (TypeError, KeyError, ValueError):
        return
    given = {k: v for k, v in given.items() if not isinstance(v, int) or abs(v) < 2**63}  # as rcl
    for node in NODES:
        try:
            values = {
                row.name: row.check(given.get(row.name, row.default)) for row in node.PARAMETERS
            }
        except BadParameter:
            continue
        if node is gate_node:
            _check_gate(values)


def _check_gate(values: dict[str, Any]) -> None:
    try:
        config = gate_node.gate_config(values)
    except ValueError:
        return
    assert isinstance(config, GateConfig) and 0 < config.cycle_s < 1
    assert all(a < b for a, b in zip(config.workspace_low, config.workspace_high, strict=True))


# ---- where to begin


def documents() -> list[bytes]:
    """Few edits, and many."""
    return [b"", bytes(range(200)), bytes(range(255, 55, -1)), bytes([3, *[5, 1, 7, 2] * 9])]


def json_files() -> list[bytes]:
    odd = [b"R" + b"[" * 2000, b"R{}", b'R{"schema": 3, "config": {}}', b"R" + b"9" * 5000]
    return [*documents(), *odd]


def models() -> list[bytes]:
    odd = [b"R" + b"[" * 2000, b"Rtokenizer: !!python/object:os.system {}", b"R? {a: b}\n: c"]
    return [*documents(), *odd, *(b"R" + file.read_bytes() for file in shipped())]


def episodes() -> list[bytes]:
    rng = np.random.default_rng(0)
    seeds = []
    for save in (np.savez, np.savez_compressed):
        made = Episode(
            rng.integers(0, 255, (3, 4, 4, 3)).astype(np.uint8),
            rng.random((2, 7), np.float32),
            rng.random((3, 3), np.float32),
            rng.random((3, 3), np.float32),
            rng.random(3, np.float32),
            np.array([False, False, True]),
        )
        file = io.BytesIO()
        save(file, **made.arrays())
        seeds.append(file.getvalue())
    return seeds


@cache
def _good_weights() -> tuple[Any, bytes]:
    """The head of a file of weights, and what follows it."""
    file = safetensors.torch.save(WhaleST(SMALL, ActionSpace()).state_dict())
    (length,) = struct.unpack("<Q", file[:8])
    return json.loads(file[8 : 8 + length]), file[8 + length :]
