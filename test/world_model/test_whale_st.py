"""Whale-ST as a world model: states are values, and the cache changes nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.world_model.config import DynamicsConfig
from whale_ros.world_model.whale_st import State

lengths = st.integers(1, 12)
batches = st.integers(1, 3)
seeds = st.integers(0, 10_000)
sizes = st.sampled_from([(8, 1, 1), (16, 3, 2), (24, 2, 4)])  # width, layers, heads


def draw(model, batch, frames, seed, actions=None):
    """Random latents (B, T, N, C) and as many actions (B, ., 7) as asked, physical units."""
    tokens = model.config.tokenizer
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, frames, tokens.tokens, tokens.code_dim)
    latents = torch.randint(tokens.code_levels, shape, generator=generator)
    scale = torch.tensor([0.05] * 3 + [0.1] * 3 + [1.0])
    count = frames - 1 if actions is None else actions
    return latents, (2 * torch.rand(batch, count, 7, generator=generator) - 1) * scale


def plain_step(model, latents, actions, z=None):
    """Slow reference: logits (B, N, C, levels) of the next frame, all recomputed, no cache."""
    taken = model.normalised(actions)
    if z is None:
        z = model.behavior.infer(latents, taken[:, :-1])
    else:
        z = z.unsqueeze(1).expand(-1, latents.shape[1], -1)
    return model.dynamics(latents, taken, z)[0][:, -1]


def assert_imagines_like_the_reference(model, state, latents, actions, z=None):
    """Go on from `state` with actions, comparing each imagined frame with the uncached one."""
    past = latents.shape[1] - 1
    for t in range(past, actions.shape[1]):
        logits = plain_step(model, latents, actions[:, : t + 1], z)
        state, output = model.step(state, actions[:, t])
        probability = logits.softmax(-1)
        values = model.tokenizer.values(torch.arange(model.dynamics.levels))
        torch.testing.assert_close(output.features, probability @ values, atol=1e-4, rtol=0)
        entropy = -(probability * probability.log()).sum(-1).mean((-2, -1))
        torch.testing.assert_close(
            output.entropy, entropy / math.log(model.dynamics.levels), atol=1e-4, rtol=0
        )
        best = logits.topk(2).values
        clear = best[..., 0] - best[..., 1] > 1e-3  # of two equally likely codes either will do
        assert (output.latent == logits.argmax(-1))[clear].all()
        latents = torch.cat([latents, output.latent.unsqueeze(1)], dim=1)


@settings(max_examples=25)
@given(batches, lengths, lengths, seeds, st.booleans())
@torch.inference_mode()
def test_imagined_frames_are_those_of_the_uncached_network(
    small_model, batch, past, ahead, seed, held
):
    latents, actions = draw(small_model, batch, past, seed, past - 1 + ahead)
    z = torch.randn(batch, 4, generator=torch.Generator().manual_seed(seed)) if held else None
    state = small_model.start(latents, actions[:, : past - 1], z)
    assert_imagines_like_the_reference(small_model, state, latents, actions, z)


@settings(max_examples=15)
@given(
    st.sampled_from([(8, 1, 1), (16, 3, 2), (24, 2, 4)]),
    st.integers(2, 5),
    st.integers(2, 5),
    seeds,
)
@torch.inference_mode()
def test_that_holds_for_every_size_and_window(
    random_model, small_config, size, window, behavior_window, seed
):
    width, layers, heads = size
    dynamics = DynamicsConfig(width=width, layers=layers, heads=heads, window=window)
    behavior = replace(small_config.behavior, layers=2, window=behavior_window)
    config = replace(small_config, dynamics=dynamics, behavior=behavior)
    model = random_model(seed % 3, config)
    latents, actions = draw(model, 2, 4, seed, 3 + 20)
    state = model.start(latents, actions[:, :3])
    assert_imagines_like_the_reference(model, state, latents, actions)


@settings(max_examples=10)
@given(st.integers(1, 12), st.integers(0, 12), seeds)
@torch.inference_mode()
def test_a_slot_sees_its_window_and_nothing_older(small_model, past, ahead, seed):
    window, layers = small_model.dynamics.trunk.window, 2
    latents, actions = draw(small_model, 1, past + ahead + 1, seed)
    other, _ = draw(small_model, 1, past + ahead + 1, seed + 1)
    z = torch.zeros(1, 4)
    logits = plain_step(small_model, latents[:, :-1], actions, z)
    reach = layers * (window - 1) + 1  # through its layers a slot hears of these
    changed = latents.clone()
    changed[:, : max(0, past + ahead - reach)] = other[:, : max(0, past + ahead - reach)]
    torch.testing.assert_close(plain_step(small_model, changed[:, :-1], actions, z), logits)


@settings(max_examples=15)
@given(st.integers(2, 6), lengths, st.data(), seeds)
@torch.inference_mode()
def test_rewinding_and_going_on_is_like_never_having_gone_on(small_model, past, ahead, data, seed):
    latents, actions = draw(small_model, 2, past, seed, past - 1 + ahead)
    state = small_model.start(latents, actions[:, : past - 1])
    for t in range(past - 1, past - 1 + ahead):
        state, _ = small_model.step(state, actions[:, t])
    steps = data.draw(st.integers(0, past - 1 + ahead))
    back = small_model.rewind(state, steps)
    frames = past + ahead - steps
    assert (back.codes == state.codes[:, :frames]).all()
    _, other = draw(small_model, 2, 1, seed + 1, past + 5)
    taken = torch.cat([actions[:, : frames - 1], other[:, :3]], dim=1)
    assert_imagines_like_the_reference(small_model, back, back.codes, taken)


@settings(max_examples=15)
@given(batches, lengths, st.lists(st.integers(0, 2), min_size=1, max_size=5), seeds)
@torch.inference_mode()
def test_a_fork_imagines_what_its_original_does(small_model, batch, past, rows, seed):
    index = torch.tensor([row % batch for row in rows])
    latents, actions = draw(small_model, batch, past, seed)
    state = small_model.start(latents, actions)
    forked = small_model.fork(state, index)
    _, action = draw(small_model, batch, 1, seed + 1, 1)
    _, original = small_model.step(state, action[:, 0])
    _, output = small_model.step(forked, action[index, 0])
    torch.testing.assert_close(output.features, original.features[index], atol=1e-4, rtol=0)


@settings(max_examples=15)
@given(st.lists(batches, min_size=1, max_size=4), st.integers(1, 6), st.booleans(), seeds)
@torch.inference_mode()
def test_states_that_are_stepped_together_go_on_as_each_alone(small_model, sizes, past, fork, seed):
    states, actions = [], []
    for number, batch in enumerate(sizes):
        latents, drawn = draw(small_model, batch, past, seed + number, past + 2)
        state = small_model.start(latents, drawn[:, : past - 1])
        if number % 2:
            state = small_model.rewind(state, 0, hold_behavior=True)
        states.append(small_model.fork(state, torch.arange(batch)) if fork else state)
        actions.append(drawn[:, past - 1 :])
    alone = list(states)
    for t in range(3):
        now = [action[:, t] for action in actions]
        alone, expected = zip(*map(small_model.step, alone, now), strict=True)
        states, found = zip(*small_model.step_together(states, now), strict=True)
        for one, other in zip(found, expected, strict=True):
            assert (one.latent == other.latent).all()
            torch.testing.assert_close(one.features, other.features, atol=1e-5, rtol=0)
            torch.testing.assert_close(one.entropy, other.entropy, atol=1e-5, rtol=0)
        for one, other in zip(states, alone, strict=True):
            torch.testing.assert_close(one.z, other.z, atol=1e-5, rtol=0)
            assert torch.equal(one.codes, other.codes) and torch.equal(one.actions, other.actions)


@torch.inference_mode()
def test_states_of_unequal_length_are_not_stepped_together(small_model):
    states = [small_model.start(*draw(small_model, 1, frames, 0)) for frames in (3, 4)]
    with pytest.raises(ValueError, match=r"\[3, 4\] frames"):
        small_model.step_together(states, [torch.zeros(1, 7)] * 2)


@pytest.mark.slow
@torch.inference_mode()
def test_a_step_is_one_graph_that_imagines_the_same(random_model):
    """A graph cannot hold anything that waits for the GPU; what could would be refused here."""
    model, compiled = random_model(), random_model()
    compiled.compile_step(backend="eager")
    latents, actions = draw(model, 1, 6, 0, 5 + 3)
    index = torch.zeros(3, dtype=torch.long)
    states = [m.fork(m.start(latents, actions[:, :5]), index) for m in (model, compiled)]
    for t in range(5, 8):
        action = actions[index, t]
        states[0], expected = model.step(states[0], action)
        states[1], found = compiled.step(states[1], action)
        torch.testing.assert_close(found.features, expected.features, atol=1e-4, rtol=0)


def snapshot(state: State) -> list:
    caches = [cache for cache in (state.dynamics, state.behavior) if cache and cache.buffer]
    held = [t[: c.length] for c in caches for pair in c.buffer.layers for t in pair]
    return [t.clone() for t in (state.codes, state.actions, state.z, *held)]


@torch.inference_mode()
def test_drawn_codes_are_as_frequent_as_they_are_probable(small_model):
    latents, actions = draw(small_model, 1, 3, seed=0, actions=3)
    state = small_model.start(latents, actions[:, :2])
    probability = plain_step(small_model, latents, actions)[0, 0, 0].softmax(-1)
    many = small_model.fork(state, torch.zeros(2000, dtype=torch.long))
    generator = torch.Generator().manual_seed(0)
    _, output = small_model.step(many, actions[:, 2].expand(2000, -1), generator)
    share = output.latent[:, 0, 0].bincount(minlength=len(probability)) / 2000
    torch.testing.assert_close(share, probability.detach(), atol=0.05, rtol=0)


def test_no_method_changes_a_state(small_model):
    latents, actions = draw(small_model, 2, 5, 0)
    state = small_model.start(latents, actions)
    before = snapshot(state)
    after, _ = small_model.step(state, actions[:, 0])
    small_model.rewind(after, 2)
    small_model.fork(state, torch.tensor([1, 1, 0]))
    small_model.step_together([state, state], [actions[:, 0], actions[:, 1]])
    small_model.step(small_model.rewind(state, 1), actions[:, 1])
    assert all((a == b).all() for a, b in zip(before, snapshot(state), strict=True))


@torch.inference_mode()
def test_rewinding_too_far_is_refused_with_both_numbers(small_model):
    state = small_model.start(*draw(small_model, 1, 3, 0))
    assert small_model.rewind(state, 2).codes.shape[1] == 1
    with pytest.raises(ValueError, match="3 of 3"):
        small_model.rewind(state, 3)


def test_frames_without_actions_between_them_are_refused(small_model):
    latents, actions = draw(small_model, 1, 4, 0, 4)
    with pytest.raises(ValueError, match="4 frames need 3 actions"):
        small_model.start(latents, actions)


@torch.inference_mode()
def test_actions_are_normalised_as_the_action_space_does(small_model):
    _, actions = draw(small_model, 2, 1, 0, 5)
    expected = small_model.action_space.normalise(actions.numpy())
    np.testing.assert_allclose(small_model.normalised(actions), expected, atol=1e-6)


@torch.inference_mode()
def test_pictures_are_decoded_each_with_its_reference(small_model):
    latents, _ = draw(small_model, 2, 3, 0)
    references = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pictures = small_model.decode(latents, references)
    assert pictures.shape == (2, 3, 3, 32, 32)
    for row in range(2):
        for t in range(3):
            alone = small_model.tokenizer.decode(latents[row, t : t + 1], references[row])
            torch.testing.assert_close(pictures[row, t], alone[0], atol=1e-5, rtol=0)


def test_features_of_observed_and_of_certain_frames_agree(small_model):
    latents, _ = draw(small_model, 1, 1, 0)
    one_hot = torch.nn.functional.one_hot(latents, 5).float()
    values = small_model.tokenizer.values(torch.arange(5))
    torch.testing.assert_close(small_model.features(latents), one_hot @ values)
