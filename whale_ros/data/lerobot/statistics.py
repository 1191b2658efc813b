"""Statistics of features, as LeRobot normalises by them."""

from __future__ import annotations

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

Statistics = dict[str, dict[str, list]]  # by feature, then by name


def of_vectors(values: np.ndarray) -> dict[str, list]:
    """Of each column of values (N, D): min, max, mean, std, quantiles, each D numbers; count."""
    values = values.astype(np.float64)
    return {
        "min": values.min(0).tolist(),
        "max": values.max(0).tolist(),
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "count": [len(values)],
        **{name: np.quantile(values, q, axis=0).tolist() for name, q in QUANTILES.items()},
    }


def levels(pictures: np.ndarray) -> np.ndarray:
    """How many pixels of pictures (N, height, width, 3) uint8 have each value, (3, 256)."""
    return np.stack([np.bincount(pictures[..., c].ravel(), minlength=256) for c in range(3)])


def of_pictures(levels: np.ndarray, count: int) -> dict[str, list]:
    """Of `count` pictures with a levels (3, 256), values from 0 to 1; of shape (3, 1, 1)."""
    values = np.arange(256) / 255
    total = levels.sum(1, keepdims=True)
    mean = (levels * values).sum(1, keepdims=True) / total
    std = np.sqrt((levels * (values - mean) ** 2).sum(1, keepdims=True) / total)
    below = np.cumsum(levels, axis=1) / total
    found = {
        "min": values[(levels > 0).argmax(1)],
        "max": values[255 - (levels[:, ::-1] > 0).argmax(1)],
        "mean": mean,
        "std": std,
        **{name: values[(below >= q).argmax(1)] for name, q in QUANTILES.items()},
    }
    shaped = {name: np.reshape(number, (3, 1, 1)).tolist() for name, number in found.items()}
    return {**shaped, "count": [count]}
