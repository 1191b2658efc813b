import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whale_ros.gate.check import Now
from whale_ros.gate.confidence import (
    MAX_UNCERTAINTY,
    Confidence,
    bounds_uncertainty,
    compare,
    positive,
)
from whale_ros.gate.config import GateConfig

T, ROS = 1000.0, 1_700_000_000.0
HERE = np.array([0.0, 0.6, 0.2])
CONFIG = GateConfig()


def at(seconds):
    return Now(T + seconds, ROS + seconds)


def checks(confidence, seconds=0.0):
    return {check.name: check for check in confidence.checks(at(seconds))}


@pytest.fixture(scope="module")
def beat(new_rig):
    """A heartbeat of a moment, with changes."""
    return lambda seconds=0.0, **change: new_rig().beat(**{"stamp": ROS + seconds, **change})


def after(beat, **change):
    """The checks after one heartbeat."""
    confidence = Confidence(CONFIG)
    assert confidence.feed(at(0), beat(**change), HERE) is None
    return checks(confidence)


def test_before_the_first_heartbeat_nothing_is_sure():
    found = checks(Confidence(CONFIG))
    assert [c.message for c in found.values()] == [
        "no heartbeat message yet", "no uncertainty yet", "no familiarity error yet",
    ]  # fmt: skip
    for check in found.values():
        assert check.ok is False and check.value == math.inf and not check.urgent
    assert math.isnan(found["uncertainty"].threshold)
    assert math.isnan(found["familiarity"].threshold)


@pytest.mark.parametrize(
    ("value", "threshold", "ok", "told", "message"),
    [
        (0.25, 0.5, True, 0.25, "uncertainty 0.25, limit 0.5"),
        (0.5, 0.5, True, 0.5, "uncertainty 0.5, limit 0.5"),
        (0.50001, 0.5, False, 0.50001, "uncertainty 0.5, limit 0.5"),
        (1.49, 1.499, True, 1.49, "uncertainty 1.49, limit 1.499"),
        (1.5, 1.499, False, 1.5, "uncertainty 1.5, limit 1.499"),
        (
            0.25, 1.5, False, 0.25,
            "the threshold for uncertainty is 1.5, which nothing exceeds: not calibrated",
        ),
        (
            0.25, 1e9, False, 0.25,
            "the threshold for uncertainty is 1e+09, which nothing exceeds: not calibrated",
        ),
        (0.25, 0.0, False, 0.25, "the threshold for uncertainty is 0: not calibrated"),
        (0.25, -1.0, False, 0.25, "the threshold for uncertainty is -1: not calibrated"),
        (0.25, math.inf, False, 0.25, "the threshold for uncertainty is inf: not calibrated"),
        (1.51, 2.0, False, math.inf, "uncertainty 1.51 is impossible and counts as maximal"),
        (0.0, 2.0, False, math.inf, "uncertainty 0 is impossible and counts as maximal"),
        (-0.1, 2.0, False, math.inf, "uncertainty -0.1 is impossible and counts as maximal"),
        (math.nan, 2.0, False, math.inf, "uncertainty nan is impossible and counts as maximal"),
    ],
)  # fmt: skip
def test_the_uncertainty_stays_at_or_below_a_calibrated_threshold(
    beat, value, threshold, ok, told, message
):
    check = after(beat, uncertainty=value, threshold=threshold)["uncertainty"]
    assert (check.ok, check.value, check.threshold) == (ok, told, threshold)
    assert check.message == message and MAX_UNCERTAINTY == 1.5


@pytest.mark.parametrize(
    ("value", "threshold", "ok", "told", "message"),
    [
        (0.25, 0.25, True, 0.25, "familiarity error of the camera image 0.25, limit 0.25"),
        (0.26, 0.25, False, 0.26, "familiarity error of the camera image 0.26, limit 0.25"),
        (9.0, 10.0, True, 9.0, "familiarity error of the camera image 9, limit 10"),
        (0.0, 0.25, False, math.inf, "familiarity error 0 is impossible and counts as maximal"),
        (-1.0, 1.0, False, math.inf, "familiarity error -1 is impossible and counts as maximal"),
        (
            0.25, 0.0, False, 0.25,
            "the threshold for familiarity error of the camera image is 0: not calibrated",
        ),
    ],
)  # fmt: skip
def test_the_picture_stays_as_familiar_as_calibrated(beat, value, threshold, ok, told, message):
    check = after(beat, familiarity_error=value, familiarity_threshold=threshold)["familiarity"]
    assert (check.ok, check.value, check.threshold, check.message) == (ok, told, threshold, message)


