"""All that trials tell about ways to tell uncertainty, in one dictionary for JSON."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from whale_ros.evaluation.bootstrap import RESAMPLES
from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.uncertainty.aims import aims
from whale_ros.evaluation.uncertainty.alarms import foretold_failures
from whale_ros.evaluation.uncertainty.conditions import of_each_condition
from whale_ros.evaluation.uncertainty.estimates import DIGITS, Metric, estimate
from whale_ros.evaluation.uncertainty.metrics import (
    COVERAGE,
    area,
    auroc,
    risk_coverage,
    spearman,
    true_alarms,
)
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials

DEPTHS = (1, 4, 8)
MAIN_DEPTH = 8
MAIN_ERROR = "features"
ALL = "all conditions"
BEST = "best possible: the error itself"


def summarise(
    trials: Trials,
    costs: dict[str, dict[str, float | None]],
    main_score: str,
    bounds: dict[str, float],
    rival: str = "ensemble",
) -> dict:
    """Every table, for each score.

    costs: of each score, "training_steps" and "inference_ms". bounds: of errors by name; larger
    ones make a prediction bad. rival: the score that the main one is compared with, if it is there.

    Raises ValueError if there are no nominal trials, or a bound of MAIN_ERROR is not given.
    """
    if MAIN_ERROR not in bounds:
        raise ValueError(f"no bound of the error in {MAIN_ERROR} is among {bounds}; give one")
    if not (trials.condition == NOMINAL).any():
        raise ValueError(
            f"conditions are compared with {NOMINAL!r}, but there are only {trials.kinds()}"
        )
    scopes = {ALL: trials, NOMINAL: trials.select(trials.condition == NOMINAL)}
    summary: dict = {
        "main_score": main_score,
        "rival": rival,
        "main_error": MAIN_ERROR,
        "main_depth": MAIN_DEPTH,
        "bounds": bounds,
        "settings": {"bootstrap_resamples": RESAMPLES},
        "windows": len(trials),
        "episodes": len(np.unique(trials.episode)),
        "tasks": np.unique(trials.task).tolist(),
        "behaviors": np.unique(trials.behavior).tolist(),
        "costs": costs,
        "scores": _scores(scopes, bounds),
        "failures": [
            {"scope": scope, "score": name} | foretold_failures(part, values[:, MAIN_DEPTH - 1])
            for scope, part in scopes.items()
            for name, values in tqdm(part.scores.items(), f"failures, {scope}", unit="score")
        ],
        "differences": _differences(scopes, bounds, main_score, rival),
        "conditions": of_each_condition(trials, MAIN_DEPTH, bounds, MAIN_ERROR),
        "risk_coverage": {"coverage": COVERAGE.round(2).tolist()}
        | {scope: _curves(part) for scope, part in scopes.items()},
    }
    return summary | {"aims": aims(summary)}


def known(trials: Trials, error: str, depth: int) -> tuple[Trials, np.ndarray]:
    """Those windows whose error at a depth is defined, and that error."""
    values = trials.errors[error][:, depth - 1]
    defined = ~np.isnan(values)
    return trials.select(defined), values[defined]


def _scores(scopes: dict[str, Trials], bounds: dict[str, float]) -> list[dict]:
    """A row for each scope, error, depth and score; errors without a bound get no more than ranks.

    Each interval takes seconds: only errors with a bound have them, at MAIN_DEPTH.
    """
    kinds = [
        (scope, name, depth)
        for scope, trials in scopes.items()
        for name in trials.errors
        for depth in DEPTHS
    ]
    rows = []
    for scope, name, depth in tqdm(kinds, "errors foretold", unit="table"):
        trials, error = known(scopes[scope], name, depth)
        metrics: dict[str, tuple[Metric, np.ndarray]] = {
            "spearman": (spearman, error),
            "area": (area, error),
        }
        if name in bounds:
            bad = error > bounds[name]
            metrics |= {"auroc": (auroc, bad), "true_alarms": (true_alarms, bad)}
        sure = name in bounds and depth == MAIN_DEPTH
        for score, values in trials.scores.items():
            rows.append(
                {"scope": scope, "error": name, "depth": depth, "score": score}
                | {"windows": len(trials), "episodes": len(np.unique(trials.episode))}
                | {
                    key: estimate(metric, (values[:, depth - 1], truth), trials, sure)
                    for key, (metric, truth) in metrics.items()
                }
            )
    return rows


def _differences(
    scopes: dict[str, Trials], bounds: dict[str, float], main: str, rival: str
) -> list[dict]:
    """AUROC of the main score minus the rival's, both in the same resamples."""

    def difference(
        ours: np.ndarray, theirs: np.ndarray, bad: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        return auroc(ours, bad, weights) - auroc(theirs, bad, weights)

    rows = []
    for scope, everything in scopes.items():
        for name, bound in bounds.items():
            trials, error = known(everything, name, MAIN_DEPTH)
            if rival not in trials.scores:
                continue
            columns = *(trials.scores[s][:, MAIN_DEPTH - 1] for s in (main, rival)), error > bound
            rows.append(
                {"scope": scope, "error": name, "auroc": estimate(difference, columns, trials)}
            )
    return rows


def _curves(everything: Trials) -> dict[str, list[float | None]]:
    """Mean MAIN_ERROR of the most trusted share, mean over tasks, by score."""
    trials, error = known(everything, MAIN_ERROR, MAIN_DEPTH)
    scores = {name: values[:, MAIN_DEPTH - 1] for name, values in trials.scores.items()}
    return {
        name: [
            rounded(risk, DIGITS)
            for risk in np.mean(
                [
                    risk_coverage(score[here], error[here], np.ones(here.sum()))
                    for here in (trials.task == task for task in np.unique(trials.task))
                ],
                axis=0,
            )
        ]
        for name, score in (scores | {BEST: error}).items()
    }
