"""How well a score tells good predictions from bad ones.

All take windows' scores (W,), where more means less trust and NaN least, and how often each window
counts (..., W): whole numbers give what W windows, repeated so often, would. NaN where there is
nothing to tell apart.
"""

from __future__ import annotations

import numpy as np

FALSE_ALARMS = 0.05
COVERAGE = np.linspace(0.05, 1, 20)


def auroc(score: np.ndarray, bad: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(...) probability that a bad window (W,) bool has more than a good one; half if as much."""
    good_w, bad_w = _by_value(untrusted(score), weights * ~bad, weights * bad)
    below = good_w.cumsum(-1) - good_w / 2
    with np.errstate(invalid="ignore"):
        return (bad_w * below).sum(-1) / (good_w.sum(-1) * bad_w.sum(-1))


def true_alarms(score: np.ndarray, bad: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(...) share of the bad above the least threshold that FALSE_ALARMS of the good exceed."""
    good_w, bad_w = _by_value(untrusted(score), weights * ~bad, weights * bad)
    total = good_w.sum(-1, keepdims=True)
    false = total - good_w.cumsum(-1) + good_w  # good windows with this value or more
    alarmed = false <= FALSE_ALARMS * total + 1e-9
    with np.errstate(invalid="ignore"):
        share = (bad_w * alarmed).sum(-1) / bad_w.sum(-1)
    return np.where(total[..., 0] > 0, share, np.nan)


def spearman(score: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(...) rank correlation with the error (W,); equal values share their mean rank."""
    x, y = (_centred_ranks(values, weights) for values in (untrusted(score), error))
    both, first, second = ((weights * product).sum(-1) for product in (x * y, x * x, y * y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return both / np.sqrt(first * second)


def risk_coverage(score: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(..., len(COVERAGE)) mean error (W,) of the most trusted share of windows.

    Of windows with equal scores, any may come first: each counts with their mean error.
    """
    total, wrong = _by_value(untrusted(score), weights, weights * error)
    total, wrong = (
        np.concatenate([np.zeros((*part.shape[:-1], 1)), part.cumsum(-1)], axis=-1)
        for part in (total, wrong)
    )
    risks = np.full((*total.shape[:-1], len(COVERAGE)), np.nan)
    for row in np.ndindex(total.shape[:-1]):
        if total[row][-1] > 0:
            covered = COVERAGE * total[row][-1]
            risks[row] = np.interp(covered, total[row], wrong[row]) / covered
    return risks


def area(score: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(...) mean of the risk over COVERAGE."""
    return risk_coverage(score, error, weights).mean(-1)


def threshold(score: np.ndarray) -> float:
    """The least value that at most FALSE_ALARMS of the windows exceed; NaN if there are none."""
    if not len(score):
        return float("nan")
    return float(np.sort(untrusted(score))[-1 - int(FALSE_ALARMS * len(score) + 1e-9)])


def untrusted(score: np.ndarray) -> np.ndarray:
    """What could not be judged is trusted least."""
    return np.where(np.isnan(score), np.inf, score)


def _by_value(values: np.ndarray, *weights: np.ndarray) -> list[np.ndarray]:
    """Each of the weights (..., W) summed over equal values, smallest value first: (..., G)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return [np.add.reduceat(part[..., order], first, axis=-1) for part in weights]


def _centred_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(..., W) ranks, less their mean."""
    (total,) = _by_value(values, weights)
    ranks = (total.cumsum(-1) - total / 2)[..., np.unique(values, return_inverse=True)[1]]
    with np.errstate(invalid="ignore"):
        mean = (weights * ranks).sum(-1) / weights.sum(-1)
    return ranks - mean[..., None]
