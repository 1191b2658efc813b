"""The calibration file: how far an uncertainty may go before the gate shall close.

The three uncertainties have a scale each, and a calibration finds one factor for all of them, so
that a threshold is scale x factor. An episode's score is the largest that any of its
uncertainties came to in units of its scale, and the factor is a conformal bound on the scores of
nominal episodes: of new ones like them, a share of at least 1 - alpha raises no alarm at all.

It holds for what it was measured with and for nothing else: `why_void` tells.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from whale_ros.imagination.conformal import AdaptiveBound, bound, least_count, rank
from whale_ros.imagination.live import HISTORY
from whale_ros.imagination.retracing import DISAGREEMENT_WEIGHT
from whale_ros.world_model.checkpoint import Scales

SCHEMA = 2  # 1 took its scales from the checkpoint's card
CALIBRATION = "calibration.json"  # beside a checkpoint
RECALIBRATE = "calibrate for what is running now with `whale calibrate`"
# A task has a factor of its own from so many episodes on: with fewer, the share of new episodes
# that raise no alarm scatters by more than 5.5 % from one calibration to the next (its standard
# deviation is about sqrt(alpha (1 - alpha) / n)), and tasks would differ by luck.
MIN_TASK_EPISODES = 30
GAMMA = 0.01  # of adapting: eleven episodes with an alarm in each take alpha from 0.1 to its least
GAP_S = 1.0  # images further apart do not belong together


class CalibrationError(ValueError):
    """A calibration that must not be used; the message names it and says what to do."""


@dataclass(frozen=True)
class Conditions:
    """What a calibration is bound to."""

    checkpoint: str  # SHA-256 of the weights
    camera: str  # frame_id of its images
    image_width: int
    image_height: int
    resolution: int  # that the model sees
    k: tuple[int, ...]  # of the retracings
    candidates: int  # at most: the surest of fewer is less sure, so that fewer only stop more often
    horizon: int
    action_space: str  # its signature
    measure: str  # MEASURE


# What thresholds are multiples of: the uncertainty as it is defined here.
MEASURE = (
    f"{DISAGREEMENT_WEIGHT:g} disagreement in features + entropy so far, after {HISTORY} frames"
)


# What to call them in words.
_NAMES = {
    "checkpoint": "checkpoint",
    "camera": "camera (frame_id of its images)",
    "image_width": "width of the camera's images",
    "image_height": "height of the camera's images",
    "resolution": "resolution of the model",
    "k": "K of the retracings",
    "candidates": "number of candidates",
    "horizon": "horizon of the candidates",
    "action_space": "action space",
    "measure": "measure of uncertainty",
}


@dataclass(frozen=True)
class Calibration:
    """Raises ValueError if it contradicts itself."""

    conditions: Conditions
    alpha: float
    scores: dict[str, tuple[float, ...]]  # of nominal episodes by task, sorted; infinite: unjudged
    episode_s: float  # how long an episode is
    data_sha256: str  # of the manifest of the episodes
    scales: Scales  # measured on others; what scores are in units of

    def __post_init__(self) -> None:
        rank(0, self.alpha)  # raises ValueError
        if not self.scores or not all(self.scores.values()):
            raise ValueError("there are no scores, or a task has none")
        for task, scores in self.scores.items():
            if list(scores) != sorted(scores) or not all(score > 0 for score in scores):
                raise ValueError(f"the scores of {task!r} are not positive and sorted")
        if not (math.isfinite(self.episode_s) and self.episode_s > 0):
            raise ValueError(f"an episode cannot take {self.episode_s!r} s")

    @property
    def pooled(self) -> tuple[float, ...]:
        """The scores of all tasks, sorted."""
        return tuple(sorted(score for scores in self.scores.values() for score in scores))

    def scores_for(self, task: str) -> tuple[float, ...]:
        """Those of a task that has enough of them, else of all tasks; of all for "".

        Raises CalibrationError for a task of which there are none.
        """
        if task and task not in self.scores:
            raise CalibrationError(
                f"task {task!r} was not calibrated, these were: {', '.join(sorted(self.scores))}; "
                "leave the parameter `task` empty for the threshold of all of them"
            )
        own = self.scores.get(task, ())
        enough = len(own) >= MIN_TASK_EPISODES and rank(len(own), self.alpha) <= len(own)
        return own if enough else self.pooled

    def factor(self, task: str = "") -> float:
        """By which thresholds exceed scales; infinite: too few episodes, nothing is bounded.

        task: for the episodes of one task alone (Mondrian conformal prediction), if it has enough.
        Raises CalibrationError for a task of which there are none.
        """
        return bound(self.scores_for(task), self.alpha)

    def why_unbounded(self) -> str:
        """Why there is no factor, and what to do; empty if there is one."""
        if math.isfinite(self.factor()):
            return ""
        unjudged = sum(not math.isfinite(score) for score in self.pooled)
        why = f"{len(self.pooled)} episodes bound nothing at an alpha of {self.alpha:g}"
        if unjudged:
            why += f", as {unjudged} of them could not be judged (the gripper switched too often)"
        return f"{why}: at least {least_count(self.alpha)} that can be judged are needed"


def why_void(calibration: Calibration, running: Conditions) -> str:
    """The first thing that is not as it was calibrated, in words; empty if all is."""
    for name, title in _NAMES.items():
        was, now = getattr(calibration.conditions, name), getattr(running, name)
        if now > was if name == "candidates" else now != was:
            return (
                f"calibration void: the {title} is {_text(now)}, calibrated was {_text(was)}; "
                f"{RECALIBRATE}"
            )
    return ""


class RunningFactor:
    """The factor that counts while a robot runs, which may follow a slow drift.

    What is seen while `executing`, an episode's length of it at a time, makes one score. So it
    learns nothing while the gate holds or is latched, but that an image closed it does count.
    """

    def __init__(self, calibration: Calibration, task: str, adaptive: bool) -> None:
        """Raises CalibrationError for an unknown task, or if there are too few episodes."""
        self.calibration = calibration
        self.executing = False
        self._fixed = calibration.factor(task)
        if not math.isfinite(self._fixed):
            raise CalibrationError(
                f"calibration void: {calibration.why_unbounded()}; run `whale calibrate` with more"
            )
        self._adaptive = None
        if adaptive:
            scores = calibration.scores_for(task)
            self._adaptive = AdaptiveBound(scores, calibration.alpha, GAMMA)
        self._worst, self._seen_s, self._stamp_s = 0.0, 0.0, -math.inf

    @property
    def value(self) -> float:
        return self._fixed if self._adaptive is None else self._adaptive.value

    def see_image(self, stamp_s: float, *scores: float) -> None:
        """An image's uncertainty and unfamiliarity, in units of their scales."""
        since_s, self._stamp_s = stamp_s - self._stamp_s, stamp_s
        if not self.executing or self._adaptive is None:
            return
        for score in scores:
            self._see(score)
        self._seen_s += since_s if 0 < since_s < GAP_S else 0.0
        if self._seen_s >= self.calibration.episode_s:
            self._adaptive.update(self._worst)
            self._worst, self._seen_s = 0.0, 0.0

    def see_surest(self, score: float) -> None:
        """The uncertainty of the surest candidate that a planner had, in units of its scale."""
        self._see(score)

    def _see(self, score: float) -> None:
        if self.executing:  # what is no number above zero comes from a broken model
            self._worst = max(self._worst, score if score > 0 else math.inf)


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write atomically: a reader never sees half a file.

    Beside the scores stand the factors that follow from them, for people to read.
    """
    tasks = {
        task: {"factor": _finite(bound(scores, calibration.alpha)), "episodes": len(scores)}
        for task, scores in calibration.scores.items()
        if calibration.scores_for(task) is scores
    }
    content = {
        "schema": SCHEMA,
        "alpha": calibration.alpha,
        "episodes": len(calibration.pooled),
        "factor": _finite(calibration.factor()),
        "factor_of_tasks": tasks,
        "conditions": asdict(calibration.conditions),
        "episode_s": calibration.episode_s,
        "data_sha256": calibration.data_sha256,
        "scales": asdict(calibration.scales),
        "scores": {
            task: [_finite(score) for score in scores]
            for task, scores in calibration.scores.items()
        },
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    partial.replace(path)


def load_calibration(path: Path) -> Calibration:
    """Raises CalibrationError if there is none or it cannot be read."""
    if not path.is_file():
        raise CalibrationError(f"there is no calibration {path}; make one with `whale calibrate`")
    try:
        content = json.loads(path.read_text())
        if content.get("schema") != SCHEMA:
            raise ValueError(
                f"schema {content.get('schema')!r}, this version of whale_ros reads {SCHEMA} only"
            )
        conditions = content["conditions"]
        conditions["k"] = tuple(conditions["k"])
        calibration = Calibration(
            conditions=Conditions(**conditions),
            alpha=content["alpha"],
            scores={
                task: tuple(math.inf if score is None else float(score) for score in scores)
                for task, scores in content["scores"].items()
            },
            episode_s=float(content["episode_s"]),
            data_sha256=content["data_sha256"],
            scales=Scales(**content["scales"]),
        )
        _must_be_as_saved(content, calibration)
        return calibration
    except (
        ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError,
    ) as error:  # fmt: skip
        raise CalibrationError(
            f"calibration {path} cannot be read: {error!r}; make it again with `whale calibrate`"
        ) from error


def _must_be_as_saved(content: dict, calibration: Calibration) -> None:
    """Raises ValueError for unknown keys, and where the factor does not follow from the scores."""
    derived = {"schema", "episodes", "factor", "factor_of_tasks"}
    known = derived | {field.name for field in fields(Calibration)}
    if set(content) != known:
        raise ValueError(f"expected the keys {sorted(known)}, got {sorted(content)}")
    if content["factor"] != _finite(calibration.factor()):
        raise ValueError(
            f"its factor {content['factor']!r} is not that of its scores, {calibration.factor():g}"
        )


def _finite(number: float) -> float | None:
    """JSON knows no infinity."""
    return number if math.isfinite(number) else None


def _text(value: object) -> str:
    if isinstance(value, str) and len(value) == 64:  # a hash
        return f"{value[:12]}..."
    return repr(value)
