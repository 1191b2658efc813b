"""Windows, and the episodes they are of."""

import numpy as np
import pytest


def test_what_is_selected_is_that_of_every_column(made_up_trials):
    shifted = made_up_trials.select(made_up_trials.of_kind("shift", 0.06))
    assert len(shifted) == 72
    assert set(shifted.episode) == set(range(100, 124))
    np.testing.assert_array_equal(
        shifted.scores["ensemble"], made_up_trials.scores["ensemble"][72:144]
    )
    np.testing.assert_array_equal(shifted.errors["pixels"], made_up_trials.errors["pixels"][72:144])


def test_an_episode_whose_pictures_are_spoiled_is_another_run(made_up_trials):
    made_up_trials.episode %= 100
    first, run = made_up_trials.runs()
    assert len(first) == 3 * 24
    for column in (made_up_trials.condition, made_up_trials.episode):
        np.testing.assert_array_equal(column[first][run], column)


def test_seconds_left_are_counted_from_the_newest_observed_frame(made_up_trials):
    made_up_trials.start[:2] = 0, 26
    assert made_up_trials.seconds_left[:2] == pytest.approx([27 * 0.2, 0.2])
