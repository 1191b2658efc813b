import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whale_ros.actions.space import ActionSpace
from whale_ros.gate.check import Now
from whale_ros.gate.chunk import why_malformed, why_too_fast, why_unsure, why_untimely
from whale_ros.gate.confidence import MAX_UNCERTAINTY
from whale_ros.gate.config import GateConfig

CONFIG = GateConfig()
NOW = Now(1000.0, 1_700_000_000.0)
FORWARD = [0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
SPACE = "base_twist/7/0.2s/0.05m/0.1rad"


@pytest.fixture(scope="module")
def make(new_rig):
    """make(actions, **change): approved at NOW."""
    return lambda actions=(FORWARD,) * 4, **change: new_rig().chunk(
        actions, **{"stamp": NOW.ros, "start": NOW.ros, "expiry": NOW.ros + 2, **change}
    )


# ---- what it says


def test_its_actions_are_its_numbers_row_by_row(make):
    actions = np.arange(21.0).reshape(3, 7)
    chunk = make(actions)
    np.testing.assert_array_equal(chunk.actions, actions)
    np.testing.assert_allclose(chunk.twist(1), np.arange(7.0, 13.0) / 0.2)
    assert chunk.end == pytest.approx(NOW.ros + 0.6)


@pytest.mark.parametrize(
    ("after_s", "step"),
    [(-9.0, 0), (0.0, 0), (0.19, 0), (0.21, 1), (0.79, 3), (0.81, None), (99.0, None)],
)
def test_each_action_has_its_time(make, after_s, step):
    assert make().step(NOW.ros + after_s) == step


@example(-0.2, [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0)])
@example(0.25, [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0)])
@given(st.floats(-0.3, 1.2), st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=1, max_size=5))
def test_it_foretells_where_the_hand_gets_from_now_on(make, after_s, moves):
    actions = np.zeros((len(moves), 7))
    actions[:, :3] = moves
    start = np.array([0.1, 0.2, 0.3])
    here, expected = start.copy(), []
    for step, move in enumerate(moves):
        begin, end = 0.2 * step, 0.2 * (step + 1)
        left = min(1.0, (end - after_s) / 0.2) if after_s < end else 0.0
        if left > 0:
            here = here + left * np.array(move)
            expected.append(here)
        assert begin < end
    places = make(actions).positions(NOW.ros + after_s, start)
    assert places.shape == (len(places), 3)
    if len(places) == len(expected):  # at a seam rounding may add an action of length zero
        np.testing.assert_allclose(places, np.reshape(expected, (-1, 3)), atol=1e-5)
    else:
        assert abs(after_s / 0.2 - round(after_s / 0.2)) < 1e-5


def test_what_is_over_leads_nowhere(make):
    assert make().positions(NOW.ros + 0.9, np.zeros(3)).shape == (0, 3)


# ---- what is wrong with it


def test_a_good_one_is_good(make):
    assert why_malformed(make(), CONFIG) is None
    assert why_untimely(make(), CONFIG, NOW) is None
    assert why_unsure(make(), "abc") is None
    assert why_too_fast(make(), CONFIG) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"frame": "camera"}, "its frame is 'camera', expected 'base'"),
        ({"frame": ""}, "its frame is '', expected 'base'"),
        ({"frame": "a"}, "its frame is 'a', expected 'base'"),
        ({"action_space": "joint"}, f"its action space is 'joint', expected '{SPACE}'"),
        ({"action_space": "a"}, f"its action space is 'a', expected '{SPACE}'"),
        ({"step_s": 0.25}, "its actions take 0.25 s, expected 0.2 s"),
        ({"step_s": 0.2 + 1e-6}, "its actions take 0.200001 s, expected 0.2 s"),
        ({"step_s": 0.2 - 2e-6}, "its actions take 0.199998 s, expected 0.2 s"),
        ({"step_s": math.nan}, "its actions take nan s, expected 0.2 s"),
        ({"step_s": 0.2 + 9e-7}, None),
        ({"step_s": 0.2 - 9e-7}, None),
        ({"dim": 6}, "its actions have 6 numbers, expected 7"),
        ({"dim": 8}, "its actions have 8 numbers, expected 7"),
        ({"horizon": 0, "numbers": []}, "it has 0 actions, expected 1 .. 64"),
        ({"horizon": 1, "numbers": FORWARD}, None),
        ({"horizon": 64, "numbers": FORWARD * 64}, None),
        ({"horizon": 65, "numbers": FORWARD * 65}, "it has 65 actions, expected 1 .. 64"),
        ({"horizon": 3}, "it has 28 numbers, expected 3 x 7"),
        ({"horizon": 5}, "it has 28 numbers, expected 5 x 7"),
        ({"numbers": FORWARD * 3 + [0.0] * 6 + [math.nan]}, "action 3 holds nan at index 6"),
        ({"numbers": FORWARD + [0.0, -math.inf] + FORWARD[2:] + FORWARD * 2},
         "action 1 holds -inf at index 1"),
    ],
)  # fmt: skip
def test_a_malformed_one_is_named(make, change, reason):
    assert why_malformed(make(**change), CONFIG) == reason


