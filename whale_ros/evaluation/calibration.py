"""Scores of nominal episodes, from which a calibration is made, and what it is worth on others.

The arm is stopped if one uncertainty of an episode is over its threshold. So the unit is the
episode, and its score the largest uncertainty that it came to, in units of scales: of what the
planner could choose, of the present with every image, and how unfamiliar the images were.

At a decision the planner's own code proposes candidates around the actions that were really taken,
and chooses. It takes the next best where one is over the threshold, and stops the arm where all
are. So what counts is the least threshold with which something passes: the surest of many is no
random one, and calibrating comes after choosing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor
from tqdm import tqdm

from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.scales import PICTURE_ROOM, QUANTILE
from whale_ros.gate.confidence import MAX_UNCERTAINTY
from whale_ros.imagination.calibration import Calibration
from whale_ros.imagination.live import HISTORY, MAX_HORIZON, CarryOver, imagine_after
from whale_ros.imagination.retracing import feature_distance, judge
from whale_ros.planning.proposals import propose
from whale_ros.planning.screening import choose
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import Scales
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

SETTLED = 4  # actions while the planner thinks, as in config/planner.yaml
# A planner decides every 2 to 4 actions, an image comes with every half; neighbours are much alike.
DECISION_EVERY, IMAGE_EVERY = 3, 1
BAD_FEATURE_DISTANCE = 0.5  # as in `whale evaluate uncertainty`
# Behaviours that mean to finish the task.
PURPOSEFUL = ("expert", "slow", "hesitating", "demonstration", "demonstrating")
CONFIDENCE = 0.95


@dataclass
class EpisodeScores:
    """Of E episodes with up to D decisions and I judged images, in units of the scales.

    Parts of one demonstration are one episode: they are no independent evidence. Minus infinity
    follows what shorter episodes have.
    """

    candidate: np.ndarray  # (E, D) of the surest; infinite where nothing could pass
    live: np.ndarray  # (E, I) infinite where a gripper switch forbade it for too long
    unfamiliarity: np.ndarray  # (E, I)
    executed: np.ndarray  # (E, D) of the actions that were really taken
    error: np.ndarray  # (E, D) how far their imagined end is from the real one, in features
    task: np.ndarray  # (E,) str
    behavior: np.ndarray  # (E,) str
    failed: np.ndarray  # (E,) bool: known to have never come to success
    episode_s: float  # in the mean

    @property
    def image(self) -> np.ndarray:
        """(E, I) the larger one of what the gate sees with an image."""
        return np.maximum(self.live, self.unfamiliarity)

    @property
    def score(self) -> np.ndarray:
        """(E,)"""
        return np.concatenate([self.candidate, self.image], axis=1).max(axis=1)

    def by_task(self) -> dict[str, tuple[float, ...]]:
        """Sorted scores, as a calibration keeps them."""
        return {
            str(task): tuple(sorted(self.score[self.task == task].tolist()))
            for task in np.unique(self.task)
        }


def score_episodes(
    model: WhaleST,
    scales: Scales,
    data: EpisodeSet,
    candidates: int,
    behaviors: Sequence[str] = (),
    seed: int = 0,
) -> EpisodeScores:
    """Judge episodes as a running planner and gate would; shows its progress.

    behaviors: whose episodes; without any, all. Raises ValueError if there is none of one of them,
    or if an episode is too short for a decision.
    """
    known = sorted({info.behavior for info in data.infos})
    if unknown := sorted(set(behaviors) - set(known)):
        raise ValueError(
            f"there are no {data.infos[0].split} episodes of {', '.join(unknown)}; "
            f"there are those of {', '.join(known)}"
        )
    rows = [e for e, info in enumerate(data.infos) if not behaviors or info.behavior in behaviors]
    data.must_last(HISTORY + MAX_HORIZON, "calibration")
    recordings: dict[str, list[int]] = {}
    for row in rows:
        recordings.setdefault(data.infos[row].recording, []).append(row)
    parts = list(recordings.values())
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("candidate", "executed", "error", "live", "unfamiliarity")
    }
    for recorded in tqdm(parts, f"judging {data.infos[0].split}", unit="episode"):
        scored = [_scores(model, scales, data, row, candidates, seed) for row in recorded]
        for name, column in columns.items():
            column.append(np.concatenate([score[name] for score in scored]))
    first = [recorded[0] for recorded in parts]
    steps = data.actions.lengths[rows].sum().item()
    return EpisodeScores(
        **{name: _stacked(values) for name, values in columns.items()},
        task=np.array([data.infos[row].task for row in first]),
        behavior=np.array([data.infos[row].behavior for row in first]),
        failed=np.array([bool(data.failed[recorded].any()) for recorded in parts]),
        episode_s=steps / len(parts) * model.action_space.step_s,
    )


def _scores(
    model: WhaleST, scales: Scales, data: EpisodeSet, row: int, candidates: int, seed: int
) -> dict[str, np.ndarray]:
    frames = to_float(data.frames[row].to(model.device))
    with torch.inference_mode():
        codes = model.encode(frames)
    actions = data.actions[row].to(model.device)
    rng = np.random.default_rng([seed, row])
    candidate, executed, error = _decisions(model, codes, actions, candidates, rng)
    live, unfamiliarity = _present(model, frames, codes, actions)
    return {
        "candidate": candidate / scales.candidate_uncertainty,
        "executed": executed / scales.candidate_uncertainty,
        "error": error,
        "live": live / scales.live_uncertainty,
        "unfamiliarity": unfamiliarity / scales.unfamiliarity,
    }


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    """As a table, filled up with minus infinity."""
    table = np.full((len(rows), max(map(len, rows))), -np.inf)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table


@torch.inference_mode()
def _decisions(
    model: WhaleST, codes: Tensor, actions: Tensor, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D,) uncertainties of the surest and of what was executed, and the error of that."""
    times = range(HISTORY - 1, len(actions) - MAX_HORIZON + 1, DECISION_EVERY)
    taken, space = actions.cpu().numpy(), model.action_space
    proposed = [
        np.stack(
            list(
                propose(
                    taken[time : time + SETTLED], [taken[time + SETTLED :]], count, MAX_HORIZON,
                    space, rng,
                ).values()
            )
        )
        for time in times
    ]  # fmt: skip
    candidates = torch.from_numpy(np.concatenate(proposed)).to(actions)
    rollout = imagine_after(model, *_observed(codes, actions, times), candidates)
    retracing = judge(model, rollout)
    by_decision = (len(times), count)
    uncertainty = retracing.uncertainty.unflatten(0, by_decision).numpy()
    frames = torch.arange(1, MAX_HORIZON + 1)
    judged = torch.where(retracing.took_part.any(dim=2), frames, 0).amax(dim=1)
    judged_by = judged.unflatten(0, by_decision).tolist()
    real = model.features(codes[[time + MAX_HORIZON for time in times]])
    executed = rollout.features[::count, -1]  # the policy's actions come first
    surest = []
    for row, candidate_actions in enumerate(proposed):
        choice = choose(
            [str(k) for k in range(count)],
            uncertainty[row],
            MAX_UNCERTAINTY,
            [a[:n] for a, n in zip(candidate_actions, judged_by[row], strict=True)],
            np.zeros(count),
            np.zeros(count),
            0.0,
            [None] * count,
        )
        surest.append(uncertainty[row, choice.passed].min(initial=np.inf))
    own = np.where(np.isnan(uncertainty[:, 0]), np.inf, uncertainty[:, 0])
    return np.array(surest), own, feature_distance(executed, real).cpu().numpy()


