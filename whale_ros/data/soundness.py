"""What makes a recording, or a part of it, one that no model should be taught; in words."""

from __future__ import annotations

import math

import numpy as np

from whale_ros.actions.space import POSITION, ROTATION
from whale_ros.data.conventions import Conventions
from whale_ros.data.poses import differences, interpolate
from whale_ros.data.tracks import Track, Tracks

MAX_POSE_GAP_S = 0.2  # that poses are interpolated over; drivers send them every 0.02 s or so
MAX_SKEW_S = 0.5  # between the latencies of camera, poses, commands and gripper
FROZEN = 5  # repeats of a picture while the hand moves, as for the gate
MOVED_M = 0.02  # a hand that moved so far must have changed the picture
TOO_FAST = 1.2  # of the action space's speeds: what a model was not taught
JUMP = 2.0  # of the same, between measured poses: that was no motion
MAX_DISAGREEMENT = 0.75  # twice as fast is 1; another direction more than 1
MUCH_M, MUCH_RAD = 0.05, 0.2  # a shorter way, or a smaller turn, tells nothing of that
DISAGREE = "commands differ"  # so begins the reason
MIN_FRAMES = 22  # what training and evaluation take at a time


def why_not(piece: Tracks, conventions: Conventions) -> str:
    """Why nothing can be made of a whole piece; empty if that is not known."""
    needed = ["camera", "pose"]
    if conventions.action_source == "commanded_twists":
        needed.append("command")
    for role in needed:
        if len(getattr(piece, role)) < 2:
            return f"no message, or but one, on {conventions.topics[role]} ({role})"
    grippers = [role for role in ("gripper_command", "gripper") if role in conventions.topics]
    if grippers and not any(len(getattr(piece, role)) for role in grippers):
        topics = " or ".join(conventions.topics[role] for role in grippers)
        return (
            f"nothing tells of the gripper, there is no message on {topics}; publish its command "
            "when recording begins, or leave these topics out if there is no gripper"
        )
    for role in (*needed[1:], *grippers):
        track = getattr(piece, role)
        track = track[np.isfinite(track.stamp_s)]
        if not len(track):
            continue
        skew = track.latency_s - piece.camera.latency_s
        if len(track) == 1 and skew > 0:  # said once, and long ago
            continue
        if abs(skew) > MAX_SKEW_S:
            return (
                f"stamps of the {role} and of the camera are {abs(skew):.2f} s apart when they "
                "arrive: their clocks differ"
            )
    return ""


def why_unusable(camera: Track, pose: Track) -> dict[int, str]:
    """Of pictures within the poses: where those have a gap, or the camera repeats itself."""
    after = np.searchsorted(pose.stamp_s, camera.stamp_s)
    before = np.maximum(after - 1, 0)
    gap_s = pose.stamp_s[after] - pose.stamp_s[before]
    holes = (gap_s > MAX_POSE_GAP_S).nonzero()[0]
    why_not = {int(i): f"no pose for {gap_s[i]:.2f} s" for i in holes}
    way = np.zeros(len(camera))
    if len(camera):
        way[1:] = np.linalg.norm(differences(interpolate(pose, camera.stamp_s))[:, :3], axis=1)
    first = 0
    for i in range(1, len(camera) + 1):
        if i < len(camera) and np.array_equal(camera.values[i], camera.values[i - 1]):
            continue
        if i - 1 - first >= FROZEN and way[first + 1 : i].sum() > MOVED_M:
            text = f"the camera showed one picture {i - first} times while the hand moved"
            why_not |= dict.fromkeys(range(first + 1, i), text)
        first = i
    return why_not


def why_wrong(
    actions: np.ndarray, pose: np.ndarray, moment_s: np.ndarray, conventions: Conventions
) -> dict[int, str]:
    """Of actions that are beyond the action space, or during which the hand jumped."""
    space, seconds = conventions.space, np.diff(moment_s)
    measured = differences(pose)
    why = {}
    for part, limit, unit in (
        (POSITION, space.max_translation_m, "m"),
        (ROTATION, space.max_rotation_rad, "rad"),
    ):
        allowed = limit / space.step_s * seconds
        jump, size = (np.linalg.norm(rows[:, part], axis=1) for rows in (measured, actions))
        for t in (jump > JUMP * allowed).nonzero()[0]:
            why[int(t)] = f"the hand jumped by {jump[t]:.3f} {unit} in {seconds[t]:.2f} s"
        for t in (size > TOO_FAST * allowed).nonzero()[0]:
            why[int(t)] = (
                f"an action of {size[t]:.3f} {unit} in {seconds[t]:.2f} s is beyond the action "
                f"space of {limit:g} {unit} in {space.step_s:g} s: move more slowly"
            )
    return why


def disagreement(actions: np.ndarray, pose: np.ndarray) -> float:
    """Between commands and motion of the hand, as a share of the motion; NaN where it rested.

    The larger one of translation and rotation. Of the steps in which it moved half as far as in its
    fastest one, the median: a hand that pushes against something may well not follow.
    """
    went = differences(pose)
    shares = [
        _apart(actions[:, part], went[:, part])
        for part, much in ((POSITION, MUCH_M), (ROTATION, MUCH_RAD))
        if np.linalg.norm(went[:, part], axis=1).sum() >= much
    ]
    told_m = np.linalg.norm(actions[:, POSITION], axis=1).sum()
    went_m = np.linalg.norm(went[:, POSITION], axis=1).sum()
    if went_m < MUCH_M and told_m >= 2 * MUCH_M:
        return math.inf
    return max(shares, default=math.nan)


def _apart(was_told: np.ndarray, went: np.ndarray) -> float:
    far = np.linalg.norm(went, axis=1)
    moving = far >= far.max() / 2
    return float(np.median(np.linalg.norm(was_told - went, axis=1)[moving] / far[moving]))


def why_useless(frames: int, disagreement: float) -> str:
    """Why no episode can be made of so many frames; empty if one can."""
    if frames < MIN_FRAMES:
        return f"{frames} frames are too short, {MIN_FRAMES} are needed"
    if disagreement > MAX_DISAGREEMENT:
        return (
            f"{DISAGREE} from what the hand did by {disagreement:.0%} of it: they are of "
            "another topic, unit or frame, or the arm did not follow (try the pose_differences)"
        )
    return ""
