"""What SAC learns from: imagined and recorded transitions, and what a shuffle changes."""

import numpy as np
import pytest
import torch

from whale_ros.policy_optimization.offline import ACTION, observe, physical
from whale_ros.policy_optimization.transitions import (
    Penalty,
    imagine_transitions,
    recorded_transitions,
    rewards,
)

ROUNDS, ROLLOUTS, STEPS = 4, 5, 3


@pytest.fixture(scope="module")
def imagine(small_model, reward, correction, offline):
    def make(seed=0, model=small_model, data=offline):
        return imagine_transitions(
            model, reward, correction, data, ROUNDS, ROLLOUTS, STEPS, seed
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def imagined(imagine):
    return imagine()


def in_rollouts(values):
    """(rollout, step, ...) of transitions (M, ...)."""
    return values.unflatten(0, (-1, STEPS))


def test_transitions_follow_one_another_in_short_rollouts(imagined, offline):
    size = offline.observations.shape[-1]
    count = ROUNDS * ROLLOUTS * STEPS
    assert imagined.observations.shape == imagined.following.shape == (count, size)
    assert imagined.corrections.shape == (count, ACTION)
    assert imagined.gains.shape == imagined.uncertainty.shape == (count,)
    before, after = in_rollouts(imagined.observations), in_rollouts(imagined.following)
    assert torch.equal(before[:, 1:], after[:, :-1])
    half = size // 2  # the newest frame, and then the one before
    assert torch.equal(after[..., half:], before[..., :half])


def test_rollouts_begin_with_observations_of_the_episodes(imagined, offline):
    known = {row.numpy().tobytes() for row in offline.observations[:, 1:].flatten(0, 1)}
    beginnings = in_rollouts(imagined.observations)[:, 0]
    assert all(row.numpy().tobytes() in known for row in beginnings)


def test_what_follows_is_what_the_model_imagines_under_the_corrected_actions(
    imagined, small_model, offline, correction
):
    rows = offline.observations.flatten(0, 1)
    half = rows.shape[1] // 2
    for rollout in range(0, ROUNDS * ROLLOUTS, 3):
        before = in_rollouts(imagined.observations)[rollout]
        episode, frame = divmod(int((rows == before[0]).all(1).nonzero()[0]), offline.steps + 1)
        first = max(0, frame - 5)
        state = small_model.start(
            offline.codes[episode, first : frame + 1][None],
            offline.actions[episode, first:frame][None],
        )
        for step, move in enumerate(in_rollouts(imagined.corrections)[rollout]):
            action = correction.apply(before[step].numpy(), move.numpy())
            taken = torch.from_numpy(physical(action, offline.action_space))
            with torch.inference_mode():
                state, output = small_model.step(state, taken[None])
            after = in_rollouts(imagined.following)[rollout, step]
            torch.testing.assert_close(after[:half], output.features.flatten(), atol=1e-4, rtol=0)


def test_gains_add_up_to_the_progress_that_is_read(imagined, reward):
    begin = reward(in_rollouts(imagined.observations)[:, 0]).squeeze(-1)
    end = reward(in_rollouts(imagined.following)[:, -1]).squeeze(-1)
    torch.testing.assert_close(in_rollouts(imagined.gains).sum(1), end - begin)


def test_equal_seeds_give_equal_transitions(imagine, imagined):
    for name, value in imagine().__dict__.items():
        assert torch.equal(value, getattr(imagined, name))
    assert not torch.equal(imagine(seed=1).observations, imagined.observations)


def test_off_rewards_gains_alone_and_on_takes_off_what_is_unusual(imagined):
    penalty = Penalty(weight=2.0, usual=0.1)
    assert torch.equal(rewards(imagined, "off", penalty, 0), imagined.gains)
    assert imagined.uncertainty.std() > 0
    expected = imagined.gains - 2.0 * (imagined.uncertainty - 0.1)
    torch.testing.assert_close(rewards(imagined, "on", penalty, 0), expected)


def test_shuffled_penalties_are_the_same_ones_on_other_transitions(imagined):
    penalty = Penalty.of(imagined, spread=1.0)
    right = imagined.gains - rewards(imagined, "on", penalty, 0)
    shuffled = imagined.gains - rewards(imagined, "shuffled", penalty, 0)
    torch.testing.assert_close(shuffled.sort().values, right.sort().values)
    assert (shuffled - right).abs().mean() > 0.3 * right.std()


def test_penalties_spread_as_widely_as_asked_for_and_are_nothing_in_the_mean(imagined):
    penalties = imagined.gains - rewards(imagined, "on", Penalty.of(imagined, spread=0.5), 0)
    torch.testing.assert_close(penalties.std(), 0.5 * imagined.gains.std())
    assert abs(penalties.mean()) < 1e-5


def test_another_word_for_the_uncertainty_is_refused(imagined):
    with pytest.raises(ValueError, match="'often'; known: on, off, shuffled"):
        rewards(imagined, "often", Penalty(1.0, 0.0), 0)


def test_a_broken_model_imagines_nothing(imagine, random_model):
    model = random_model()
    with torch.no_grad():
        next(model.dynamics.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="broken"):
        imagine(model=model)


def test_recorded_transitions_are_those_of_the_episodes_that_a_correction_can_be(
    offline, correction
):
    recorded = recorded_transitions(offline, correction)
    row = 0
    for episode in range(len(offline.codes)):
        for t in range(offline.steps):
            before = offline.observations[episode, t].numpy()
            cloned = correction.apply(before, np.zeros(ACTION, np.float32))
            action = offline.policy_actions[episode, t].numpy()
            if np.abs(action - cloned).max() > correction.limit:
                continue
            assert torch.equal(recorded.observations[row], offline.observations[episode, t])
            assert torch.equal(recorded.following[row], offline.observations[episode, t + 1])
            gain = offline.progress[episode, t + 1] - offline.progress[episode, t]
            assert recorded.gains[row] == gain
            # the correction that is kept leads to the action that was taken
            corrected = correction.apply(before, recorded.corrections[row].numpy())
            taken = offline.actions[episode, t].numpy().copy()
            taken[3:6] = 0  # rotations are not a policy's
            np.testing.assert_allclose(physical(corrected, offline.action_space), taken, atol=1e-6)
            row += 1
    assert 0 < row == len(recorded.gains) < offline.steps * len(offline.codes)


def test_the_frame_before_the_first_is_the_first():
    features = torch.arange(12.0).view(3, 2, 2)
    expected = [[0, 1, 2, 3, 0, 1, 2, 3], [4, 5, 6, 7, 0, 1, 2, 3], [8, 9, 10, 11, 4, 5, 6, 7]]
    assert observe(features).tolist() == expected
