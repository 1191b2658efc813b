"""Which sequences tell an outcome, and what tells it."""

import pytest
import torch

from whale_ros.evaluation.finetuning.outcome import sequences, train_outcome_probe
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_float


@pytest.fixture(scope="module")
def held_out(robots):
    return EpisodeSet(robots[0], "validation")


def test_a_sequence_begins_before_its_outcome_and_ends_with_it(held_out):
    pairs, outcomes = sequences(held_out)
    assert pairs[:, 0].tolist() == list(range(len(held_out)))
    for (episode, start), outcome in zip(pairs.tolist(), outcomes.tolist(), strict=True):
        done = held_out.success[episode]
        assert not done[start + HISTORY - 1]
        assert bool(done[start + HISTORY + MAX_HORIZON - 1]) == outcome == bool(done.any())


def test_those_that_fail_end_when_the_others_do(held_out):
    pairs, outcomes = sequences(held_out)
    starts = pairs[:, 1]
    assert starts[outcomes].min() <= starts[~outcomes].min()
    assert starts[~outcomes].max() <= starts[outcomes].max()


def test_a_success_that_is_lost_again_or_comes_at_once_tells_nothing(held_out):
    lost = held_out.select([0, 1, 4])
    lost.success[0][lost.success_at[0] + 1 :] = False
    assert sequences(lost)[0][:, 0].tolist() == [1, 2]
    early = held_out.select([0, 1, 4])
    early.success[0][3:] = True
    early.success_at[0] = 3
    assert sequences(early)[0][:, 0].tolist() == [1, 2]


def test_episodes_of_one_outcome_are_refused(held_out):
    with pytest.raises(ValueError, match="come to success and some that do not"):
        sequences(held_out.select([0, 1]))


def test_the_probe_tells_the_outcome_of_pictures_that_it_has_not_seen(robots, held_out):
    probe = train_outcome_probe(EpisodeSet(robots[0], "train"), steps=60)
    told = probe(to_float(held_out.frames.flat)) > 0
    assert (told == held_out.success.flat).float().mean() > 0.9


def test_a_probe_needs_both_outcomes(held_out):
    with pytest.raises(ValueError, match="both success and failure"):
        train_outcome_probe(held_out.select([4, 5]))
    unknown = held_out.select([0, 4])
    unknown.success = None
    with pytest.raises(ValueError, match="both success and failure"):
        train_outcome_probe(unknown)
    assert torch.equal(held_out.select([4, 0]).success[1], held_out.success[0])
