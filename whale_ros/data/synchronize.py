"""Episodes from what was recorded: frames a model step apart, and the actions between them.

A frame is a picture of the camera, and its moment is the picture's stamp: so none is older than
the action that begins with it. Frames are the pictures that are nearest to a grid of model steps,
as those that the world model keeps while it runs; an action is what happened between their stamps.
Where that cannot be had, an episode ends, and the next begins as soon as it can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whale_ros.actions.space import GRIPPER
from whale_ros.data.conventions import Conventions
from whale_ros.data.grid import runs
from whale_ros.data.poses import differences, interpolate
from whale_ros.data.soundness import (
    DISAGREE,
    MAX_POSE_GAP_S,
    disagreement,
    why_not,
    why_unusable,
    why_useless,
    why_wrong,
)
from whale_ros.data.told import told
from whale_ros.data.tracks import Cut, Tracks, between_jumps

UNSURE = "the hand rested, and elsewhere in the bag commands are not what it did"
BY_HAND = 0.3  # of the gripper's way
END_S = 0.5  # an episode that ends so shortly before the recording lasts until its end


@dataclass(frozen=True)
class Stretch:
    """T actions, T + 1 of everything else. Seconds since the bag's start."""

    moment_s: np.ndarray  # (T+1,) stamps of the frames
    frames: np.ndarray  # (T+1, R, R, 3) uint8
    pose: np.ndarray  # (T+1, 7) position [m], quaternion w x y z
    actions: np.ndarray  # (T, 7)
    disagreement: float  # between commands and motion of the hand, see soundness
    is_last: bool  # it lasts until the recording ends


def synchronize(tracks: Tracks, conventions: Conventions) -> tuple[list[Stretch], list[Cut]]:
    """The episodes in a recording, and what was cut out of it, both by time."""
    if conventions.action_source == "pose_differences":
        tracks = _without_stale_command(tracks)
    pieces, cuts = between_jumps(tracks)
    stretches: list[Stretch] = []
    for number, piece in enumerate(pieces):
        if why := why_not(piece, conventions):
            begin, end = piece.span()
            if len(pieces) == 1 or end - begin > END_S:
                cuts.append(Cut(begin, end, why))
            continue
        found, left_out = _stretches(piece, conventions, number + 1 == len(pieces))
        stretches += found
        cuts += left_out
    if any(cut.reason.startswith(DISAGREE) for cut in cuts):  # where it rested nobody can tell
        unsure = [stretch for stretch in stretches if np.isnan(stretch.disagreement)]
        cuts += [Cut(s.moment_s[0], s.moment_s[-1], UNSURE) for s in unsure]
        stretches = [stretch for stretch in stretches if not np.isnan(stretch.disagreement)]
    return stretches, sorted(cuts, key=lambda cut: cut.begin_s)


def _without_stale_command(tracks: Tracks) -> Tracks:
    """Of a hand that was led, the gripper as it was measured, if a person moved its fingers too.

    They then went away from what they had been told before the recording, and not since.
    """
    commands, seen, fingers = tracks.gripper_command, tracks.camera.received_s, tracks.gripper
    if not (len(commands) and len(fingers) and len(seen)):
        return tracks
    away = np.abs(fingers.values - commands.values[commands.received_s.argmax()])
    if (commands.received_s > seen.min()).any() or away.max() <= away[0] + BY_HAND:
        return tracks
    return replace(tracks, gripper_command=commands[:0])


def _stretches(
    piece: Tracks, conventions: Conventions, is_last: bool
) -> tuple[list[Stretch], list[Cut]]:
    space = conventions.space
    camera, pose, commands = piece.camera, piece.pose, told(piece, conventions)
    begin, end = max(float(pose.stamp_s[0]), commands.since_s), float(pose.stamp_s[-1])
    ending = "poses"
    if conventions.action_source == "commanded_twists":  # later ones may have been on their way
        known_until = piece.span()[1] - piece.command.latency_s
        if known_until < end:
            end, ending = known_until, "commands"
    cuts = []
    if camera.stamp_s[0] < begin - MAX_POSE_GAP_S:
        cuts.append(Cut(camera.stamp_s[0], begin, "no pose, or nothing of the gripper, yet"))
    if camera.stamp_s[-1] > end + MAX_POSE_GAP_S:
        cuts.append(Cut(end, camera.stamp_s[-1], f"no {ending} any more"))
        is_last = False
    if camera.stamp_s[-1] < end - END_S:
        cuts.append(Cut(camera.stamp_s[-1], end, "no pictures any more"))
        is_last = False
    camera = camera[(begin <= camera.stamp_s) & (camera.stamp_s <= end)]
    found, left_out = runs(camera.stamp_s, why_unusable(camera, pose), space.step_s)
    cuts += left_out
    stretches = []
    for run in found:
        frames = camera[run.pictures]
        at = interpolate(pose, frames.stamp_s)
        actions = commands.actions(frames.stamp_s)
        if conventions.action_source == "pose_differences":
            actions[:, :GRIPPER] = differences(at)
        bad = why_wrong(actions, at, frames.stamp_s, conventions)
        for first, last in _between(sorted(bad), len(run.pictures)):
            whole = slice(first, last + 1)
            apart = disagreement(actions[first:last], at[whole])
            if why := why_useless(last + 1 - first, apart):
                cuts.append(Cut(frames.stamp_s[first], frames.stamp_s[last], why))
                continue
            reaches_end = (
                run.is_last and last + 1 == len(frames) and frames.stamp_s[last] > end - END_S
            )
            stretches.append(
                Stretch(
                    frames.stamp_s[whole], frames.values[whole], at[whole], actions[first:last],
                    apart, is_last and bool(reaches_end),
                )
            )  # fmt: skip
        cuts += [Cut(frames.stamp_s[t], frames.stamp_s[t + 1], why) for t, why in bad.items()]
    return stretches, cuts


def _between(bad: list[int], frames: int) -> list[tuple[int, int]]:
    """First and last frame of what lies between bad actions; action t follows frame t."""
    ends = zip([0, *(t + 1 for t in bad)], [*bad, frames - 1], strict=True)
    return [(first, last) for first, last in ends if first < last]
