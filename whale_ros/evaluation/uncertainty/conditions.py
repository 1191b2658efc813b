"""What each condition does to predictions and to scores, beside the nominal one."""

from __future__ import annotations

import numpy as np

from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.uncertainty.estimates import DIGITS, SCORE_DIGITS, Metric, estimate
from whale_ros.evaluation.uncertainty.metrics import auroc, spearman, threshold, untrusted
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials


def of_each_condition(
    trials: Trials, depth: int, bounds: dict[str, float], main_error: str
) -> list[dict]:
    """A row for each condition and severity, at one depth."""
    return [_row(trials, kind, depth - 1, bounds, main_error) for kind in trials.kinds()]


def _row(
    trials: Trials, kind: tuple[str, float], step: int, bounds: dict[str, float], main_error: str
) -> dict:
    here = trials.of_kind(*kind)
    nominal = trials.condition == NOMINAL
    part = trials.select(here)
    errors = {name: error[:, step] for name, error in part.errors.items()}
    known = ~np.isnan(errors[main_error])
    judged, error = part.select(known), errors[main_error][known]
    bad = error > bounds[main_error]
    return {
        "condition": kind[0],
        "severity": kind[1],
        "windows": len(part),
        "episodes": len(np.unique(part.episode)),
        "failed": _mean(part.select(part.runs()[0]).failed),
        "median_error": {name: _median(error) for name, error in errors.items()},
        "bad": {
            name: _mean(errors[name][~np.isnan(errors[name])] > bound)
            for name, bound in bounds.items()
        },
        "scores": {
            name: _against_nominal(trials, score[:, step], here, nominal)
            | {
                "spearman": _value(spearman, judged.scores[name][:, step], error, judged),
                "auroc": _value(auroc, judged.scores[name][:, step], bad, judged),
            }
            for name, score in trials.scores.items()
        },
    }


def _against_nominal(
    trials: Trials, score: np.ndarray, here: np.ndarray, nominal: np.ndarray
) -> dict:
    """How far the score tells this condition from the nominal one, mean over tasks.

    A task without nominal windows is compared with those of all tasks.
    """
    detects, above = [], []
    for task in np.unique(trials.task[here]):
        these = score[here & (trials.task == task)]
        same_task = nominal & (trials.task == task)
        usual = score[same_task if same_task.any() else nominal]
        both = np.concatenate([these, usual])
        detects.append(float(auroc(both, np.arange(len(both)) < len(these), np.ones(len(both)))))
        above.append(float((untrusted(these) > threshold(usual)).mean()))
    return {
        "median": rounded(float(np.median(untrusted(score[here]))), SCORE_DIGITS),
        "auroc_against_nominal": _mean(np.array(detects)),
        "above_nominal_95": _mean(np.array(above)),
    }


def _value(metric: Metric, score: np.ndarray, truth: np.ndarray, trials: Trials) -> float | None:
    return estimate(metric, (score, truth), trials, sure=False)["value"]


def _median(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return rounded(float(np.median(known)), DIGITS) if len(known) else None


def _mean(values: np.ndarray) -> float | None:
    return rounded(float(values.mean()), DIGITS) if len(values) else None
