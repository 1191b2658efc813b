import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.config import GateConfig
from whale_ros.gate.limits import Ramp, check_workspace, outside, why_leaves_workspace

CONFIG = GateConfig(
    workspace_low=(-0.25, 0.5, 0.0), workspace_high=(0.25, 1.0, 0.5), workspace_margin_m=0.125
)
twists = st.lists(st.floats(-2, 2), min_size=6, max_size=6).map(np.array)


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_outside_is_the_way_back_to_the_nearest_point_of_the_box(position):
    nearest = [
        min(max(x, low), high)
        for x, low, high in zip(position, CONFIG.workspace_low, CONFIG.workspace_high, strict=True)
    ]
    expected = math.dist(position, nearest)
    assert outside(np.array(position), CONFIG) == pytest.approx(expected, abs=1e-12)
    many = outside(np.array([position, [0.0, 0.7, 0.1]]), CONFIG)
    assert many == pytest.approx([expected, 0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("x", "ok", "distance"), [(0.25, True, 0.0), (0.375, True, 0.125), (0.3751, False, 0.1251)]
)
def test_the_hand_may_be_outside_by_the_margin_and_no_more(x, ok, distance):
    check = check_workspace(np.array([x, 0.75, 0.25]), CONFIG)
    assert check.ok == ok and check.value == pytest.approx(distance)
    assert (check.name, check.threshold, check.urgent) == ("workspace", 0.125, False)
    assert check.message == (
        f"end effector at ({x:.3f}, 0.750, 0.250) m in 'base' is {distance:.3f} m outside the "
        "workspace, limit 0.125 m"
    )


def test_an_unknown_place_is_not_inside():
    check = check_workspace(None, CONFIG)
    assert (check.name, check.ok, check.urgent) == ("workspace", False, False)
    assert check.value == math.inf and check.threshold == 0.125
    assert check.message == "no pose to look for in the workspace"


@given(
    st.lists(st.tuples(*[st.floats(-0.2, 0.2)] * 3), min_size=1, max_size=5),
    st.tuples(st.floats(-0.4, 0.4), st.floats(0.4, 1.1), st.floats(-0.1, 0.6)),
)
def test_no_action_may_end_further_outside_than_the_hand_is_now(new_rig, moves, start):
    rig = new_rig()
    actions = np.zeros((len(moves), 7))
    actions[:, :3] = moves
    chunk, at = rig.chunk(actions), np.array(start)
    reason = why_leaves_workspace(chunk, at, CONFIG, rig.now)
    allowed = max(1e-6, float(outside(at, CONFIG)))
    places, here = [], list(start)
    for move in moves:
        here = [a + b for a, b in zip(here, move, strict=True)]
        places.append(here)
    first = next((i for i, p in enumerate(places) if outside(np.array(p), CONFIG) > allowed), None)
    if first is None:
        assert reason is None
    else:
        x, y, z = places[first]
        distance = float(outside(np.array(places[first]), CONFIG))
        assert reason == (
            f"action {first} ends at ({x:.3f}, {y:.3f}, {z:.3f}) m, "
            f"{distance:.3f} m outside the workspace"
        )


def test_actions_that_are_over_do_not_count_but_keep_their_numbers(new_rig):
    rig = new_rig()
    actions = np.zeros((4, 7))
    actions[0, 0], actions[3, 0] = 9.0, 0.5
    chunk = rig.chunk(actions, start=rig.now.ros - 0.2)
    reason = why_leaves_workspace(chunk, np.array([0.0, 0.75, 0.25]), CONFIG, rig.now)
    assert reason == "action 3 ends at (0.500, 0.750, 0.250) m, 0.250 m outside the workspace"


def test_the_box_itself_is_inside_for_a_chunk(new_rig):
    rig = new_rig()
    at = np.array([0.0, 0.75, 0.25])
    for x, leaves in ((0.25, False), (0.25 + 9e-7, False), (0.25 + 2e-6, True)):
        reason = why_leaves_workspace(rig.chunk([[x, 0, 0, 0, 0, 0, 0]]), at, CONFIG, rig.now)
        assert bool(reason) == leaves


# ---- acceleration


@given(twists, twists, st.floats(0.001, 0.02))
def test_a_ramp_goes_straight_to_what_is_wanted_as_fast_as_it_may(now, wanted, seconds):
    ramp = Ramp(dataclasses.replace(CONFIG, max_linear_acceleration=3.0))
    ramp.twist = now
    result = ramp.follow(wanted, seconds)
    assert result is not now and np.array_equal(ramp.twist, result)
    for part, limit in ((slice(0, 3), 3.0), (slice(3, 6), 4.0)):
        way, gone = wanted[part] - now[part], result[part] - now[part]
        length = min(math.dist(wanted[part], now[part]), limit * seconds)
        assert np.linalg.norm(gone) == pytest.approx(length, abs=1e-9)
        assert np.dot(way, gone) == pytest.approx(np.linalg.norm(way) * length, abs=1e-9)


def test_translation_and_rotation_have_their_own_limits():
    ramp = Ramp(CONFIG)
    np.testing.assert_allclose(
        ramp.follow(np.array([0, 0, 1.0, 0, 0, 1.0]), 0.01), [0, 0, 0.02, 0, 0, 0.04]
    )
    np.testing.assert_allclose(
        ramp.follow(np.array([0, 0, 1.0, 1.0, 0, 0.04]), 0.01), [0, 0, 0.04, 0.04, 0, 0.04]
    )


def test_a_small_change_is_made_at_once_and_none_is_none():
    ramp = Ramp(CONFIG)
    wanted = np.array([1e-9, 0, 0, 0, 0, 0.039])
    np.testing.assert_array_equal(ramp.follow(wanted, 0.01), wanted)
    np.testing.assert_array_equal(ramp.follow(wanted, 0.01), wanted)


def test_it_starts_at_rest_and_stops_at_once():
    ramp = Ramp(CONFIG)
    np.testing.assert_array_equal(ramp.twist, np.zeros(6))
    ramp.follow(np.ones(6), 1.0)
    assert not ramp.stop().any() and ramp.twist.shape == (6,) and not ramp.twist.any()
