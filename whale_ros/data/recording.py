"""Demonstrations as rosbag2 bags in MCAP, one folder an episode, that a crash cannot spoil.

    FOLDER/
      episode_000000/             kept: a rosbag2 bag that `ros2 bag`, Foxglove, PlotJuggler open
        episode_000000_0.mcap     profile ros2: serialized messages as they came, ros2msg schemas
        metadata.yaml             of rosbag2, version 8
        recording.json            what it is: `Recording` below
      episode_000001.partial/     being recorded, waiting for a label, or left by a crash

A `.partial` folder is nobody's demonstration until a person keeps it. After a crash it has no
metadata.yaml, its recording.json is that of the beginning (success null, nothing in statistics),
and its .mcap ends without a summary, maybe in the middle of a chunk: every chunk before is whole.

The last gripper command from before an episode, and what latched topics hold, begin each bag.

log_time is when the recorder received a message, publish_time when it was sent, both [ns] of ROS
time; what has a header is to be synchronised by its stamp. No ROS is needed to read or to write.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RECORDING = "recording.json"
PARTIAL = ".partial"
FORMAT = 1
ROLES = ("camera", "pose", "gripper", "command", "gripper_command")
ACTION_SOURCES = ("commanded_twists", "pose_differences")


@dataclass(frozen=True)
class Recording:
    """What a bag is, beside its messages; the keys of recording.json, with "format": 1.

    topics: name in the bag (absolute) by role, of those that were recorded:
        camera sensor_msgs/Image or CompressedImage; pose geometry_msgs/PoseStamped of the hand;
        gripper and gripper_command sensor_msgs/JointState or std_msgs/Float64 and the like, see
        `whale_ros.data.conventions.TYPES`; of several numbers the first counts;
        command geometry_msgs/TwistStamped (command_type "twist") or PoseStamped ("pose").
    gripper_open, gripper_closed: what the gripper's numbers are then; gripper_joint: whose, in a
        JointState.
    command_timeout_s: a twist holds no longer.
    extra_topics: others that are in the bag, for people.
    action_source: "commanded_twists", or "pose_differences" of measured poses and gripper.
    action_space: as ActionSpace.to_dict() writes it; {} in bags that do not say.
    base_frame: of poses and commands.
    began: first moment of the recording, ROS time [s]. duration_s: 0 until it is stopped.
    success: what the operator said; None until then.
    stopped_by: "operator", or in words what else ended it; "" until then, so also after a crash.
    checks: at the end, the worst of each over the episode: name, ok, value, threshold, message.
    statistics: by topic, of what came during the episode: type, messages, bytes, rate_hz,
        longest_gap_s, missing and backwards (by header stamps; null where there are none).
    lost: messages that arrived and were not written, because the disk was too slow.
    versions: of whale_ros, mcap and the ROS distribution.
    """

    episode: str
    robot: str
    topics: dict[str, str]
    action_source: str
    base_frame: str
    began: float
    command_type: str = "twist"
    action_space: dict[str, Any] = field(default_factory=dict)
    command_timeout_s: float = 0.1
    gripper_open: float = 0.0
    gripper_closed: float = 1.0
    gripper_joint: str = ""
    extra_topics: list[str] = field(default_factory=list)
    task: str = ""
    note: str = ""
    success: bool | None = None
    stopped_by: str = ""
    duration_s: float = 0.0
    checks: list[dict[str, Any]] = field(default_factory=list)
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: int = 0
    versions: dict[str, str] = field(default_factory=dict)


def needed_roles(action_source: str) -> tuple[str, ...]:
    """Those of the robot's topics without which nothing is recorded."""
    return ROLES if action_source == "commanded_twists" else ("camera", "pose", "gripper")


def next_name(folder: Path) -> str:
    """After all that are in the folder, kept or not."""
    names = (re.fullmatch(r"episode_(\d+)(\.partial)?", path.name) for path in folder.glob("*"))
    return f"episode_{max((int(name[1]) + 1 for name in names if name), default=0):06d}"


def begin(folder: Path, recording: Recording) -> Path:
    """Make the partial folder of a new episode, with its description. Raises OSError."""
    partial = folder / (recording.episode + PARTIAL)
    partial.mkdir(parents=True)
    write_recording(partial, recording)
    sync(folder)
    return partial


def keep(partial: Path, recording: Recording) -> Path:
    """Make a demonstration of it, atomically. Raises OSError; then it is as it was."""
    whole = partial.with_suffix("")
    if whole.exists():
        raise FileExistsError(f"{whole} exists already")
    write_recording(partial, recording)
    partial.rename(whole)
    sync(whole.parent)
    return whole


def discard(partial: Path) -> None:
    """Delete what was not kept. Raises OSError."""
    if partial.suffix != PARTIAL:
        raise ValueError(f"{partial} was kept; delete it by hand if you must")
    shutil.rmtree(partial)


def kept(folder: Path) -> list[Recording]:
    """Those that a person kept, in their order. Raises ValueError if one cannot be read."""
    names = sorted(path.name for path in folder.glob("episode_*") if path.suffix != PARTIAL)
    return [read_recording(folder / name) for name in names]


def unfinished(folder: Path) -> list[str]:
    """Names of partial folders, such as a crash leaves."""
    return sorted(path.name for path in folder.glob(f"episode_*{PARTIAL}"))


def write_recording(folder: Path, recording: Recording) -> None:
    """Atomically, and so that it is on the disk when this returns."""
    partial = folder / (RECORDING + PARTIAL)
    with partial.open("w") as file:
        json.dump({"format": FORMAT, **asdict(recording)}, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / RECORDING)
    sync(folder)


def read_recording(folder: Path) -> Recording:
    """Raises ValueError that names the file and what is wrong with it."""
    path = folder / RECORDING
    try:
        content = json.loads(path.read_text())
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}; a newer whale_ros wrote it")
        recording = Recording(**content)
        unknown = set(recording.topics) - set(ROLES)
        if unknown or recording.action_source not in ACTION_SOURCES:
            raise ValueError(f"unknown roles {sorted(unknown)} or {recording.action_source!r}")
    except (
        OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} does not describe a recording: {error}") from error
    return recording


def sync(folder: Path) -> None:
    """Names of files are on the disk only when their folder is. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
