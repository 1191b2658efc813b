"""What a recorded arm was told, and when: twists, and what its gripper was to do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whale_ros.actions.space import GRIPPER
from whale_ros.actions.timeline import CommandTimeline
from whale_ros.data.conventions import Conventions
from whale_ros.data.tracks import Track, Tracks

UNSURE_S = 0.01  # of when messages without a stamp were sent
ABOUT_S = 0.5


@dataclass(frozen=True)
class Told:
    """since_s: nothing is known of the gripper before. measured: where nobody told the gripper."""

    commands: CommandTimeline
    since_s: float
    measured: Track | None

    def actions(self, moments_s: np.ndarray) -> np.ndarray:
        """Between one moment and the next, (M-1, 7); no motion where the source is not twists.

        A gripper that nobody told had to be, all the time, where it was at the end.
        """
        actions = self.commands.between(moments_s)
        if self.measured is not None:
            actions[:, GRIPPER] = np.interp(
                moments_s[1:], self.measured.stamp_s, self.measured.values
            )
        return actions


def told(piece: Tracks, conventions: Conventions) -> Told:
    """Of a piece with one clock, and with a message of the gripper if there is one to be told."""
    commands = _on_the_clock_of(piece.pose, piece.gripper_command)
    measured = _on_the_clock_of(piece.pose, piece.gripper)
    grips = list(zip(commands.stamp_s.tolist(), commands.values.tolist(), strict=True))
    if len(measured):  # until a command is known, it was told to be where it was seen first
        at_first = (float(measured.stamp_s[0]), float(measured.values[0]))
        if not grips or at_first[0] < grips[0][0]:
            grips = [at_first, *grips]
    twists: list[tuple[float, np.ndarray]] = []
    if conventions.action_source == "commanded_twists":
        twists = _twists(piece.command, conventions.command_timeout_s)
    since_s = -math.inf
    if len(commands) or len(measured):
        first_s = min(track.stamp_s[0] for track in (commands, measured) if len(track))
        since_s = float(first_s) - UNSURE_S
    return Told(
        _timeline(twists, grips), since_s, measured if len(measured) and not len(commands) else None
    )


def _twists(command: Track, timeout_s: float) -> list[tuple[float, np.ndarray]]:
    """When which one began to be in force; none holds longer than the time-out."""
    twists = []
    ends = np.append(command.stamp_s[1:], math.inf)
    for begin, end, twist in zip(command.stamp_s, ends, command.values, strict=True):
        twists.append((float(begin), twist))
        if end - begin > timeout_s:
            twists.append((float(begin) + timeout_s, np.zeros(6)))
    return twists


def _timeline(
    twists: list[tuple[float, np.ndarray]], grips: list[tuple[float, float]]
) -> CommandTimeline:
    timeline = CommandTimeline(keep_s=math.inf)
    twist, grip = np.zeros(6), 0.0
    events = [(time, 0, i) for i, (time, _) in enumerate(twists)]
    events += [(time, 1, i) for i, (time, _) in enumerate(grips)]
    for time, is_grip, i in sorted(events):
        if is_grip:
            grip = grips[i][1]
        else:
            twist = twists[i][1]
        timeline.add(time, twist, grip)
    return timeline


def _on_the_clock_of(pose: Track, track: Track) -> Track:
    """Messages without a stamp were sent as long before they arrived as the quickest pose was, of
    those that arrived about then: stamps of a simulator that is slow are later and later.
    """
    order = np.argsort(pose.received_s, kind="stable")
    received_s, latency_s = pose.received_s[order], (pose.received_s - pose.stamp_s)[order]
    stamp_s = track.stamp_s.copy()
    for i in np.isnan(stamp_s).nonzero()[0]:
        about = track.received_s[i] + [-ABOUT_S, ABOUT_S]
        first, last = np.searchsorted(received_s, about)
        near = latency_s[first:last] if first < last else latency_s
        stamp_s[i] = track.received_s[i] - near.min()
    return Track(stamp_s, track.received_s, track.values).in_order()
