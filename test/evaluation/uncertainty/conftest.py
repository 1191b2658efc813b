"""Scores of a small world model and an ensemble with the same tokenizer."""

import copy

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
