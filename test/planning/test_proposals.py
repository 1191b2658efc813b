"""Whatever the policy says, candidates are valid, begin as committed and repeat with a seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.space import DIM, GRIPPER, ActionSpace
from whale_ros.planning.commitment import stand_still
from whale_ros.planning.proposals import deviation, propose

SPACE = ActionSpace()
HORIZON = 8


def moves(seed, length):
    return SPACE.clip(np.random.default_rng(seed).normal(scale=0.03, size=(length, DIM)))


def rng(seed=0):
    return np.random.default_rng(seed)


policies = st.lists(st.integers(0, 20), max_size=3).map(
    lambda lengths: [moves(i, length) for i, length in enumerate(lengths)]
)


@given(st.integers(1, HORIZON - 1), policies, st.integers(1, 20), st.integers(0, 99))
def test_candidates_are_valid_begin_as_committed_and_repeat(n, policy, count, seed):
    committed = moves(99, n)
    candidates = propose(committed, policy, count, HORIZON, SPACE, rng(seed))
    again = propose(committed, policy, count, HORIZON, SPACE, rng(seed))
    assert len(candidates) == count == len({actions.tobytes() for actions in candidates.values()})
    assert list(candidates) == list(again)
    for name, actions in candidates.items():
        assert actions.shape == (HORIZON, DIM)
        assert SPACE.why_invalid(actions) is None
        np.testing.assert_array_equal(actions[:n], committed)
        np.testing.assert_array_equal(actions, again[name])


speeds = st.floats(0.01, 1.0)  # [m/s, rad/s]; the action space allows 0.25 and 0.5


@given(policies, speeds, speeds, st.integers(0, 99))
def test_what_is_invented_keeps_to_the_limits_and_the_policy_s_own_stays_as_it_is(
    policy, linear, angular, seed
):
    limits, committed = SPACE.no_faster_than(linear, angular), moves(99, 3)
    free = propose(committed, policy, 20, HORIZON, SPACE, rng(seed))
    candidates = propose(committed, policy, 20, HORIZON, SPACE, rng(seed), limits=limits)
    for name, actions in candidates.items():
        if name.startswith("policy"):
            np.testing.assert_array_equal(actions, free[name])
        else:
            assert limits.why_invalid(actions[3:]) is None, name
    if linear >= 0.25 and angular >= 0.5:
        assert limits == SPACE and list(candidates) == list(free)
        np.testing.assert_array_equal([*candidates.values()], [*free.values()])


def test_the_policy_itself_comes_first_unchanged_and_stands_still_after_its_end():
    committed, policy = moves(0, 3), moves(1, 4)
    candidates = propose(committed, [policy], 12, HORIZON, SPACE, rng())
    assert next(iter(candidates)) == "policy"
    np.testing.assert_allclose(candidates["policy"][3:7], policy)
    np.testing.assert_allclose(candidates["policy"][7:], stand_still(1, policy[3, GRIPPER]))


def test_several_policy_sequences_are_all_considered_before_anything_else():
    policy = [moves(i, HORIZON) for i in range(3)]
    candidates = propose(stand_still(2, 0.0), policy, 3, HORIZON, SPACE, rng())
    for sequence, candidate in zip(policy, candidates.values(), strict=True):
        np.testing.assert_allclose(candidate[2:], sequence[: HORIZON - 2])


def test_a_policy_that_has_ended_has_no_say():
    candidates = propose(stand_still(4, 0.0), [moves(1, 0)], 6, HORIZON, SPACE, rng())
    assert not any(name.startswith(("policy", "noisy", "slower")) for name in candidates)


def test_there_are_slower_faster_noisy_sampled_and_still_ones():
    policy = stand_still(HORIZON, 0.0)
    policy[:, 0] = 0.02
    candidates = propose(policy[:2], [policy[2:]], 12, HORIZON, SPACE, rng())
    np.testing.assert_allclose(candidates["slower"][2:, 0], 0.01)
    np.testing.assert_allclose(candidates["faster"][2:, 0], 0.03)
    assert not candidates["still"][2:, :GRIPPER].any()
    kinds = {name.split()[0] for name in candidates}
    assert kinds == {"policy", "still", "slower", "faster", "noisy", "sampled"}


def test_standing_still_and_samples_leave_the_gripper_as_it_is():
    candidates = propose(stand_still(2, 1.0), [], 6, HORIZON, SPACE, rng())
    for actions in candidates.values():
        assert (actions[:, GRIPPER] == 1.0).all()


def test_deviation_is_zero_for_the_policy_and_one_for_a_limit_away_in_every_number():
    policy = stand_still(HORIZON, 0.0)
    other = policy.copy()
    other[:] = [0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5]
    early = policy.copy()
    early[:4] = other[:4]
    np.testing.assert_allclose(
        deviation(np.stack([policy, other, early]), policy, 4, SPACE), [0, 1, 0], atol=1e-6
    )


def test_a_wider_search_varies_the_policy_more():
    policy = [np.zeros((4, DIM))]

    def spread(width):
        candidates = propose(stand_still(4, 0.0), policy, 30, HORIZON, SPACE, rng(), width)
        noisy = [actions for name, actions in candidates.items() if name.startswith("noisy")]
        return np.linalg.norm(noisy, axis=-1).mean()

    assert spread(2.0) > 1.5 * spread(1.0)