@pytest.mark.parametrize(
    ("message", "told"), [("warming up", "warming up"), ("", "no reason given")]
)
def test_a_model_that_is_not_ready_says_why_and_keeps_nothing_alive(beat, message, told):
    confidence = Confidence(CONFIG)
    for seconds in (0.0, 0.3, 0.6):
        confidence.feed(at(seconds), beat(seconds, ready=seconds < 0.3, message=message), HERE)
    check = checks(confidence, 0.6)["uncertainty"]
    assert check.ok is False and check.value == math.inf and check.threshold == 0.5
    assert check.message == f"the world model is not ready: {told}"
    assert not checks(confidence, 0.6)["heartbeat"].ok


def test_of_a_model_that_is_not_ready_no_error_is_called_impossible(beat):
    check = after(beat, ready=False, message="warming up", familiarity_error=math.nan)
    assert check["familiarity"].ok is False and check["familiarity"].value == math.inf
    assert check["familiarity"].message == "no familiarity error of a world model that is not ready"


def test_a_heartbeat_counts_for_half_a_second_and_its_image_may_be_a_second_old(beat):
    confidence = Confidence(CONFIG)
    assert confidence.feed(at(0), beat(-1.001), HERE) == "its stamp is 1.001 s old, limit 1 s"
    assert confidence.feed(at(0), beat(0.051), HERE) == "its stamp is 0.051 s in the future"
    assert confidence.heartbeat is None
    newest = beat(-0.999)
    assert confidence.feed(at(0), newest, HERE) is None and confidence.heartbeat is newest
    assert checks(confidence, 0.5)["heartbeat"].ok
    assert not checks(confidence, 0.501)["heartbeat"].ok
    assert checks(confidence)["heartbeat"].threshold == 0.5


# ---- the same number again and again


def repeat(beat, moves, **change):
    """The check of the uncertainty after images between which the hand moved."""
    confidence, here, seconds = Confidence(CONFIG), HERE, 0.0
    confidence.feed(at(0), beat(**change), here)
    for move in moves:
        seconds = round(seconds + 0.1, 6)
        here = None if move is None else (HERE if here is None else here) + [0, move, 0]
        assert confidence.feed(at(seconds), beat(seconds, **change), here) is None
    return checks(confidence, seconds)["uncertainty"]


@pytest.mark.parametrize(
    ("moves", "ok"),
    [
        ([0.0011] * 4, True),
        ([0.0011] * 5, False),
        ([-0.5] * 5, False),
        ([0.0009] * 5, True),
        ([0.0006] * 9, True),
        ([0.0006] * 10, False),
        ([0.0] * 50, True),
        ([None] * 50, True),
    ],
)
def test_an_uncertainty_that_is_the_same_in_six_images_of_a_moving_arm_is_none(beat, moves, ok):
    check = repeat(beat, moves, uncertainty=0.25)
    assert check.ok == ok and check.threshold == 0.5
    if not ok:
        assert check.value == math.inf and check.message == (
            "uncertainty was exactly 0.25 in 6 images of a moving arm and counts as maximal: "
            "is the camera frozen?"
        )


@pytest.mark.parametrize(("step_m", "ok"), [(0.001, True), (0.00101, False)])
def test_a_millimetre_is_no_motion(beat, step_m, ok):
    """There and back, by exactly the same way each time."""
    confidence = Confidence(CONFIG)
    for i in range(20):
        place = np.array([step_m * (i % 2), 0.0, 0.0])
        confidence.feed(at(i / 10), beat(i / 10, uncertainty=0.25), place)
    assert checks(confidence, 1.9)["uncertainty"].ok == ok


def test_it_goes_on_counting_and_another_number_ends_it(beat):
    confidence, here = Confidence(CONFIG), HERE
    for i in range(8):
        here = here + [0.01, 0, 0]
        confidence.feed(at(i / 10), beat(i / 10, uncertainty=0.25), here)
    assert "in 8 images" in checks(confidence, 0.7)["uncertainty"].message
    confidence.feed(at(0.8), beat(0.8, uncertainty=0.26), here)
    assert checks(confidence, 0.8)["uncertainty"].ok
    for i in range(9, 14):
        assert checks(confidence, 0.8)["uncertainty"].ok, "counted anew"
        here = here + [0.01, 0, 0]
        confidence.feed(at(i / 10), beat(i / 10, uncertainty=0.26), here)
    assert not checks(confidence, 1.3)["uncertainty"].ok


