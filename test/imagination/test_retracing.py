"""Retracing and imagining, against slow references that know no cache and no batch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.imagination import imagine_naively, retrace_naively
from whale_ros.actions.space import GRIPPER, ActionSpace
from whale_ros.imagination.retracing import K, feature_distance, judge, retrace
from whale_ros.imagination.rollout import imagine


def draw(model, batch, past, ahead, seed, switches=False):
    """Observed latents (B, T, N, C), the actions between them and those that follow."""
    tokens = model.config.tokenizer
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, past, tokens.tokens, tokens.code_dim)
    latents = torch.randint(tokens.code_levels, shape, generator=generator)
    scale = torch.tensor([0.03] * 3 + [0.06] * 3 + [0.0])
    actions = (2 * torch.rand(batch, past - 1 + ahead, 7, generator=generator) - 1) * scale
    if switches:
        closed = torch.rand(batch, past - 1 + ahead, generator=generator) < 0.15
        actions[..., GRIPPER] = closed.cumsum(1).remainder(2).float()
    return latents, actions[:, : past - 1], actions[:, past - 1 :]


def roll_out(model, latents, past, actions):
    return imagine(model, model.start(latents, past), actions, past)


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 8), st.integers(0, 10_000))
@torch.inference_mode()
def test_candidates_at_once_are_imagined_as_each_alone_without_a_cache(
    small_model, batch, past, ahead, seed
):
    drawn = draw(small_model, batch, past, ahead, seed)
    rollout = roll_out(small_model, *drawn)
    expected = imagine_naively(small_model, *drawn)
    torch.testing.assert_close(rollout.features, expected.features, atol=1e-4, rtol=0)
    torch.testing.assert_close(rollout.entropy, expected.entropy, atol=1e-4, rtol=0)
    assert (rollout.latents == expected.latents).all()
    assert (rollout.actions == expected.actions).all()
    assert rollout.horizon == ahead


@settings(max_examples=15)
@given(
    st.integers(1, 3), st.integers(1, 6), st.integers(1, 8), st.booleans(), st.integers(0, 10_000)
)
@torch.inference_mode()
def test_retracing_is_what_its_definition_says_for_every_frame(
    small_model, batch, past, ahead, switches, seed
):
    latents, before, actions = draw(small_model, batch, past, ahead, seed, switches)
    rollout = roll_out(small_model, latents, before, actions)
    found = retrace(small_model, rollout, range(ahead))
    expected = retrace_naively(small_model, latents, rollout, tuple(range(ahead)))
    assert (found.took_part == expected.took_part).all()
    for name in ("disagreements", "disagreement", "entropy", "product", "sum", "uncertainty"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), atol=1e-4, rtol=0, equal_nan=True
        )


@torch.inference_mode()
def test_candidates_that_share_what_was_observed_are_retraced_as_if_they_did_not(small_model):
    latents, before, _ = draw(small_model, 1, 6, 8, 0)
    _, _, actions = draw(small_model, 3, 6, 8, 1, switches=True)
    index = torch.zeros(3, dtype=torch.long)
    forked = small_model.fork(small_model.start(latents, before), index)
    rollout = imagine(small_model, forked, actions, before[index])
    found = retrace(small_model, rollout, range(8))
    expected = retrace_naively(small_model, latents[index], rollout, tuple(range(8)))
    assert (found.took_part == expected.took_part).all()
    torch.testing.assert_close(
        found.disagreements, expected.disagreements, atol=1e-4, rtol=0, equal_nan=True
    )


@torch.inference_mode()
def test_a_frame_is_judged_the_same_alone_and_among_others(small_model):
    rollout = roll_out(small_model, *draw(small_model, 2, 4, 6, 0, switches=True))
    together = retrace(small_model, rollout, range(6))
    for frame in range(6):
        alone = retrace(small_model, rollout, (frame,))
        assert not alone.took_part[:, torch.arange(6) != frame].any()
        for name in ("disagreements", "took_part"):
            torch.testing.assert_close(
                getattr(alone, name)[:, frame],
                getattr(together, name)[:, frame],
                equal_nan=True,
            )


@torch.inference_mode()
def test_actions_are_aggregated_as_their_type_says(random_model):
    model = random_model()
    drawn = draw(model, 2, 6, 8, 0)
    model.action_space = ActionSpace(type="body_twist")
    rollout = roll_out(model, *drawn)
    found = retrace(model, rollout, (7,))
    expected = retrace_naively(model, drawn[0], rollout, (7,))
    torch.testing.assert_close(found.uncertainty, expected.uncertainty, atol=1e-4, rtol=0)
    model.action_space = ActionSpace()
    assert (retrace(model, rollout, (7,)).uncertainty != found.uncertainty).all()


@torch.inference_mode()
def test_a_broken_model_is_not_mistaken_for_a_gripper_switch(random_model):
    model = random_model()
    rollout = roll_out(model, *draw(model, 2, 6, 8, 0))
    model.dynamics.head[1].bias.fill_(torch.nan)
    retracing = judge(model, rollout)
    assert retracing.took_part[:, 7].all()
    assert retracing.uncertainty.isnan().all()
    assert retracing.sum[:, 7].isnan().all()


@torch.inference_mode()
def test_different_ways_to_the_same_place_do_disagree_in_a_model_that_knows_nothing(small_model):
    rollout = roll_out(small_model, *draw(small_model, 4, 6, 8, 0))
    retracing = retrace(small_model, rollout, (3, 7))
    assert (retracing.uncertainty > 1e-3).all()
    assert retracing.took_part[:, [3, 7]].all()
    assert retracing.steps(0) == list(K)


@torch.inference_mode()
def test_equal_steps_retraced_are_the_same_steps_so_nothing_disagrees(small_model):
    latents, before, actions = draw(small_model, 2, 6, 8, 0)
    step = torch.tensor([0.02, -0.01, 0.0, 0.0, 0.0, 0.05, 0.0])
    rollout = roll_out(
        small_model, latents, step.expand_as(before), step.expand_as(actions).contiguous()
    )
    retracing = retrace(small_model, rollout, (7,))  # all k go back to imagined frames only
    assert retracing.took_part[:, 7].all()
    assert retracing.uncertainty.max() < 1e-4


def with_gripper(model, commands):
    """One rollout of 6 observed and 8 imagined frames with these 13 gripper commands."""
    latents, before, actions = draw(model, 1, 6, 8, 0)
    gripper = torch.tensor(commands, dtype=torch.float32)
    before[0, :, GRIPPER], actions[0, :, GRIPPER] = gripper[:5], gripper[5:]
    return roll_out(model, latents, before, actions)


@pytest.mark.parametrize(
    ("switch", "expected"),
    # Frame 3 is reached by action 8 of all 13; k = 1 looks at actions 7 and 8, and so on.
    [(8, []), (7, [1]), (6, [1, 2]), (5, [1, 2, 3]), (4, [1, 2, 3, 4]), (9, [1, 2, 3, 4])],
)
@torch.inference_mode()
def test_a_k_whose_window_holds_a_gripper_switch_does_not_take_part(small_model, switch, expected):
    rollout = with_gripper(small_model, [0] * switch + [1] * (13 - switch))
    retracing = retrace(small_model, rollout, (3,))
    assert retracing.steps(0) == expected
    assert bool(retracing.uncertainty.isnan()) == (not expected)
    assert bool(retracing.disagreement[0, 3].isnan()) == (not expected)


@torch.inference_mode()
def test_only_the_rollouts_that_switch_lose_their_judgement(small_model):
    latents, before, actions = draw(small_model, 2, 6, 8, 0)
    actions[1, :, GRIPPER] = torch.tensor([0.0, 1] * 4)
    retracing = retrace(small_model, roll_out(small_model, latents, before, actions), (3, 7))
    assert retracing.uncertainty.isnan().tolist() == [False, True]
    assert (retracing.steps(0), retracing.steps(1)) == (list(K), [])


@torch.inference_mode()
def test_a_rollout_is_as_uncertain_as_its_worst_judged_frame(small_model):
    rollout = roll_out(small_model, *draw(small_model, 3, 6, 8, 0))
    retracing = retrace(small_model, rollout, (1, 4, 7))
    expected = retracing.product[:, [1, 4, 7]].amax(1)
    torch.testing.assert_close(retracing.uncertainty, expected)
    assert retracing.product[:, [0, 2, 3, 5, 6]].isnan().all()


@torch.inference_mode()
def test_with_little_past_fewer_k_take_part(small_model):
    for past, expected in ((1, []), (2, [1]), (4, [1, 2, 3]), (5, [1, 2, 3, 4])):
        rollout = roll_out(small_model, *draw(small_model, 1, past, 1, 0))
        assert retrace(small_model, rollout, (0,)).steps(0) == expected


def test_distance_is_the_root_mean_square_of_the_features():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 4, 5))
    found = feature_distance(torch.from_numpy(first), torch.from_numpy(second))
    expected = [np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, expected)


def judged(retracing, row: int) -> list[int]:
    """The frames of a rollout that were judged."""
    return [frame for frame, used in enumerate(retracing.took_part[row].any(-1)) if used]


@torch.inference_mode()
def test_a_rollout_is_judged_by_its_end_or_half_way_if_the_gripper_switches_there(small_model):
    latents, before, actions = draw(small_model, 3, 6, 8, 0)
    actions[1, 7, GRIPPER] = 1  # at the end
    actions[2, :, GRIPPER] = torch.tensor([0.0, 1] * 4)  # all the time
    rollout = roll_out(small_model, latents, before, actions)
    retracing = judge(small_model, rollout)
    assert [judged(retracing, row) for row in range(3)] == [[7], [3], []]
    half_way, end = (retrace(small_model, rollout, (frame,)).uncertainty for frame in (3, 7))
    expected = torch.stack([end[0], half_way[1], torch.tensor(torch.nan)])
    torch.testing.assert_close(retracing.uncertainty, expected, equal_nan=True)


@torch.inference_mode()
def test_a_rollout_of_one_frame_is_judged_by_that(small_model):
    retracing = judge(small_model, roll_out(small_model, *draw(small_model, 2, 6, 1, 0)))
    assert judged(retracing, 0) == [0]