def test_a_microsecond_is_rounding(make):
    config = GateConfig(action_space=ActionSpace(step_s=2e-6))
    signature = config.action_space.signature
    assert why_malformed(make(step_s=1e-6, action_space=signature), config) is None


@pytest.mark.parametrize("huge", [10**9, 2**32 - 1])
def test_what_claims_to_be_huge_costs_nothing(make, huge):
    assert f"{huge} actions" in why_malformed(make(horizon=huge), CONFIG)


@pytest.mark.parametrize(
    ("gripper", "span"),
    [
        ([0.5, 1 + 1e-5], None),
        ([0.5, 1 + 1.1e-5], "0.5 .. 1.00001"),
        ([0.5, 2.0], "0.5 .. 2"),
        ([-1e-5, 0.5], None),
        ([-1.1e-5, 0.5], "-1.1e-05 .. 0.5"),
        ([0.5, -1.0], "-1 .. 0.5"),
        ([0.0, 1.0], None),
    ],
)
def test_the_gripper_has_its_range(make, gripper, span):
    reason = why_malformed(make([[0.0] * 6 + [value] for value in gripper]), CONFIG)
    assert reason == (span and f"gripper commands span {span}, allowed 0 .. 1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stamp": 0.0}, "its approval stamp is 0"),
        ({"expiry": -1.0}, "its expiry is -1"),
        ({"start": math.nan}, "its first action's time is nan"),
        ({"stamp": 0.04}, None),
        ({"stamp": 0.06, "expiry": 2.0}, "it was approved 0.060 s in the future"),
        ({"stamp": -0.99}, None),
        ({"stamp": -1.01}, "it was approved 1.010 s ago, limit 1 s"),
        ({"stamp": -9.0}, "it was approved 9.000 s ago, limit 1 s"),
        ({"expiry": 0.01}, None),
        ({"expiry": 0.0}, "it expired 0.000 s ago"),
        ({"expiry": -0.5}, "it expired 0.500 s ago"),
        ({"expiry": 4.99}, None),
        ({"expiry": 5.01}, "it would be valid for 5.010 s, limit 5 s"),
        ({"stamp": -0.5, "expiry": 4.6}, "it would be valid for 5.100 s, limit 5 s"),
        ({"start": 0.04}, None),
        ({"start": 0.06}, "its first action begins only in 0.060 s"),
        ({"start": -0.79}, None),
        ({"start": -0.8125}, "its last action ended 0.013 s ago"),
        ({"start": -5.0}, "its last action ended 4.200 s ago"),
    ],
)
def test_times_just_inside_and_just_outside(make, change, reason):
    """Seconds from now, but for what is impossible by itself."""
    impossible = reason is not None and reason.split()[-1] in ("0", "-1", "nan")
    times = change if impossible else {name: NOW.ros + after for name, after in change.items()}
    assert why_untimely(make(**times), CONFIG, NOW) == reason


def test_times_exactly_at_their_limits(make):
    """In halves, which floating point holds exactly, of limits that are so too."""
    config = GateConfig(future_tolerance_s=0.5, chunk_max_age_s=2.0)
    now = NOW.ros
    assert why_untimely(make(stamp=now + 0.5, expiry=now + 1), config, NOW) is None
    assert why_untimely(make(stamp=now - 2.0), config, NOW) is None
    assert why_untimely(make(expiry=now + 5.0), config, NOW) is None
    assert why_untimely(make(start=now + 0.5), config, NOW) is None
    reason = why_untimely(make(start=now - 2.0, horizon=2, step_s=1.0), config, NOW)
    assert reason == "its last action ended 0.000 s ago"