def _present(
    model: WhaleST, frames: Tensor, codes: Tensor, actions: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """(I,) uncertainties of the present and unfamiliarity, with every IMAGE_EVERY-th image."""
    times = range(HISTORY - 1, len(actions), IMAGE_EVERY)
    present = torch.stack([actions[time : time + 1] for time in times])
    with torch.inference_mode():
        retracing = judge(model, imagine_after(model, *_observed(codes, actions, times), present))
        unfamiliarity = model.familiarity(frames[list(times)]).cpu().numpy()
    carry_over, step_s = CarryOver(), model.action_space.step_s
    retraced = retracing.took_part.any(dim=2)[:, 0].tolist()
    values = [
        carry_over(time * step_s, *judged)
        for time, *judged in zip(times, retraced, retracing.uncertainty.tolist(), strict=True)
    ]
    # Before the first image that can be judged the gate has not opened yet.
    first = retraced.index(True) if any(retraced) else 0
    live = np.where(np.isnan(values), np.inf, values)
    live[:first] = 0
    return live, unfamiliarity


def _observed(codes: Tensor, actions: Tensor, times: range) -> tuple[Tensor, Tensor]:
    """Codes (B, HISTORY, N, C) that end with the frames at `times`, and the actions between."""
    past = torch.stack([codes[time - HISTORY + 1 : time + 1] for time in times])
    return past, torch.stack([actions[time - HISTORY + 1 : time] for time in times])


def scales_of(scored: EpisodeScores) -> Scales:
    """What most episodes stay under, as `scales.measure_scales` has it of windows.

    scored: in any units. Raises ValueError if nothing could be judged.
    """
    return Scales(
        live_uncertainty=_quantile(scored.live),
        candidate_uncertainty=_quantile(scored.candidate),
        unfamiliarity=PICTURE_ROOM * _quantile(scored.unfamiliarity),
    )


def _quantile(numbers: np.ndarray) -> float:
    worst = numbers.max(axis=1)
    if not (worst := worst[np.isfinite(worst)]).size:
        raise ValueError("no episode can be judged: the gripper switches too often")
    return float(np.quantile(worst, QUANTILE))


def realised(calibration: Calibration, test: EpisodeScores, behaviors: Sequence[str] = ()) -> dict:
    """What the thresholds do on episodes that did not make them.

    behaviors: the nominal ones, of which coverage is told; without any, all. What passes although
    it is wrong is told of all behaviours, because those that fail matter most there.
    Raises ValueError if none of the test episodes is of a nominal behaviour.

    Intervals are of Clopper and Pearson: exact, over episodes, two-sided at CONFIDENCE; upper
    bounds are one-sided.
    """
    pooled = np.full(len(test.score), calibration.factor())
    own = np.array([calibration.factor(str(task)) for task in test.task])
    nominal = np.isin(test.behavior, behaviors) if behaviors else np.full(len(test.score), True)
    if not nominal.any():
        raise ValueError(f"no test episode is of {', '.join(behaviors)}; record some")
    tasks = [str(task) for task in np.unique(test.task[nominal])]
    return {
        "nominal_coverage": 1 - calibration.alpha,
        "confidence": CONFIDENCE,
        "one_factor_for_all_tasks": {
            "all": _coverage(test, pooled, nominal),
            **{task: _coverage(test, pooled, nominal & (test.task == task)) for task in tasks},
        },
        "a_factor_for_each_task": {
            "all": _coverage(test, own, nominal),
            **{task: _coverage(test, own, nominal & (test.task == task)) for task in tasks},
        },
        "passed_although_wrong": {
            "bad_if_feature_distance_over": BAD_FEATURE_DISTANCE,
            "predictions": passed_predictions(test, pooled),
            "failed_episodes_of": [b for b in PURPOSEFUL if b in test.behavior],
            "episodes": _passed_failures(test, pooled),
        },
    }


def _coverage(test: EpisodeScores, factor: np.ndarray, rows: np.ndarray) -> dict:
    limit = factor[rows, None]
    over = np.concatenate([test.candidate[rows] > limit, test.image[rows] > limit], axis=1)
    image = test.image[rows] > limit
    begins = image & ~np.pad(image, ((0, 0), (1, 0)))[:, :-1]
    alarms = int(begins.sum() + (test.candidate[rows] > limit).sum())
    held, count = int((~over.any(axis=1)).sum()), len(over)
    return {
        "factor": rounded(float(factor[rows][0]), 4) if len(set(factor[rows])) == 1 else None,
        "episodes": count,
        "without_alarm": held,
        **share(held, count),
        "alarms_per_hour": round(alarms / (count * test.episode_s / 3600), 1),
        "alarms_per_episode": round(alarms / count, 4),
    }


def passed_predictions(test: EpisodeScores, factor: np.ndarray) -> dict:
    """Of predictions that were bad, and of the episodes that they are of.

    factor: (E,) of each episode.
    """
    bad = test.error > BAD_FEATURE_DISTANCE
    passed = bad & (test.executed <= factor[:, None])
    episodes = bad.any(axis=1)
    return {
        "bad": int(bad.sum()),
        "of": int(np.isfinite(test.error).sum()),
        "passed": int(passed.sum()),
        "share": _ratio(int(passed.sum()), int(bad.sum())),
        # Windows of an episode are no independent trials: the bound is over episodes.
        "episodes_with_a_bad_one": int(episodes.sum()),
        "episodes_in_which_one_passed": int(passed.any(axis=1).sum()),
        **_upper(int(passed.any(axis=1).sum()), int(episodes.sum())),
    }


def _passed_failures(test: EpisodeScores, factor: np.ndarray) -> dict:
    failed = test.failed & np.isin(test.behavior, PURPOSEFUL)
    passed = int((failed & (test.score <= factor)).sum())
    return {"failed": int(failed.sum()), "passed": passed, **_upper(passed, int(failed.sum()))}


def share(hits: int, count: int) -> dict:
    """With its interval of Clopper and Pearson, at CONFIDENCE."""
    low, high = binomtest(hits, count).proportion_ci(CONFIDENCE, "exact")
    return {"share": round(hits / count, 4), "from": round(low, 4), "to": round(high, 4)}


def _upper(hits: int, count: int) -> dict:
    """The share, and what it is at most; None without a trial."""
    if not count:
        return {"share_of_episodes": None, "at_most": None}
    _, high = binomtest(hits, count, alternative="less").proportion_ci(CONFIDENCE, "exact")
    return {"share_of_episodes": round(hits / count, 4), "at_most": round(high, 4)}


def _ratio(hits: int, count: int) -> float | None:
    return round(hits / count, 4) if count else None
