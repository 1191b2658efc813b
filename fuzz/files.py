"""Files that somebody else may have written: read as what they must be, or refused by name."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import yaml

from fuzz.draw import FOLDER, ROOT, Draw, edited, file_of
from whale_ros.actions.space import ActionSpace
from whale_ros.data.conventions import Conventions, of_recording, of_robot
from whale_ros.data.conversion_log import CONVERSION, ConversionLog
from whale_ros.data.episodes import MANIFEST, Episode, EpisodeInfo, load_episode, read_manifest
from whale_ros.data.recording import RECORDING, Recording, read_recording
from whale_ros.gate.config import GateConfig
from whale_ros.nodes import (
    demonstrator,
    gate_parameters,
    planner_parameters,
    recorder_parameters,
    scripted_policy,
    sim_robot,
    trainer,
    world_model,
)
from whale_ros.nodes.parameters import BadParameter
from whale_ros.training.record import RECORD, claim_run

NODES = (
    gate_parameters,
    planner_parameters,
    recorder_parameters,
    world_model,
    sim_robot,
    scripted_policy,
    demonstrator,
    trainer,
)
INFOS = [EpisodeInfo(f"{i}.npz", "train", "reach", "expert", i) for i in (0, 1)]
MANIFEST_DOCUMENT = {
    "action_space": ActionSpace().to_dict(),
    "files_sha256": "0" * 64,
    "episodes": [asdict(info) for info in INFOS],
}
RECORDING_DOCUMENT = {
    "format": 1,
    **asdict(
        Recording(
            episode="episode_000000",
            robot="sim",
            topics={"camera": "/camera/image", "pose": "/ee_pose", "command": "/arm/twist_command"},
            action_source="commanded_twists",
            base_frame="base",
            began=1.7e9,
            action_space=ActionSpace().to_dict(),
        )
    ),
}
CONVERSION_DOCUMENT = {
    "kind": {"action_space": ActionSpace().to_dict(), "resolution": 64},
    "bags": [{"number": 0, "sha256": "0" * 64, "task": "reach", "episodes": [{"file": "0.npz"}]}],
}
RUN = {"stage": {"steps": 2, "learning_rate": 0.1}, "data": "0" * 64, "parts": ["a", None]}


def _parameters() -> dict[str, Any]:
    """Those of a robot and of all nodes, in one file."""
    files = [*sorted((ROOT / "config").glob("*.yaml")), ROOT / "config/robots/ur.yaml"]
    every: dict[str, Any] = {}
    for file in files:
        for node in yaml.safe_load(file.read_text()).values():
            every |= node["ros__parameters"]
    return {"/**": {"ros__parameters": every}}


PARAMETERS_DOCUMENT = _parameters()


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


def recording(data: bytes) -> None:
    (FOLDER / RECORDING).write_bytes(file_of(data, RECORDING_DOCUMENT, json.dumps))
    try:
        _check_conventions(of_recording(read_recording(FOLDER)))
    except ValueError:
        return


def conversion(data: bytes) -> None:
    (FOLDER / CONVERSION).write_bytes(file_of(data, CONVERSION_DOCUMENT, json.dumps))
    try:
        log = ConversionLog(FOLDER)
        log.must_be_of({"resolution": 64})
    except ValueError:
        return
    assert log.space.signature and len(log.infos()) >= 0
    assert log.entry_of("") is None and isinstance(log.next_number(), int)
    assert all(camera["width"] > 0 < camera["height"] for camera in log.cameras())


def run_record(data: bytes) -> None:
    (FOLDER / RECORD).write_bytes(file_of(data, RUN, json.dumps))
    try:
        claim_run(FOLDER, **RUN)
    except ValueError:
        return


def parameters(data: bytes) -> None:
    """What the nodes make of the values of a file, which rcl has parsed; and who reads bags."""
    document = edited(PARAMETERS_DOCUMENT, Draw(data))
    path = FOLDER / "robot.yaml"
    path.write_bytes(data[1:] if data[:1] == b"R" else yaml.safe_dump(document).encode())
    with contextlib.suppress(ValueError):
        _check_conventions(of_robot(str(path)))
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
        if hasattr(node, "why_contradictory"):
            reason = node.why_contradictory(values)
            assert reason is None or reason, "it says why"
            if node is gate_parameters and reason is None:
                _check_gate(gate_parameters.gate_config(values))


def _check_gate(config: GateConfig) -> None:
    assert 0 < config.cycle_s < 1
    assert all(a < b for a, b in zip(config.workspace_low, config.workspace_high, strict=True))


def _check_conventions(conventions: Conventions) -> None:
    assert conventions.wanted() and conventions.base_frame
    assert conventions.gripper_open != conventions.gripper_closed
    assert min(conventions.command_timeout_s, conventions.space.step_s) > 0


# ---- where to begin


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
