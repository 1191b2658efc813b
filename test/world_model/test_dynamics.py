"""The dynamics: the cache changes nothing, and the future does not reach the past."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.world_model.dynamics import corrupt

lengths = st.integers(1, 9)
batches = st.integers(1, 3)
seeds = st.integers(0, 10_000)


def draw(model, batch, time, seed):
    """Random codes (B, T, N, C), normalised actions (B, T, 7) and z (B, T, Z)."""
    tokens = model.config.tokenizer
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, time, tokens.tokens, tokens.code_dim)
    codes = torch.randint(tokens.code_levels, shape, generator=generator)
    actions = 2 * torch.rand(batch, time, 7, generator=generator) - 1
    return codes, actions, torch.randn(batch, time, 4, generator=generator)


@settings(max_examples=25)
@given(batches, lengths, lengths, seeds)
@torch.inference_mode()
def test_with_the_cache_logits_are_those_of_the_whole_sequence(small_model, batch, a, b, seed):
    slots = draw(small_model, batch, a + b, seed)
    dynamics = small_model.dynamics
    whole, nothing = dynamics(*slots)
    assert nothing == []
    empty = dynamics.trunk.empty_cache(batch)
    first, caches = dynamics(*(x[:, :a] for x in slots), pasts=[empty])
    torch.testing.assert_close(first, whole[:, :a], atol=1e-4, rtol=0)
    at_once, _ = dynamics(*(x[:, a:] for x in slots), pasts=caches)
    torch.testing.assert_close(at_once, whole[:, a:], atol=1e-4, rtol=0)
    for t in range(a, a + b):
        logits, caches = dynamics(*(x[:, t : t + 1] for x in slots), pasts=caches)
        torch.testing.assert_close(logits, whole[:, t : t + 1], atol=1e-4, rtol=0)


@settings(max_examples=25)
@given(st.integers(2, 9), st.data(), seeds)
@torch.inference_mode()
def test_what_comes_later_does_not_change_earlier_logits(small_model, time, data, seed):
    changed = data.draw(st.integers(1, time - 1))
    slots = draw(small_model, 2, time, seed)
    before, _ = small_model.dynamics(*slots)
    for mine, other in zip(slots, draw(small_model, 2, time, seed + 1), strict=True):
        mine[:, changed] = other[:, changed]
    after, _ = small_model.dynamics(*slots)
    torch.testing.assert_close(after[:, :changed], before[:, :changed], atol=1e-5, rtol=0)
    assert (after[:, changed] - before[:, changed]).abs().max() > 1e-3


@pytest.mark.parametrize("what", range(3), ids=["frames", "actions", "behaviour"])
@torch.inference_mode()
def test_what_came_before_does_change_later_logits(small_model, what):
    slots = draw(small_model, 2, 6, 0)
    before, _ = small_model.dynamics(*slots)
    slots[what][:, 1] = slots[what][:, 1].flip(0)
    after, _ = small_model.dynamics(*slots)
    assert (after[:, -1] - before[:, -1]).abs().max() > 1e-3


@given(batches, seeds)
@torch.inference_mode()
def test_rollouts_of_a_batch_do_not_see_each_other(small_model, batch, seed):
    slots = draw(small_model, batch, 4, seed)
    together, _ = small_model.dynamics(*slots)
    for i in range(batch):
        alone, _ = small_model.dynamics(*(x[i : i + 1] for x in slots))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_tokens_that_are_known_help_only_where_they_are_said_to_be_known(small_model):
    slots = draw(small_model, 1, 3, 0)
    known = draw(small_model, 1, 3, 1)[0]
    nothing = torch.zeros(known.shape[:-1], dtype=torch.bool)
    blind, _ = small_model.dynamics(*slots)
    untold, _ = small_model.dynamics(*slots, known, nothing)
    told, _ = small_model.dynamics(*slots, known, ~nothing)
    torch.testing.assert_close(untold, blind, atol=1e-6, rtol=0)
    assert (told - blind).abs().max() > 1e-3


@pytest.mark.parametrize("passes", [2, 3, 5])
@torch.inference_mode()
def test_decoding_in_passes_tells_each_what_the_ones_before_were_surest_of(
    random_model, small_config, passes
):
    config = replace(small_config, dynamics=replace(small_config.dynamics, passes=passes))
    dynamics = random_model(0, config).dynamics
    slots = draw(random_model(0, config), 3, 4, 0)
    empty = dynamics.trunk.empty_cache(3)
    _, pasts = dynamics(*(x[:, :3] for x in slots), pasts=[empty])
    newest = [x[:, 3:] for x in slots]
    found, presents = dynamics.decode(*newest, pasts)
    # Slowly, one rollout and one token at a time.
    for row in range(3):
        alone = [x[row : row + 1] for x in slots]
        logits = dynamics(*alone)[0][0, -1]
        decided: list[int] = []
        for done in range(1, passes):
            count = 4 - int(4 * math.cos(math.pi / 2 * done / passes))
            sure = logits.log_softmax(-1).amax(-1).mean(-1)
            rest = sorted(set(range(4)) - set(decided), key=lambda n: -float(sure[n]))
            decided += rest[: count - len(decided)]
            known = torch.zeros(1, 4, 4, 3, dtype=torch.long)
            known[0, -1] = logits.argmax(-1)
            is_known = torch.zeros(1, 4, 4, dtype=torch.bool)
            is_known[0, -1, decided] = True
            again = dynamics(*alone, known, is_known)[0][0, -1]
            logits = logits.clone()
            others = [n for n in range(4) if n not in decided]
            logits[others] = again[others]
        torch.testing.assert_close(found[row], logits, atol=1e-4, rtol=0)
    # What is kept is the pass that knew nothing, whatever was known in the later ones.
    _, plain = dynamics(*newest, pasts=pasts)
    later, _ = dynamics(*newest, pasts=presents)
    expected, _ = dynamics(*newest, pasts=plain)
    torch.testing.assert_close(later, expected, atol=1e-5, rtol=0)


def test_the_loss_depends_on_the_generator_alone(small_model):
    codes, actions, z = draw(small_model, 4, 5, 0)

    def loss(seed):
        generator = torch.Generator().manual_seed(seed)
        value, metrics = small_model.dynamics.loss(codes, actions[:, :-1], z, generator)
        assert 0 <= metrics["accuracy_changed"] <= 1
        return float(value.detach())

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)


def test_a_network_that_knows_nothing_loses_the_log_of_the_levels(random_model):
    model = random_model()
    torch.nn.init.zeros_(model.dynamics.head[-1].weight)
    torch.nn.init.zeros_(model.dynamics.head[-1].bias)
    codes, actions, z = draw(model, 4, 5, 0)
    loss, _ = model.dynamics.loss(codes, actions[:, :-1], z, torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(math.log(5), abs=1e-5)


def test_training_can_do_without_a_behaviour(random_model):
    model = random_model()
    codes, actions, z = draw(model, 40, 5, 0)
    generator = torch.Generator().manual_seed(0)
    model.dynamics.loss(codes, actions[:, :-1], z.requires_grad_(), generator)[0].backward()
    assert model.dynamics.no_behavior.grad.abs().max() > 0
    unused = (z.grad.abs().sum((1, 2)) == 0).float().mean()
    assert 0.05 < unused < 0.4


@given(seeds)
def test_corruption_stays_in_range_and_leaves_most_codes_alone(seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(5, (8, 6, 4, 3), generator=generator)
    corrupted = corrupt(codes, 5, generator)
    assert corrupted.min() >= 0 and corrupted.max() < 5
    assert (corrupted != codes).float().mean() < 0.3
    assert corrupted.dtype == codes.dtype
