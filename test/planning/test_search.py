"""CEM and MPPI find what scores low, and go on from plan to plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ActionSpace
from whale_ros.planning.commitment import stand_still
from whale_ros.planning.proposals import propose
from whale_ros.planning.search import Search

SPACE = ActionSpace()
HORIZON, SETTLED = 8, 4
COMMITTED = stand_still(SETTLED, 0.0)
METHODS = ("cem", "mppi")


def far_from(target):
    """Score: how far from `target` (3,) the way of candidates (K, H, 7) ends [m]."""
    return lambda candidates: np.linalg.norm(candidates[..., POSITION].sum(1) - target, axis=-1)


def search_for(score, method, rounds, seed, count=16):
    """The best score that was ever imagined."""
    rng, search = np.random.default_rng(seed), Search(method, SPACE)
    search.begin(0.0, HORIZON - SETTLED, 0.0)
    best = np.inf
    for _ in range(rounds):
        candidates = np.stack(list(search.propose(COMMITTED, [], count, rng).values()))
        scores = score(candidates)
        best = min(best, scores.min())
        search.learn(candidates, scores)
    return best


targets = st.tuples(*[st.floats(-0.1, 0.1)] * 3).map(np.array)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.integers(1, HORIZON - 1),
    st.integers(1, 20),
    st.integers(0, 3),
    st.integers(0, 99),
    st.lists(
        st.one_of(st.floats(0, 1), st.just(np.nan), st.just(np.inf)), min_size=20, max_size=20
    ),
)
def test_candidates_are_valid_begin_as_committed_and_differ(
    method, settled, count, rounds, seed, scores
):
    rng, search = np.random.default_rng(seed), Search(method, SPACE)
    committed = stand_still(settled, 1.0)
    policy = [SPACE.clip(rng.normal(scale=0.03, size=(5, DIM)))]
    search.begin(3.0, HORIZON - settled, 1.0)
    for _ in range(rounds + 1):
        named = search.propose(committed, policy, count, rng)
        candidates = np.stack(list(named.values()))
        assert candidates.shape == (count, HORIZON, DIM)
        assert len({actions.tobytes() for actions in candidates}) == count
        for actions in candidates:
            assert SPACE.why_invalid(actions) is None
            np.testing.assert_array_equal(actions[:settled], committed)
        search.learn(candidates, np.array(scores[:count]))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(METHODS), st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.integers(0, 99))
def test_what_is_searched_keeps_to_the_limits_and_the_policy_s_own_stays_as_it_is(
    method, linear, angular, seed
):
    """Also after the policy, which may be faster, was the best; 0.25 m/s and 0.5 rad/s are all."""
    limits, tails = SPACE.no_faster_than(linear, angular), HORIZON - SETTLED
    policy = [SPACE.clip(np.random.default_rng(seed).normal(scale=0.03, size=(tails, DIM)))]

    def rounds(*limits):
        rng, search = np.random.default_rng(seed), Search(method, SPACE, *limits)
        search.begin(0.0, tails, 0.0)
        search.widen(2.0)
        for _ in range(3):
            named = search.propose(COMMITTED, policy, 12, rng)
            yield named
            scores = [0.0 if name == "policy" else 1.0 + i for i, name in enumerate(named)]
            search.learn(np.stack(list(named.values())), np.array(scores))

    for limited, free in zip(rounds(limits), rounds(), strict=True):
        for name, actions in limited.items():
            if name == "policy":
                np.testing.assert_allclose(actions[SETTLED:], policy[0])
            else:
                assert limits.why_invalid(actions[SETTLED:]) is None, name
        if linear >= 0.25 and angular >= 0.5:
            assert list(limited) == list(free)
            np.testing.assert_array_equal([*limited.values()], [*free.values()])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(METHODS), targets, st.integers(0, 9))
def test_what_is_within_reach_is_found(method, target, seed):
    assert search_for(far_from(target), method, rounds=12, seed=seed) < 0.03  # of up to 0.17


@pytest.mark.parametrize("method", METHODS)
def test_searching_beats_drawing_as_many_candidates_at_random(method):
    rng = np.random.default_rng(0)
    gains = []
    for seed in range(20):
        score = far_from(rng.uniform(-0.1, 0.1, size=3))
        drawn = propose(COMMITTED, [], 64, HORIZON, SPACE, np.random.default_rng(seed))
        blind = score(np.stack(list(drawn.values()))).min()
        gains.append(blind - search_for(score, method, rounds=4, seed=seed, count=16))
    assert np.mean(gains) > 0 and np.mean(np.array(gains) > 0) > 0.6


@pytest.mark.parametrize("method", METHODS)
def test_the_next_plan_begins_where_the_last_one_ended_less_what_was_done(method):
    rng, search = np.random.default_rng(0), Search(method, SPACE)
    search.begin(10.0, 4, 0.0)
    ramp = np.zeros((1, HORIZON, DIM))
    ramp[0, SETTLED:, 0] = [0.01, 0.02, 0.03, 0.04]
    for _ in range(30):
        search.learn(np.repeat(ramp, 2, axis=0), np.array([0.0, 1.0]))
    search.begin(10.0 + 2 * SPACE.step_s, 4, 1.0)
    mean = search.propose(COMMITTED, [], 4, rng)["mean"][SETTLED:]
    np.testing.assert_allclose(mean[:, 0], [0.03, 0.04, 0.04, 0.04], atol=1e-6)
    assert (mean[:, GRIPPER] == 1.0).all()
    search.begin(99.0, 4, 0.0)  # long after: nothing of it is left
    assert "mean" not in search.propose(COMMITTED, [], 4, rng)  # it is to stand still


@pytest.mark.parametrize("method", METHODS)
def test_the_best_of_a_round_is_asked_again_and_the_policy_too(method):
    rng, search = np.random.default_rng(0), Search(method, SPACE)
    search.begin(0.0, 4, 0.0)
    policy = [np.tile([0.01, 0, 0, 0, 0, 0, 0], (4, 1))]
    first = search.propose(COMMITTED, policy, 8, rng)
    assert next(iter(first)) == "policy"
    names, candidates = list(first), np.stack(list(first.values()))
    scores = np.arange(8, dtype=float)[::-1]
    scores[names.index("still")] = np.nan
    search.learn(candidates, scores)
    again = search.propose(COMMITTED, policy, 8, rng)
    np.testing.assert_array_equal(again["best so far"], candidates[-1])
