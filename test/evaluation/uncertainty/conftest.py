"""Scores of a small world model and an ensemble with the same tokenizer."""

import copy

import numpy as np
import pytest

from whale_ros.evaluation.uncertainty.scores import Scores
from whale_ros.evaluation.windows import held_out_windows


@pytest.fixture(scope="session")
def member(small_model, random_model):
    """Another model with the small one's tokenizer."""
    other = random_model(seed=1)
    other.tokenizer = copy.deepcopy(small_model.tokenizer)
    return other


@pytest.fixture
def scores(small_model, member, held_out):
    return Scores(small_model, [member], held_out)


@pytest.fixture
def imagined(scores, held_out):
    window = next(held_out_windows(held_out, 6, 8))
    return scores.imagine(window)


@pytest.fixture
def made_up_trials():
    """Of three tasks under three conditions; two scores that know the error, more or less."""
    from whale_ros.evaluation.uncertainty.trials import Trials

    random = np.random.default_rng(0)
    tasks = ["push-v3", "reach-v3", "window-open-v3"]
    conditions = [("nominal", 0.0, 1.0), ("shift", 0.06, 1.5), ("frozen", 3.0, 2.5)]
    windows = [
        (*condition, tasks[episode % 3], 100 * number + episode, start, episode % 4 == 0)
        for number, condition in enumerate(conditions)
        for episode in range(24)
        for start in (0, 5, 10)
    ]
    condition, severity, factor, task, episode, start, failed = map(
        np.array, zip(*windows, strict=True)
    )
    error = 0.2 * factor[:, None] * random.lognormal(0, 0.4, (len(windows), 8))
    noise = random.lognormal(0, 0.2, (2, *error.shape))
    unknown = error.copy()
    unknown[::7] = np.nan
    return Trials(
        condition, severity, task, np.array(["expert"] * len(windows)), episode, start, failed,
        errors={"features": error, "pixels": unknown},
        scores={"retracing": error * noise[0], "ensemble": error * noise[1]},
    )  # fmt: skip
