"""The dynamics: the cache changes nothing, and the future does not reach the past."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.world_model.dynamics import corrupt

lengths = st.integers(1, 9)
batches = st.integers(1, 3)
seeds = st.integers(0, 10_000)


def draw(model, batch, time, seed):
    """Random codes (B, T, N, C) and normalised actions (B, T, 7)."""
    tokens = model.config.tokenizer
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, time, tokens.tokens, tokens.code_dim)
    codes = torch.randint(tokens.code_levels, shape, generator=generator)
    return codes, 2 * torch.rand(batch, time, 7, generator=generator) - 1


@settings(max_examples=25)
@given(batches, lengths, lengths, seeds)
@torch.inference_mode()
def test_with_the_cache_logits_are_those_of_the_whole_sequence(small_model, batch, a, b, seed):
    codes, actions = draw(small_model, batch, a + b, seed)
    whole, _ = small_model.dynamics(codes, actions)
    first, cache = small_model.dynamics(codes[:, :a], actions[:, :a])
    torch.testing.assert_close(first, whole[:, :a], atol=1e-4, rtol=0)
    at_once, _ = small_model.dynamics(codes[:, a:], actions[:, a:], past=cache)
    torch.testing.assert_close(at_once, whole[:, a:], atol=1e-4, rtol=0)
    for t in range(a, a + b):
        one = slice(t, t + 1)
        logits, cache = small_model.dynamics(codes[:, one], actions[:, one], past=cache)
        torch.testing.assert_close(logits, whole[:, one], atol=1e-4, rtol=0)


@settings(max_examples=25)
@given(st.integers(2, 9), st.data(), seeds)
@torch.inference_mode()
def test_a_later_frame_or_action_does_not_change_earlier_logits(small_model, time, data, seed):
    changed = data.draw(st.integers(1, time - 1))
    codes, actions = draw(small_model, 2, time, seed)
    before, _ = small_model.dynamics(codes, actions)
    other_codes, other_actions = draw(small_model, 2, time, seed + 1)
    codes[:, changed], actions[:, changed] = other_codes[:, changed], other_actions[:, changed]
    after, _ = small_model.dynamics(codes, actions)
    torch.testing.assert_close(after[:, :changed], before[:, :changed], atol=1e-5, rtol=0)
    assert (after[:, changed] - before[:, changed]).abs().max() > 1e-3


@pytest.mark.parametrize("what", ["frames", "actions"])
@torch.inference_mode()
def test_earlier_frames_and_actions_do_change_later_logits(small_model, what):
    codes, actions = draw(small_model, 2, 6, 0)
    before, _ = small_model.dynamics(codes, actions)
    if what == "frames":
        codes[:, 1] = 4 - codes[:, 1]
    else:
        actions[:, 1] *= -1
    after, _ = small_model.dynamics(codes, actions)
    assert (after[:, -1] - before[:, -1]).abs().max() > 1e-3


@given(batches, seeds)
@torch.inference_mode()
def test_rollouts_of_a_batch_do_not_see_each_other(small_model, batch, seed):
    codes, actions = draw(small_model, batch, 4, seed)
    together, _ = small_model.dynamics(codes, actions)
    for i in range(batch):
        alone, _ = small_model.dynamics(codes[i : i + 1], actions[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_tokens_that_are_known_help_only_where_they_are_said_to_be_known(small_model):
    codes, actions = draw(small_model, 1, 3, 0)
    known, _ = draw(small_model, 1, 3, 1)
    nothing = torch.zeros(known.shape[:-1], dtype=torch.bool)
    blind, _ = small_model.dynamics(codes, actions)
    untold, _ = small_model.dynamics(codes, actions, known, nothing)
    told, _ = small_model.dynamics(codes, actions, known, ~nothing)
    torch.testing.assert_close(untold, blind, atol=1e-6, rtol=0)
    assert (told - blind).abs().max() > 1e-3


def test_the_loss_depends_on_the_generator_alone(small_model):
    codes, actions = draw(small_model, 4, 5, 0)

    def loss(seed):
        generator = torch.Generator().manual_seed(seed)
        value, metrics = small_model.dynamics.loss(codes, actions[:, :-1], generator)
        assert 0 <= metrics["accuracy_changed"] <= 1
        return float(value.detach())

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)


def test_a_network_that_knows_nothing_loses_the_log_of_the_levels(random_model):
    model = random_model()
    torch.nn.init.zeros_(model.dynamics.head[-1].weight)
    torch.nn.init.zeros_(model.dynamics.head[-1].bias)
    codes, actions = draw(model, 4, 5, 0)
    loss, _ = model.dynamics.loss(codes, actions[:, :-1], torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(math.log(5), abs=1e-5)


@given(seeds)
def test_corruption_stays_in_range_and_leaves_most_codes_alone(seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(5, (8, 6, 4, 3), generator=generator)
    corrupted = corrupt(codes, 5, generator)
    assert corrupted.min() >= 0 and corrupted.max() < 5
    assert (corrupted != codes).float().mean() < 0.3
    assert corrupted.dtype == codes.dtype
