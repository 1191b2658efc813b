"""Pick one of the imagined candidates, and say of each why it was taken, passed or rejected.

The score is what `objectives` makes of the goals, and a little of the deviation from the policy's
own sequence, so that the policy decides where the world model sees no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from whale_ros.actions.space import POSITION
from whale_ros.gate.confidence import MAX_UNCERTAINTY


@dataclass(frozen=True)
class Choice:
    """`index` is None if nothing passed. Scores (K,): lower is better, NaN if there is none.

    rejected: how many candidates by what, in a word or two.
    """

    index: int | None
    reason: str
    scores: np.ndarray
    verdicts: list[str]
    rejected: Counter[str]

    @property
    def passed(self) -> np.ndarray:
        """(K,) bool, of which one may be chosen."""
        return np.array([not verdict.startswith("rejected") for verdict in self.verdicts])

    @property
    def passing_scores(self) -> np.ndarray:
        """(K,) infinite where a candidate was rejected: what a search shall learn from."""
        return np.where(self.passed, self.scores, np.inf)


class _Rejection(NamedTuple):
    by: str
    why: str


def choose(
    names: Sequence[str],
    uncertainty: np.ndarray,
    threshold: float,
    judged: Sequence[np.ndarray],
    cost: np.ndarray,
    deviation: np.ndarray,
    policy_weight: float,
    obstacles: Sequence[str | None],
) -> Choice:
    """Arrays are (K,). obstacles: how a candidate leaves the workspace, or None.

    judged: of each candidate the actions (n, 7) up to the imagined frame that was judged.
    An uncertainty that cannot be counts as maximal: of zero, not finite, more than there is, or
    the very same for candidates of which different actions were judged.
    """
    scores = cost + policy_weight * deviation
    verdicts = []
    rejected = Counter[str]()
    for k in range(len(names)):
        obstacle = obstacles[k]
        rejection = (
            (_Rejection("workspace", obstacle) if obstacle else None)
            or _why_rejected(uncertainty[k], threshold, scores[k])
            or _why_constant(k, names, uncertainty, judged)
        )
        verdicts.append(f"rejected: {rejection.why}" if rejection else "passed")
        if rejection:
            rejected[rejection.by] += 1
    passed = [k for k, verdict in enumerate(verdicts) if verdict == "passed"]
    if not passed:
        reason = f"none of {len(names)} candidates passed; {names[0]!r}: {verdicts[0]}"
        return Choice(None, reason, scores, verdicts, rejected)
    best = min(passed, key=lambda k: scores[k])
    verdicts[best] = "chosen"
    reason = (
        f"{names[best]!r} has the lowest score, {scores[best]:.4g}, "
        f"of the {len(passed)} of {len(names)} candidates that passed"
    )
    return Choice(best, reason, scores, verdicts, rejected)


def judged_part(actions: np.ndarray, took_part: Sequence[int]) -> np.ndarray:
    """Of the actions (H, 7) those up to the last imagined frame that was retraced.

    took_part: (H,), 0 where a frame was not.
    """
    return actions[: np.flatnonzero(list(took_part)).max(initial=-1) + 1]


def why_leaves(
    actions: np.ndarray, passed: float, position: np.ndarray, low: np.ndarray, high: np.ndarray
) -> str | None:
    """Which of the actions (H, 7) takes the end effector out of the box, or None.

    `passed` of the actions are done, 2.5 is the middle of the third, and have led to `position`
    (3,). From outside the box it may come back, but not go further away.
    """
    left = np.clip(np.arange(1, len(actions) + 1) - passed, 0, 1)
    positions = position + np.cumsum(actions[:, POSITION] * left[:, None], axis=0)
    low, high = np.minimum(low, position), np.maximum(high, position)
    outside = ((positions < low - 1e-6) | (positions > high + 1e-6)).any(axis=1)
    if not outside.any():
        return None
    step = int(outside.argmax())
    where = ", ".join(f"{x:.3f}" for x in positions[step])
    return f"action {step} ends at ({where}) m, outside the workspace"


def _why_rejected(uncertainty: float, threshold: float, score: float) -> _Rejection | None:
    if not (np.isfinite(threshold) and threshold > 0):
        return _Rejection(
            "calibration", f"the uncertainty threshold is {threshold:g}: not calibrated"
        )
    if not 0 < uncertainty <= MAX_UNCERTAINTY:
        return _Rejection(
            "impossible uncertainty",
            f"uncertainty {uncertainty:g} is impossible and counts as maximal",
        )
    if uncertainty > threshold:
        return _Rejection("uncertainty", f"uncertainty {uncertainty:.4g} is above {threshold:.4g}")
    if not np.isfinite(score):
        return _Rejection("score", f"the score is {score:g}")
    return None


def _why_constant(
    k: int, names: Sequence[str], uncertainty: np.ndarray, judged: Sequence[np.ndarray]
) -> _Rejection | None:
    for other, name in enumerate(names):
        same = uncertainty[other] == uncertainty[k]
        if same and not np.array_equal(judged[other], judged[k]):
            return _Rejection(
                "constant uncertainty",
                f"uncertainty {uncertainty[k]:g} is exactly that of {name!r}, whose actions "
                "differ, and counts as maximal",
            )
    return None
