"""What was recorded, by role, and where its clock jumped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

STAMPED = ("camera", "pose", "command")
JUMP_S = 0.1  # by less a clock may be set; stamps may be so much out of order
LASTING_S = 2.0  # if all messages are late for so long, their clock was set
MANY = 2000  # messages that are looked at before and behind one


@dataclass(frozen=True)
class Track:
    """N messages of one topic in the order in which they arrived. Seconds since the bag's start."""

    stamp_s: np.ndarray  # (N,) of their headers, NaN where the type has none
    received_s: np.ndarray  # (N,)
    values: np.ndarray  # (N, ...)

    def __len__(self) -> int:
        return len(self.stamp_s)

    def __getitem__(self, index: Any) -> Track:
        return Track(self.stamp_s[index], self.received_s[index], self.values[index])

    @property
    def latency_s(self) -> float:
        """The least: between what stamps and what receives, and between their clocks."""
        return float((self.received_s - self.stamp_s).min())

    def in_order(self) -> Track:
        """By stamp; of equal ones the first."""
        _, index = np.unique(self.stamp_s, return_index=True)
        return self[index]

    def jumps(self) -> list[tuple[int, float]]:
        """Messages before which the clock of the stamps was set, and by how much [s].

        It was if a stamp goes back, if a message seems to arrive faster than any before it, or if
        from one on all seem to arrive later.
        """
        found = []
        least, since = math.inf, 0  # the latest jump
        latencies = self.received_s - self.stamp_s
        for i, latency in enumerate(latencies):
            back = i > 0 and self.stamp_s[i] < self.stamp_s[i - 1] - JUMP_S
            if back or latency < least - JUMP_S < math.inf or self._stays_late(latencies, since, i):
                found.append((i, float(latencies[i - 1] - latency)))
                least, since = latency, i
            least = min(least, latency)
        return found

    def _stays_late(self, latency_s: np.ndarray, since: int, i: int) -> bool:
        """Whether message i is suddenly late, and all that follow; unknown near the end.

        Not against all before: stamps of a simulator that is slow are later and later.
        """
        if i == since or latency_s[i] < latency_s[i - 1] + JUMP_S / 2:
            return False
        window_s = self.received_s[i] + [-LASTING_S / 2, LASTING_S]
        first, last = np.searchsorted(self.received_s, window_s)
        before = latency_s[max(since, i - MANY, min(first, i - 1)) : i]
        after = latency_s[i : min(i + MANY, max(last, i + 1))]
        return bool(last < len(self) and after.min() > before.min() + JUMP_S)


@dataclass(frozen=True)
class Tracks:
    """values of camera: (R, R, 3) uint8; pose: position [m] and unit quaternion w x y z, (7,);
    command: a twist [m/s, rad/s], (6,); gripper_command and gripper: 0 open .. 1 closed.
    """

    camera: Track
    pose: Track
    command: Track
    gripper_command: Track
    gripper: Track
    dropped: dict[str, int] = field(default_factory=dict)  # messages that were of no use, by reason
    camera_is: dict[str, Any] | None = (
        None  # frame_id, width and height of the pictures as they came
    )

    def by_role(self) -> dict[str, Track]:
        tracks = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: track for name, track in tracks.items() if isinstance(track, Track)}

    def span(self) -> tuple[float, float]:
        """When the first and the last message arrived; zeros without any."""
        received_s = np.concatenate([track.received_s for track in self.by_role().values()])
        return (float(received_s.min()), float(received_s.max())) if len(received_s) else (0.0, 0.0)


@dataclass(frozen=True)
class Cut:
    """What was left out, in seconds since the bag's start, and why."""

    begin_s: float
    end_s: float
    reason: str


def between_jumps(tracks: Tracks) -> tuple[list[Tracks], list[Cut]]:
    """Pieces within which all stamps are of one clock; what arrived while it jumped is left out.

    In a piece the stamps of camera, pose and command rise. What the gripper was told last still
    holds in the next piece.
    """
    jumps = []
    for role in STAMPED:
        track = getattr(tracks, role)
        for i, by_s in track.jumps():
            begin, end = float(track.received_s[i - 1]), float(track.received_s[i])
            jumps.append(
                Cut(
                    begin,
                    end,
                    f"stamps of the {role} jumped by {by_s:+.2f} s against their arrival",
                )
            )
    pieces, since = [], -math.inf
    for cut in sorted(jumps, key=lambda cut: cut.begin_s):
        pieces.append(_received_between(tracks, since, cut.begin_s))
        since = max(since, cut.end_s)
    return [*pieces, _received_between(tracks, since, math.inf)], jumps


def _received_between(tracks: Tracks, begin_s: float, end_s: float) -> Tracks:
    parts = {
        role: track[(begin_s <= track.received_s) & (track.received_s <= end_s)]
        for role, track in tracks.by_role().items()
    }
    earlier = tracks.gripper_command[tracks.gripper_command.received_s < begin_s]
    if len(earlier):
        last, since = earlier.values[earlier.received_s.argmax()], parts["gripper_command"]
        parts["gripper_command"] = Track(
            np.append(-math.inf, since.stamp_s),
            np.append(begin_s, since.received_s),
            np.append(last, since.values),
        )
    ordered = {role: parts[role].in_order() for role in STAMPED}
    return Tracks(**(parts | ordered), dropped=tracks.dropped, camera_is=tracks.camera_is)
