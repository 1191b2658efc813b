"""The messages of a bag, by role, as arrays; those that are of no use are counted and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from whale_ros.data.bags import BadBag, Bag, Message
from whale_ros.data.conventions import Conventions
from whale_ros.data.frames import fit
from whale_ros.data.images import BadImage, to_rgb
from whale_ros.data.tracks import Track, Tracks

MAX_PICTURES = 100_000  # 55 minutes at 30 Hz; they are kept in memory, at the model's resolution
UNIT_TOLERANCE = 1e-3  # of the norm of a quaternion, as for the gate
GRIPPER_TOLERANCE = 0.1  # beyond open and closed

Row = tuple[int | None, int, Any]  # stamp [ns], received [ns], value


def read_tracks(bag: Bag, conventions: Conventions, resolution: int) -> Tracks:
    """Up to the end of the bag or to its damage.

    Raises BadBag if it holds something else than the conventions say.
    """
    camera = _Camera(resolution)
    readers: dict[str, Callable[[Any], Any]] = {
        "camera": camera,
        "pose": lambda message: _pose(message, conventions.base_frame),
        "command": lambda message: _twist(message, conventions.base_frame),
        "gripper_command": lambda message: _gripper(message, conventions),
        "gripper": lambda message: _gripper(message, conventions),
    }
    roles = {name: role for role, name in conventions.read_topics().items()}
    rows: dict[str, list[Row]] = {role: [] for role in readers}
    dropped: Counter[str] = Counter()
    for message in bag.messages(conventions.wanted()):
        role = roles[message.topic]
        try:
            stamp_ns = _stamp_ns(message)
            rows[role].append((stamp_ns, message.received_ns, readers[role](message.content)))
        except _Useless as error:
            dropped[f"{role}: {error}"] += 1
        if len(rows["camera"]) > MAX_PICTURES:
            bag.damage = f"only its first {MAX_PICTURES} pictures are read; split the bag"
            break
    origin_ns = min((row[1] for role in rows.values() for row in role[:1]), default=0)
    tracks = {role: _track(row, origin_ns) for role, row in rows.items()}
    return Tracks(**tracks, dropped=dict(dropped), camera_is=camera.kind)


class _Useless(ValueError):
    """A single message that cannot be used; others of its topic may be sound."""


class _Camera:
    def __init__(self, resolution: int) -> None:
        self._resolution = resolution
        self.kind: dict[str, Any] | None = None  # of the first picture

    def __call__(self, message: Any) -> np.ndarray:
        try:
            picture = to_rgb(message)
        except BadImage as error:
            raise _Useless(str(error)) from error
        height, width = picture.shape[:2]
        kind = {"frame_id": message.header.frame_id, "width": width, "height": height}
        self.kind = self.kind or kind
        first = self.kind
        if (width, height) != (first["width"], first["height"]):
            raise _Useless(f"not {first['width']} x {first['height']} pixels as the first one")
        if kind != first:
            raise _Useless(f"not of {first['frame_id']!r} as the first one")
        return fit(picture, self._resolution)


def _stamp_ns(message: Message) -> int | None:
    if not hasattr(message.content, "header"):
        return None
    stamp = message.content.header.stamp
    ns = stamp.sec * 10**9 + stamp.nanosec
    if ns == 0:
        raise _Useless("its stamp is zero")
    return ns


def _pose(message: Any, base_frame: str) -> np.ndarray:
    _must_be_in(message, base_frame)
    at, turn = message.pose.position, message.pose.orientation
    values = _finite([at.x, at.y, at.z, turn.w, turn.x, turn.y, turn.z])
    norm = np.linalg.norm(values[3:])
    if abs(norm - 1) > UNIT_TOLERANCE:
        raise _Useless("its quaternion is not unit")
    values[3:] /= norm
    return values


def _twist(message: Any, base_frame: str) -> np.ndarray:
    _must_be_in(message, base_frame)
    linear, angular = message.twist.linear, message.twist.angular
    return _finite([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])


def _must_be_in(message: Any, frame: str) -> None:
    if message.header.frame_id != frame:
        raise BadBag(
            f"poses or commands are in the frame {message.header.frame_id!r}, expected {frame!r}: "
            "correct base_frame, or take another topic (of twists: use the pose_differences)"
        )


def _gripper(message: Any, conventions: Conventions) -> float:
    if hasattr(message, "position"):
        numbers = _of_joint(message, conventions.gripper_joint)
    else:
        numbers = message.data
    first = np.ravel(numbers)[:1]
    if not len(first):
        raise _Useless("it holds no number")
    value = float(_finite(first).item())
    opened, closed = conventions.gripper_open, conventions.gripper_closed
    closing = (value - opened) / (closed - opened)
    if not -GRIPPER_TOLERANCE <= closing <= 1 + GRIPPER_TOLERANCE:
        raise BadBag(
            f"a gripper is at {value:g}, beyond open ({opened:g}) and closed ({closed:g}): set "
            "gripper_open and gripper_closed to what its messages say then"
        )
    return min(max(closing, 0.0), 1.0)


def _of_joint(message: Any, joint: str) -> Any:
    """The positions of a JointState that are the gripper's, of which the first counts."""
    names = list(message.name)
    if joint:
        if joint not in names[: len(message.position)]:
            raise _Useless(f"it has no joint {joint!r}")
        return message.position[names.index(joint)]
    if len(message.position) > 2:
        raise BadBag(
            f"a gripper's JointState has the joints {', '.join(names) or 'without names'}: set "
            "gripper_joint in the robot's file, and name that with --robot"
        )
    return message.position


def _finite(numbers: Iterable[float]) -> np.ndarray:
    values = np.array(numbers, float)
    if not np.isfinite(values).all():
        raise _Useless("it is not finite")
    return values


def _track(rows: list[Row], origin_ns: int) -> Track:
    """In seconds only now: of nanoseconds since 1970 a float would keep too few."""

    def seconds(column: int) -> np.ndarray:
        times = [row[column] for row in rows]
        return np.array([np.nan if ns is None else (ns - origin_ns) / 1e9 for ns in times])

    return Track(seconds(0), seconds(1), np.array([row[2] for row in rows]))