def test_where_the_first_place_is_not_known_the_next_one_counts(beat):
    confidence = Confidence(CONFIG)
    confidence.feed(at(0), beat(uncertainty=0.25), None)
    for i in range(1, 6):
        assert checks(confidence)["uncertainty"].ok
        place = HERE + [0.01 * i, 0, 0]
        confidence.feed(at(i / 10), beat(i / 10, uncertainty=0.25), place)
    assert not checks(confidence, 0.5)["uncertainty"].ok


@pytest.mark.parametrize(("carried_s", "ok"), [(1.05, True), (1.06, False)])
def test_an_uncertainty_may_be_carried_over_a_gripper_switch_and_no_longer(beat, carried_s, ok):
    confidence = Confidence(CONFIG)
    confidence.feed(at(0), beat(), HERE)
    for seconds in np.arange(1, 11) / 10:
        confidence.feed(at(seconds), beat(seconds, retraced=False), HERE + seconds)
    confidence.feed(at(carried_s), beat(carried_s - 1e-6, retraced=False), HERE)
    check = checks(confidence, carried_s)["uncertainty"]
    assert check.ok == ok and check.threshold == 0.5
    if not ok:
        assert check.value == math.inf
        assert check.message == (
            "no image was retraced for too long: the uncertainty counts as maximal"
        )


def test_an_uncertainty_is_carried_over_up_to_its_limit(beat):
    """So early that the times are exact."""
    confidence, early = Confidence(CONFIG), 1e-30
    for now, retraced in ((early, True), (1.05, False)):
        assert confidence.feed(Now(T, now), beat(stamp=now, retraced=retraced), HERE) is None
    assert checks(confidence)["uncertainty"].ok


def test_nothing_can_be_carried_over_from_nowhere(beat):
    assert not after(beat, retraced=False)["uncertainty"].ok


def test_what_is_forgotten_leaves_nothing_sure_and_counts_anew(beat):
    confidence = Confidence(CONFIG)
    for i in range(6):
        confidence.feed(at(i / 10), beat(i / 10, uncertainty=0.25), HERE * i)
    confidence.forget("ROS time jumped")
    assert confidence.heartbeat is None
    found = checks(confidence, 0.5)
    assert found["heartbeat"].message == "no heartbeat message since ROS time jumped"
    assert found["uncertainty"].message == "no uncertainty yet"
    confidence.feed(at(0.6), beat(0.6, uncertainty=0.25), HERE)
    assert checks(confidence, 0.6)["uncertainty"].ok
    confidence.forget("ROS time jumped")
    confidence.feed(at(0.7), beat(0.7, retraced=False), HERE)
    assert "no image was retraced" in checks(confidence, 0.7)["uncertainty"].message


@pytest.mark.parametrize("forgets", [False, True])
def test_before_the_first_image_none_is_counted(beat, forgets):
    confidence = Confidence(CONFIG)
    if forgets:
        confidence.forget("ROS time jumped")
    confidence.feed(at(0), beat(uncertainty=0.25, retraced=False), HERE)
    for i in range(1, 6):
        assert i == 1 or checks(confidence, i / 10)["uncertainty"].ok
        confidence.feed(at(i / 10), beat(i / 10, uncertainty=0.25), HERE + i)
    assert not checks(confidence, 0.5)["uncertainty"].ok


@given(st.floats())
def test_positive_is_a_finite_number_above_zero(value):
    assert positive(value) == (0 < value < math.inf)


@given(uncertainty=st.floats(), threshold=st.floats())
@example(uncertainty=0.5, threshold=0.5)
@example(uncertainty=1.5, threshold=1.5)
@example(uncertainty=0.5, threshold=2.0)
def test_nothing_is_sure_without_a_threshold_that_something_exceeds(beat, uncertainty, threshold):
    check = after(beat, uncertainty=uncertainty, threshold=threshold)["uncertainty"]
    assert check.ok == (0 < uncertainty <= threshold < MAX_UNCERTAINTY)
    assert check.message


@given(st.floats(min_value=1e-3, max_value=1e3), st.floats(min_value=1e-3, max_value=1e3))
def test_a_comparison_names_both_numbers(value, threshold):
    assert compare("it", value, threshold) == f"it {value:.4g}, limit {threshold:.4g}"


@pytest.mark.parametrize(
    ("threshold", "bounds"),
    [(0.0, False), (1e-9, True), (1.499, True), (1.5, False), (-0.1, False), (math.nan, False)],
)
def test_a_threshold_bounds_if_something_lies_on_either_side(threshold, bounds):
    assert bounds_uncertainty(threshold) is bounds
