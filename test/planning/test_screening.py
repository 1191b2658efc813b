"""The nearest to the goal of those that can be trusted is chosen; each verdict says why."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.confidence import MAX_UNCERTAINTY
from whale_ros.planning.commitment import stand_still
from whale_ros.planning.screening import choose, why_leaves

NAMES = ("policy", "still", "noisy 1")
THRESHOLD = 0.1
SAME = [np.zeros((4, 7))] * 3  # all were judged by the same actions
DIFFERENT = [np.full((8, 7), 0.01 * k) for k in range(3)]


def pick(
    uncertainty=(0.05, 0.05, 0.05),
    goal=(0.3, 0.2, 0.4),
    deviation=(0.0, 0.0, 0.0),
    threshold=THRESHOLD,
    weight=1.0,
    obstacles=(None, None, None),
    judged=SAME,
):
    return choose(
        NAMES,
        np.array(uncertainty),
        threshold,
        judged,
        np.array(goal),
        np.array(deviation),
        weight,
        obstacles,
    )


def test_the_nearest_to_the_goal_is_chosen():
    choice = pick()
    assert choice.index == 1
    assert choice.verdicts == ["passed", "chosen", "passed"]
    assert "'still'" in choice.reason and "3 of 3" in choice.reason


def test_the_policy_decides_where_the_goal_is_equally_near():
    assert pick(goal=(0.2, 0.2, 0.2), deviation=(0.0, 0.5, 0.1)).index == 0


def test_a_candidate_of_uncertainty_just_above_the_threshold_is_rejected_in_words():
    assert pick(uncertainty=(0.05, THRESHOLD, 0.05)).index == 1
    choice = pick(uncertainty=(0.05, 0.1001, 0.05))
    assert choice.index == 0
    assert choice.verdicts[1] == "rejected: uncertainty 0.1001 is above 0.1"
    assert pick(uncertainty=(0.05, 0.1001, 0.06), judged=DIFFERENT).index == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.1, 1.501])
def test_an_uncertainty_that_cannot_be_is_never_trusted_whatever_the_threshold(value):
    choice = pick(uncertainty=(0.05, value, 0.05), threshold=10.0)
    assert choice.index == 0
    assert f"{value:g} is impossible and counts as maximal" in choice.verdicts[1]


def test_a_constant_uncertainty_of_different_actions_counts_as_maximal():
    choice = pick(judged=DIFFERENT)
    assert choice.index is None
    assert "exactly that of 'still', whose actions differ" in choice.verdicts[0]
    assert pick(uncertainty=(0.05, 0.05, 0.06), judged=DIFFERENT).index == 2
    assert pick(judged=SAME).index == 1, "what was judged is the same: no wonder"


@pytest.mark.parametrize("threshold", [np.nan, np.inf, 0.0, -1.0])
def test_without_a_calibrated_threshold_nothing_passes(threshold):
    choice = pick(threshold=threshold)
    assert choice.index is None
    assert "not calibrated" in choice.reason


@pytest.mark.parametrize("distance", [np.nan, np.inf])
def test_a_goal_distance_that_is_no_number_is_rejected(distance):
    assert pick(goal=(0.3, distance, 0.4)).index == 0
    assert pick(goal=(distance,) * 3).index is None


def test_an_obstacle_counts_whatever_the_score():
    choice = pick(obstacles=(None, "it leaves", None))
    assert choice.index == 0
    assert choice.verdicts[1] == "rejected: it leaves"


def test_it_counts_by_what_candidates_were_rejected():
    choice = pick(
        uncertainty=(0.05, 0.2, 0.2), goal=(np.nan, 0.2, 0.4), obstacles=(None, "it leaves", None)
    )
    assert choice.rejected == {"score": 1, "workspace": 1, "uncertainty": 1}
    assert pick(threshold=np.nan).rejected == {"calibration": 3}
    assert not pick().rejected


numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3)


@given(numbers, numbers, st.floats(allow_nan=True))
def test_whatever_the_numbers_only_a_trusted_candidate_is_chosen(uncertainty, goal, threshold):
    with np.errstate(all="ignore"):
        choice = pick(uncertainty, goal, threshold=threshold, judged=DIFFERENT)
    assert len(choice.verdicts) == 3
    if choice.index is None:
        assert all(v.startswith("rejected: ") for v in choice.verdicts)
        assert choice.verdicts[0] in choice.reason
    else:
        assert 0 < uncertainty[choice.index] <= threshold < np.inf
        assert uncertainty[choice.index] <= MAX_UNCERTAINTY
        assert uncertainty.count(uncertainty[choice.index]) == 1
        assert np.isfinite(goal[choice.index])
        assert choice.verdicts.count("chosen") == 1


LOW, HIGH = np.array([-0.1, -0.1, 0.0]), np.array([0.1, 0.1, 0.2])


def ahead(x):
    actions = stand_still(4, 0.0)
    actions[:, 0] = x
    return actions


def test_a_path_may_end_at_the_wall_and_the_first_action_beyond_is_named():
    centre = np.array([0.0, 0.0, 0.1])
    assert why_leaves(ahead(0.025), 0.0, centre, LOW, HIGH) is None
    assert "action 3 ends at (0.104" in why_leaves(ahead(0.026), 0.0, centre, LOW, HIGH)
    assert "action 2" in why_leaves(ahead(-0.04), 0.0, centre, LOW, HIGH)


def test_from_outside_it_may_come_back_but_not_go_further():
    outside = np.array([0.15, 0.0, 0.1])
    assert why_leaves(ahead(-0.01), 0.0, outside, LOW, HIGH) is None
    assert why_leaves(ahead(0.0), 0.0, outside, LOW, HIGH) is None
    assert "action 0" in why_leaves(ahead(0.01), 0.0, outside, LOW, HIGH)


def test_what_is_done_already_does_not_count_again():
    near_wall = np.array([0.08, 0.0, 0.1])
    assert why_leaves(ahead(0.02), 3.0, near_wall, LOW, HIGH) is None
    assert why_leaves(ahead(0.03), 3.5, near_wall, LOW, HIGH) is None
    assert "action 3" in why_leaves(ahead(0.03), 3.0, near_wall, LOW, HIGH)
