"""Retracing and imagining, against slow references that know no batch and share nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.imagination import imagine_naively, retrace_naively
from whale_ros.actions.composition import compose, holds_gripper_switch, split
from whale_ros.actions.space import GRIPPER, TYPES, ActionSpace
from whale_ros.imagination.retracing import (
    DISAGREEMENT_WEIGHT,
    K,
    Retracing,
    between_codes,
    between_features,
    feature_distance,
    judge,
    retrace,
)
from whale_ros.imagination.rollout import imagine
from whale_ros.world_model.interface import StepOutput


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


def slowly_retraced(model, latents, rollout, frames, metric=between_features) -> Retracing:
    """Straight from the definition: one rollout, one frame and one k after the other.

    latents: the observed ones (B, T, N, C). Every way begins at the first observed frame.
    """
    shape = (*rollout.entropy.shape, len(K))
    disagreements, took_part = torch.full(shape, torch.nan), torch.zeros(shape, dtype=torch.bool)
    past = latents.shape[1] - 1
    for row in range(shape[0]):
        for frame in frames:
            actions = rollout.actions[row]
            for column, k in enumerate(K):
                begin = past + frame - k  # the frame that the way begins at, the first being 0
                window = actions[begin : past + frame + 1].numpy()
                if begin < 0 or holds_gripper_switch(window):
                    continue
                z = follow(model, latents[row], actions[: past + frame]).z[:, -1:]
                state = follow(model, latents[row], actions[:begin])
                state = replace(state, z=z.expand(-1, begin + 1, -1), behavior=None)
                type = model.action_space.type
                for step in split(compose(window, type), k + 1, type):
                    state, output = model.step(state, torch.from_numpy(step)[None].to(actions))
                before = StepOutput(
                    rollout.latents[row, frame],
                    rollout.features[row, frame],
                    rollout.entropy[row, frame],
                )
                disagreements[row, frame, column] = metric(output, before).squeeze()
                took_part[row, frame, column] = True
    return Retracing(disagreements, rollout.entropy, took_part)


def follow(model, latents, actions):
    """The state of one rollout after these actions (.., 7), from observed latents (T, N, C)."""
    observed = min(len(actions), len(latents) - 1)
    state = model.start(latents[None, : observed + 1], actions[None, :observed])
    for action in actions[observed:]:
        state, _ = model.step(state, action[None])
    return state


def steps(retracing, row):
    """The k that took part in judging a rollout."""
    return [k for k, used in zip(K, retracing.took_part[row].any(dim=0), strict=True) if used]


NUMBERS = ("disagreements", "disagreement", "entropy", "product", "sum", "uncertainty")


def assert_same(found, expected):
    assert (found.took_part == expected.took_part).all()
    for name in NUMBERS:
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), atol=1e-5, rtol=0, equal_nan=True
        )


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


drawings = st.tuples(
    st.integers(1, 3), st.integers(1, 6), st.integers(1, 8), st.integers(0, 10_000), st.booleans()
)


@settings(max_examples=10)
@given(drawings, st.sampled_from([between_features, between_codes]))
@torch.inference_mode()
def test_retracing_is_what_its_definition_says_for_every_frame(small_model, drawing, metric):
    latents, before, actions = draw(small_model, *drawing)
    rollout = roll_out(small_model, latents, before, actions)
    frames = range(rollout.horizon)
    expected = slowly_retraced(small_model, latents, rollout, frames, metric)
    assert_same(judge(small_model, rollout, every_step=True, metric=metric), expected)
    for frame in frames:  # alone, a frame is judged as it is among the others
        assert_same(retrace(small_model, rollout, (frame,), metric), only(expected, frame))


def only(retracing, *frames):
    """The same with these frames alone judged."""
    judged = torch.zeros(retracing.entropy.shape[1], 1, dtype=torch.bool)
    judged[list(frames)] = True
    return Retracing(
        retracing.disagreements.where(judged, torch.nan),
        retracing.entropy,
        retracing.took_part & judged,
    )


@settings(max_examples=15)
@given(drawings)
@torch.inference_mode()
def test_a_rollout_is_as_uncertain_as_its_last_judged_frame(small_model, drawing):
    rollout = roll_out(small_model, *draw(small_model, *drawing))
    found = judge(small_model, rollout)
    for row, value in enumerate(found.uncertainty.tolist()):
        frames = judged(found, row)
        assert len(frames) <= 1
        expected = np.nan
        for frame in frames:
            entropy = rollout.entropy[row, : frame + 1].mean()
            disagreement = found.disagreement[row, frame]
            expected = float(DISAGREEMENT_WEIGHT * disagreement + entropy)
        assert value == pytest.approx(expected, abs=1e-6, nan_ok=True)


@torch.inference_mode()
def test_candidates_that_share_what_was_observed_are_retraced_as_if_they_did_not(small_model):
    latents, before, _ = draw(small_model, 1, 6, 8, 0)
    _, _, actions = draw(small_model, 3, 6, 8, 1, switches=True)
    index = torch.zeros(3, dtype=torch.long)
    forked = small_model.fork(small_model.start(latents, before), index)
    rollout = imagine(small_model, forked, actions, before[index])
    found = judge(small_model, rollout, every_step=True)
    assert_same(found, slowly_retraced(small_model, latents[index], rollout, range(8)))


@pytest.mark.parametrize("alike", [0, 1, 5, 8])
@torch.inference_mode()
def test_what_candidates_have_in_common_is_imagined_once_and_comes_to_the_same(small_model, alike):
    latents, before, _ = draw(small_model, 2, 6, 8, 0)
    _, _, actions = draw(small_model, 5, 6, 8, 1, switches=True)
    index = torch.tensor([0, 0, 0, 1, 1])
    actions[:, :alike] = actions[torch.tensor([0, 0, 0, 3, 3]), :alike]
    start = small_model.start(latents, before)
    counted = CountedRows(small_model)
    found = imagine(counted, start, actions, before, index)
    assert counted.rows == [2] * alike + [5] * (8 - alike)
    slow = imagine(small_model, small_model.fork(start, index), actions, before[index])
    for name in ("actions", "latents", "features", "entropy"):
        torch.testing.assert_close(getattr(found, name), getattr(slow, name))
    assert_same(judge(small_model, found), judge(small_model, slow))


class CountedRows:
    """A model that notes how many sequences each step imagines."""

    def __init__(self, model) -> None:
        self._model, self.rows = model, []

    def step(self, state, action):
        self.rows.append(len(action))
        return self._model.step(state, action)

    def __getattr__(self, name):
        return getattr(self._model, name)


@torch.inference_mode()
def test_the_benchmark_s_naive_engine_retraces_likewise(small_model):
    latents, *actions = draw(small_model, 2, 6, 4, 0, switches=True)
    rollout = roll_out(small_model, latents, *actions)
    found = retrace_naively(small_model, latents, rollout, (1, 3))
    assert_same(found, slowly_retraced(small_model, latents, rollout, (1, 3)))


@pytest.mark.parametrize("type", TYPES)
@torch.inference_mode()
def test_actions_are_aggregated_as_their_type_says(random_model, type):
    model = random_model()
    model.action_space = ActionSpace(type=type)
    drawn = draw(model, 2, 6, 8, 0)
    rollout = roll_out(model, *drawn)
    found = retrace(model, rollout, (7,))
    assert_same(found, slowly_retraced(model, drawn[0], rollout, (7,)))
    model.action_space = ActionSpace(type="body_twist")
    others = retrace(model, rollout, (7,)).uncertainty
    assert (others != found.uncertainty).all() == (type != "body_twist")


@pytest.mark.parametrize("metric", [between_features, between_codes])
@pytest.mark.parametrize("switches", [False, True])
@torch.inference_mode()
def test_a_model_whose_numbers_are_nan_is_not_mistaken_for_a_gripper_switch(
    random_model, metric, switches
):
    model = random_model()
    model.dynamics.head[1].bias.fill_(torch.nan)
    latents, before, actions = draw(model, 2, 6, 8, 0)
    actions[:, 7, GRIPPER] = float(switches)
    retracing = judge(model, roll_out(model, latents, before, actions), metric=metric)
    frame = 3 if switches else 7
    assert retracing.took_part[:, frame].all()
    assert retracing.uncertainty.isnan().all()
    assert retracing.sum[:, frame].isnan().all()


@torch.inference_mode()
def test_numbers_that_are_nan_only_after_the_judged_frame_count_too(small_model):
    latents, before, actions = draw(small_model, 2, 6, 8, 0)
    rollout = roll_out(small_model, latents, before, actions)
    rollout.entropy[0, 5] = torch.nan
    assert retrace(small_model, rollout, (3,)).uncertainty.isnan().tolist() == [True, False]


@torch.inference_mode()
def test_a_model_that_says_the_same_whatever_happens_is_zero_or_the_same_uncertain(random_model):
    """Gate and planner refuse zero, and the gate what stays exactly the same."""
    model = random_model()
    model.dynamics.head[1].weight.zero_()
    doubtful = judge(model, roll_out(model, *draw(model, 3, 6, 8, 0))).uncertainty
    assert (doubtful == doubtful[0]).all()
    certain = 1e4 * (torch.arange(model.dynamics.levels) == 1)
    model.dynamics.head[1].bias.copy_(certain.repeat(model.dynamics.code_dim))
    assert (judge(model, roll_out(model, *draw(model, 3, 6, 8, 0))).uncertainty == 0).all()


@torch.inference_mode()
def test_different_ways_to_the_same_place_do_disagree_in_a_model_that_knows_nothing(small_model):
    rollout = roll_out(small_model, *draw(small_model, 4, 6, 8, 0))
    retracing = retrace(small_model, rollout, (3, 7))
    assert (retracing.disagreement[:, [3, 7]] > 1e-3).all()
    assert retracing.took_part[:, [3, 7]].all()
    assert steps(retracing, 0) == list(K)


@torch.inference_mode()
def test_equal_steps_retraced_are_the_same_steps_so_nothing_disagrees(small_model):
    latents, before, actions = draw(small_model, 2, 6, 8, 0)
    step = torch.tensor([0.02, -0.01, 0.0, 0.0, 0.0, 0.05, 0.0])
    rollout = roll_out(
        small_model, latents, step.expand_as(before), step.expand_as(actions).contiguous()
    )
    retracing = retrace(small_model, rollout, (7,))  # all k go back to imagined frames only
    assert retracing.took_part[:, 7].all()
    assert retracing.disagreement[:, 7].max() < 1e-4


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
    assert steps(retracing, 0) == expected
    assert bool(retracing.uncertainty.isnan()) == (not expected)
    assert bool(retracing.disagreement[0, 3].isnan()) == (not expected)


@torch.inference_mode()
def test_only_the_rollouts_that_switch_lose_their_judgement(small_model):
    latents, before, actions = draw(small_model, 2, 6, 8, 0)
    actions[1, :, GRIPPER] = torch.tensor([0.0, 1] * 4)
    retracing = retrace(small_model, roll_out(small_model, latents, before, actions), (3, 7))
    assert retracing.uncertainty.isnan().tolist() == [False, True]
    assert (steps(retracing, 0), steps(retracing, 1)) == (list(K), [])


@torch.inference_mode()
def test_frames_that_were_not_judged_have_no_numbers(small_model):
    rollout = roll_out(small_model, *draw(small_model, 3, 6, 8, 0))
    retracing = retrace(small_model, rollout, (1, 4))
    for numbers in (retracing.disagreement, retracing.product, retracing.sum):
        assert (numbers.isnan().all(0) == numbers.isnan().any(0)).all()
        assert (~numbers.isnan().any(0)).nonzero().flatten().tolist() == [1, 4]


@torch.inference_mode()
def test_with_little_past_fewer_k_take_part(small_model):
    for past, expected in ((1, []), (2, [1]), (4, [1, 2, 3]), (5, [1, 2, 3, 4])):
        rollout = roll_out(small_model, *draw(small_model, 1, past, 1, 0))
        assert steps(retrace(small_model, rollout, (0,)), 0) == expected


def test_the_distance_of_codes_is_the_share_that_differs():
    first, second = torch.zeros(2, 4, 5, dtype=torch.long), torch.zeros(3, 2, 4, 5)
    second[1, 0, 2] = 3
    frames = [StepOutput(codes, codes.float(), codes[..., 0, 0]) for codes in (first, second)]
    expected = torch.zeros(3, 2)
    expected[1, 0] = 5 / 20
    torch.testing.assert_close(between_codes(*frames), expected)
    torch.testing.assert_close(between_features(*frames), (9 * expected).sqrt())


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
