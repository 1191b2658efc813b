"""The behaviour model: z tells policies apart, and never hears of the action it could repeat."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.world_model.behavior import BehaviorModel
from whale_ros.world_model.config import BehaviorConfig, TokenizerConfig

seeds = st.integers(0, 10_000)
lengths = st.integers(1, 14)


def draw(model, batch, frames, seed):
    """Random codes (B, T, N, C) and normalised actions (B, T-1, 7)."""
    tokens = model.config.tokenizer
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, frames, tokens.tokens, tokens.code_dim)
    codes = torch.randint(tokens.code_levels, shape, generator=generator)
    return codes, 2 * torch.rand(batch, frames - 1, 7, generator=generator) - 1


@settings(max_examples=25)
@given(lengths, lengths, seeds)
@torch.inference_mode()
def test_z_that_is_followed_frame_by_frame_is_that_of_the_whole_history(small_model, a, b, seed):
    behavior = small_model.behavior
    codes, actions = draw(small_model, 2, a + b, seed)
    whole = behavior.infer(codes, actions)
    empty = behavior.trunk.empty_cache(2)
    z, cache = behavior.follow(codes[:, :a], actions[:, : a - 1], empty)
    torch.testing.assert_close(z, whole[:, :a], atol=1e-4, rtol=0)
    for t in range(a, a + b):
        z, cache = behavior.follow(codes[:, t : t + 1], actions[:, t - 1 : t], cache)
        torch.testing.assert_close(z, whole[:, t : t + 1], atol=1e-4, rtol=0)


@settings(max_examples=25)
@given(st.integers(2, 9), st.data(), seeds)
@torch.inference_mode()
def test_a_history_ends_with_the_present_frame_and_the_action_before(
    small_model, frames, data, seed
):
    now = data.draw(st.integers(0, frames - 2))
    codes, actions = draw(small_model, 2, frames, seed)
    before = small_model.behavior.infer(codes, actions)
    other_codes, other_actions = draw(small_model, 2, frames, seed + 1)
    codes[:, now + 1 :], actions[:, now:] = other_codes[:, now + 1 :], other_actions[:, now:]
    after = small_model.behavior.infer(codes, actions)
    torch.testing.assert_close(after[:, : now + 1], before[:, : now + 1], atol=1e-5, rtol=0)
    assert (after[:, now + 1] - before[:, now + 1]).abs().max() > 1e-4


@torch.inference_mode()
def test_the_posterior_hears_of_every_frame_and_action(small_model):
    codes, actions = draw(small_model, 1, 6, 0)
    before = small_model.behavior.posterior(codes, actions)
    for t in range(5):
        changed = actions.clone()
        changed[:, t] *= -1
        assert (small_model.behavior.posterior(codes, changed) - before).abs().max() > 1e-5


def test_z_comes_to_tell_policies_apart_from_their_history():
    """Two policies in one scene: one goes right, the other left."""
    torch.manual_seed(0)
    tokenizer = TokenizerConfig(resolution=16, channels=(8, 8), code_dim=2, code_levels=5)
    model = BehaviorModel(BehaviorConfig(width=16, layers=1, heads=2, z_dim=2), tokenizer)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def batch(seed):
        generator = torch.Generator().manual_seed(seed)
        codes = torch.randint(5, (32, 6, 4, 2), generator=generator)
        side = 2 * torch.randint(2, (32,), generator=generator) - 1
        actions = 0.1 * torch.randn(32, 5, 7, generator=generator)
        actions[..., 0] += 0.8 * side[:, None]
        actions[..., 6] = -1
        return codes, actions, side, generator

    for step in range(150):
        codes, actions, _, generator = batch(step)
        loss, metrics = model.loss(codes, actions, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    codes, actions, side, _ = batch(10_000)
    z = model.infer(codes, actions).detach()
    right, left = z[side > 0], z[side < 0]
    apart = (right.mean(0) - left.mean(0)).norm(dim=-1)  # (T,)
    within = right.std(0).norm(dim=-1) + left.std(0).norm(dim=-1)
    assert apart[0] < within[0] + 1e-3  # nothing was done yet
    assert apart[-1] > 2 * within[-1]
    assert metrics["kl_nats"] > 0.1


def test_the_loss_depends_on_the_generator_alone(small_model):
    codes, actions = draw(small_model, 3, 5, 0)

    def loss(seed):
        generator = torch.Generator().manual_seed(seed)
        return float(small_model.behavior.loss(codes, actions, generator)[0].detach())

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)