@pytest.mark.parametrize(
    ("change", "running", "reason"),
    [
        ({"uncertainty": 0.5}, "abc", None),
        ({"uncertainty": 0.51}, "abc", "its uncertainty 0.51, limit 0.5"),
        ({"uncertainty": 1.49, "threshold": 1.499}, "abc", None),
        (
            {"threshold": 1.5}, "abc",
            "the threshold for its uncertainty is 1.5, which nothing exceeds: not calibrated",
        ),
        (
            {"uncertainty": 1.51, "threshold": 2.0}, "abc",
            "its uncertainty 1.51 is impossible and counts as maximal",
        ),
        ({"uncertainty": 0.0}, "abc", "its uncertainty 0 is impossible and counts as maximal"),
        ({"uncertainty": -1.0}, "abc", "its uncertainty -1 is impossible and counts as maximal"),
        (
            {"uncertainty": math.nan}, "abc",
            "its uncertainty nan is impossible and counts as maximal",
        ),
        ({"threshold": 0.0}, "abc", "the threshold for its uncertainty is 0: not calibrated"),
        (
            {"threshold": math.inf}, "abc",
            "the threshold for its uncertainty is inf: not calibrated",
        ),
        (
            {"checkpoint": "old" * 5}, "abc",
            "checkpoint 'oldoldoldold' approved it, but 'abc' watches",
        ),
        ({}, "zz" * 9, "checkpoint 'abc' approved it, but 'zzzzzzzzzzzz' watches"),
        ({}, "a", "checkpoint 'abc' approved it, but 'a' watches"),
        ({"checkpoint": ""}, "", "checkpoint '' approved it, but '' watches"),
        (
            {"uncertainty": 1.5, "threshold": 1.499}, "abc",
            "its uncertainty 1.5, limit 1.499",
        ),
    ],
)  # fmt: skip
def test_an_unsure_one_is_named(make, change, running, reason):
    assert why_unsure(make(**change), running) == reason


@example(0.5, 0.5)
@example(1.5, 1.5)
@example(0.5, 2.0)
@given(st.floats(), st.floats())
def test_none_is_sure_without_a_threshold_that_something_exceeds(make, uncertainty, threshold):
    reason = why_unsure(make(uncertainty=uncertainty, threshold=threshold), "abc")
    assert (reason is None) == (0 < uncertainty <= threshold < MAX_UNCERTAINTY)


@pytest.mark.parametrize(
    ("axes", "verb", "unit", "limit"),
    [(slice(0, 3), "moves", "m", 0.05), (slice(3, 6), "turns", "rad", 0.1)],
)
@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=1, max_size=4), st.floats(0, 2))
def test_no_step_is_longer_than_allowed(make, axes, verb, unit, limit, directions, size):
    actions = np.zeros((len(directions), 7))
    actions[:, axes] = np.array(directions) * size * limit
    lengths = [math.hypot(*action[axes]) for action in actions]
    reason = why_too_fast(make(actions), CONFIG)
    if max(lengths) <= limit * 1.000009:
        assert reason is None
    elif max(lengths) > limit * 1.000011:
        worst = lengths.index(max(lengths))
        assert reason == (
            f"action {worst} {verb} {lengths[worst]:.4f} {unit} in a step, limit {limit:.4g}"
        )


@pytest.mark.parametrize("axis", range(6))
def test_the_slower_of_step_and_speed_limit_counts(make, axis):
    action = np.zeros(7)
    for config, limit in (
        (GateConfig(max_linear_speed=0.1, max_angular_speed=0.1), 0.02),
        (GateConfig(max_linear_speed=9.0, max_angular_speed=9.0), 0.05 if axis < 3 else 0.1),
    ):
        action[axis] = -limit * (1 + 1e-5)
        assert why_too_fast(make([action]), config) is None, "float32 on the wire"
        action[axis] = -limit * 1.000011
        assert f"limit {limit:.4g}" in why_too_fast(make([action]), config)
