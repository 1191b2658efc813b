"""What the columns of a LeRobot dataset mean: a small YAML file, as those in config/lerobot."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import yaml

from whale_ros.actions.space import TYPES
from whale_ros.data.lerobot.files import Info
from whale_ros.shipped import config_files

POSES, AT_END = "poses", "at_end"
FORMS = {"rotation_vector": 3, "euler_xyz": 3, "quaternion_xyzw": 4, "quaternion_wxyz": 4}
JOINT = re.compile(r"joint|motor|shoulder|elbow|waist|forearm|\.pos$|^q\d", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """Some numbers of a column: by their names in meta/info.json, or by their places from 0."""

    column: str
    at: list[str | int]

    def read(self, rows: dict[str, np.ndarray], info: Info) -> np.ndarray:
        """(N, len(at)) of rows (N, width). Raises ValueError naming a place that there is not."""
        names, width = info.names(self.column), info.width(self.column)
        places = [names.index(at) if isinstance(at, str) and at in names else at for at in self.at]
        columns = [at for at in places if isinstance(at, int) and 0 <= at < width]
        if len(columns) < len(places):
            raise ValueError(
                f"column {self.column!r} does not have {self.at}: its names are {names}, its "
                f"places 0 to {width - 1}"
            )
        return rows[self.column][:, columns]


@dataclass(frozen=True)
class Position(Part):
    unit: float = 1.0  # metres that a 1 means


@dataclass(frozen=True)
class Rotation(Part):
    form: str = "rotation_vector"
    unit: float = 1.0  # radians that a 1 means


@dataclass(frozen=True)
class Gripper(Part):
    open: float = 0.0
    closed: float = 1.0


@dataclass(frozen=True)
class Mapping:
    """Columns and their meaning.

    camera: its key. actions: the type of the deltas (see actions.space), or "poses": the action is
    then the difference from pose to pose, in the base frame. Columns that begin with "observation."
    were measured in that moment, others were commanded from then on. rotation: None if the hand
    never turns. hand: position of the hand in the base frame. success: a column (one that begins
    with "next." is about the end of the action), "at_end" if every demonstration succeeded, None if
    nobody knows.
    """

    camera: str
    actions: str
    position: Position
    rotation: Rotation | None
    gripper: Gripper
    hand: Position
    success: str | None

    def __post_init__(self) -> None:
        if re.search("joint|motor", self.actions):
            raise ValueError(_joints(f"actions: {self.actions!r}"))
        if self.actions not in (*TYPES, POSES):
            raise ValueError(f"actions: {self.actions!r} is none of {', '.join((*TYPES, POSES))}")
        wanted = {"position": 3, "gripper": 1, "hand": 3}
        if self.rotation is not None:
            form = self.rotation.form
            if form not in FORMS:
                raise ValueError(f"rotation: form {form!r} is none of {', '.join(FORMS)}")
            wanted["rotation"] = FORMS[form]
            if self.actions == "euler_coordinate_difference" and form != "euler_xyz":
                raise ValueError(f"rotation: {self.actions} has the form euler_xyz, not {form!r}")
            if measured(self.rotation) != measured(self.position):
                raise ValueError("position and rotation: one is measured, the other commanded")
        for name, count in wanted.items():
            if len(getattr(self, name).at) != count:
                raise ValueError(f"{name}: `at` must name {count} numbers")
        if self.actions != POSES and measured(self.position):
            raise ValueError(f"position: a column of {self.actions} is no observation")
        if self.gripper.open == self.gripper.closed:
            raise ValueError("gripper: open and closed are the same")

    @property
    def columns(self) -> set[str]:
        """That hold numbers."""
        parts = [p.column for p in (self.position, self.rotation, self.gripper, self.hand) if p]
        return {*parts, *(c for c in (self.success,) if c is not None and c != AT_END)}

    def must_fit(self, info: Info) -> None:
        """Raise ValueError if a column is absent, or its names tell of joints."""
        for column in self.columns:
            info.width(column)
        empty = {column: np.empty((0, info.width(column))) for column in self.columns}
        for part in filter(None, (self.position, self.rotation, self.gripper, self.hand)):
            part.read(empty, info)
            names = info.names(part.column)
            told = [
                at if isinstance(at, str) else (names[at : at + 1] or [""])[0] for at in part.at
            ]
            if part is not self.gripper and (joints := [n for n in told if JOINT.search(n)]):
                raise ValueError(_joints(f"column {part.column!r} holds {', '.join(joints)}"))


def load_mapping(name: str) -> Mapping:
    """One of config/lerobot by its name, or a file like those by its path.

    Raises ValueError naming the file and what is wrong in it.
    """
    path = _find(name)
    try:
        content = yaml.safe_load(path.read_text())
        parts = {"position": Position, "rotation": Rotation, "gripper": Gripper, "hand": Position}
        for part in parts.keys() & content.keys():
            if content[part] is not None or part != "rotation":
                content[part] = _part(parts[part], part, content[part])
        return _part(Mapping, "it", content)
    except (
        OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} is no mapping of a LeRobot dataset: {error}") from None


def _find(name: str) -> Path:
    if Path(name).suffix:
        return Path(name)
    files = {path.stem: path for path in config_files("lerobot")}
    if name not in files:
        known = ", ".join(files)
        raise ValueError(f"no mapping is called {name!r}; known: {known}, or the path of a file")
    return files[name]


def measured(part: Part) -> bool:
    return part.column.startswith("observation.")


def _part(kind: type, name: str, content: dict):
    """Raises ValueError naming unknown and missing keys."""
    known = {field.name for field in fields(kind)}
    if not isinstance(content, dict) or not set(content) <= known:
        raise ValueError(f"{name} takes the keys {sorted(known)}, got {content!r}")
    numbers = [content.get(name, 1.0) for name in ("unit", "open", "closed")]
    if not all(isinstance(number, float | int) for number in numbers):
        raise ValueError(f"{name}: unit, open and closed are numbers, got {content!r}")
    if not all(isinstance(content.get(key, ""), str) for key in ("column", "camera", "actions")):
        raise ValueError(f"{name}: column, camera and actions are names, got {content!r}")
    if "at" in content and not isinstance(content["at"], list):
        content = {**content, "at": [content["at"]]}
    return kind(**content)


def _joints(what: str) -> str:
    return (
        f"{what}: these are joints. The model and the gate know what the hand does; what joints do "
        "to it depends on the arm, of which the dataset tells nothing. Record or add the hand's "
        "pose (LeRobot's ForwardKinematicsJointsToEE), and name its columns with `actions: poses`"
    )
