"""Episodes in the rows of a LeRobot dataset: at the model's step, without what is of no use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whale_ros.actions.composition import compose
from whale_ros.actions.space import DIM, POSITION, ROTATION, ActionSpace
from whale_ros.data.lerobot.actions import first_row, read_actions
from whale_ros.data.lerobot.files import Info
from whale_ros.data.lerobot.mapping import AT_END, POSES, Mapping
from whale_ros.data.soundness import MAX_DISAGREEMENT, MIN_FRAMES, TOO_FAST, disagreement


@dataclass(frozen=True)
class Piece:
    """T actions, T + 1 of everything else."""

    rows: np.ndarray  # (T+1,) of the dataset, that a frame is made of
    actions: np.ndarray  # (T, 7) float32
    hand_position: np.ndarray  # (T+1, 3) float32
    success: np.ndarray | None  # (T+1,) bool


def space_of(mapping: Mapping, space: ActionSpace) -> ActionSpace:
    """That of a model, with the type of the actions that a dataset holds."""
    type = "base_twist" if mapping.actions == POSES else mapping.actions
    return ActionSpace.from_dict({**space.to_dict(), "type": type})


def steps_between(fps: float, step_s: float) -> int:
    """Rows of a dataset in a step of the model. Raises ValueError if that is no whole number."""
    rows = fps * step_s
    if round(rows) < 1 or abs(rows - round(rows)) > 0.01 * rows:
        raise ValueError(
            f"it has {fps:g} rows a second, so that a step of {step_s:g} s takes {rows:g}, which "
            f"is no whole number; record at a multiple of {1 / step_s:g} a second, or train a "
            "model with another step"
        )
    return round(rows)


def pieces(
    mapping: Mapping, rows: dict[str, np.ndarray], info: Info, space: ActionSpace
) -> tuple[list[Piece], list[str]]:
    """What is of use of an episode, and in words what is not, and why.

    rows: (N, width) by column. One of `steps_between` becomes a frame, the actions until the next
    are composed. Raises ValueError if the numbers cannot be what the mapping says.
    """
    stride, first = steps_between(info.fps, space.step_s), first_row(mapping)
    steps = (len(rows[mapping.hand.column]) - 1 - first) // stride
    if steps < 1:
        return [], ["shorter than a step"]
    actions = read_actions(mapping, rows, info)[: steps * stride]
    if stride > 1:
        actions = compose(actions.reshape(steps, stride, DIM), space.type)
    kept = first + stride * np.arange(steps + 1)
    hand = mapping.hand.read(rows, info)[kept] * mapping.hand.unit
    pose = np.hstack([hand, np.tile([1.0, 0.0, 0.0, 0.0], (len(hand), 1))])  # turned or not
    success = _success(mapping.success, rows, kept)
    found, left_out = [], []
    bad = _too_fast(actions, space)
    for begin, end in zip([0, *(t + 1 for t in bad)], [*bad, steps], strict=True):
        if end + 1 - begin < MIN_FRAMES:
            left_out.append(f"{end + 1 - begin} frames are too short, {MIN_FRAMES} are needed")
            continue
        share = disagreement(actions[begin:end], pose[begin : end + 1])
        if share > MAX_DISAGREEMENT and space.type != "body_twist":  # which is in another frame
            left_out.append(
                f"actions differ from what the hand did by {share:.0%} of it: their unit or frame "
                "is another, or the arm did not follow (try `actions: poses`)"
            )
            continue
        found.append(
            Piece(
                kept[begin : end + 1],
                actions[begin:end].astype(np.float32),
                hand[begin : end + 1].astype(np.float32),
                _known(success, begin, end),
            )
        )
    return found, [*bad.values(), *left_out]


def _known(success: np.ndarray | None, begin: int, end: int) -> np.ndarray | None:
    """Of a part: that it did not succeed is known only of the last one."""
    if success is None or (end + 1 < len(success) and not success[begin : end + 1].any()):
        return None
    return success[begin : end + 1]


def _too_fast(actions: np.ndarray, space: ActionSpace) -> dict[int, str]:
    """By step, in words."""
    why = {}
    for part, limit, unit in (
        (POSITION, space.max_translation_m, "m"),
        (ROTATION, space.max_rotation_rad, "rad"),
    ):
        size = np.linalg.norm(actions[:, part], axis=1)
        for t in (size > TOO_FAST * limit).nonzero()[0]:
            why[int(t)] = (
                f"step {t} of {size[t]:.3f} {unit} is beyond the model's action space of "
                f"{limit:g} {unit} in {space.step_s:g} s"
            )
    return dict(sorted(why.items()))


def _success(
    column: str | None, rows: dict[str, np.ndarray], kept: np.ndarray
) -> np.ndarray | None:
    """(T+1,) bool: whether the task was done at a kept row, or since the one before it.

    What comes after the last kept row counts for that one.
    """
    if column is None:
        return None
    if column == AT_END:
        return np.arange(len(kept)) == len(kept) - 1
    done = rows[column][:, 0] > 0.5
    if column.startswith("next."):
        done = np.concatenate([[False], done[:-2], [done[-2:].any()]])
    return np.logical_or.reduceat(done, np.append(kept[0], kept[:-1] + 1))
