import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.check import Now
from whale_ros.gate.config import GateConfig
from whale_ros.gate.pose import Pose, PoseWatch

# Limits of the jump in 0.05 s: 0.025 m and 0.05 rad.
CONFIG = GateConfig()
T, ROS = 1000.0, 1_700_000_000.0


def at(seconds):
    return Now(T + seconds, ROS + seconds)


def turned(angle, axis=(0.0, 0.0, 1.0)):
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) * np.array(axis))])


def pose(seconds=0.0, position=(0.0, 0.6, 0.2), quaternion=(1.0, 0.0, 0.0, 0.0), frame="base"):
    return Pose(ROS + seconds, frame, np.array(position, float), np.array(quaternion, float))


BAD = [
    ({"frame": "map"}, "its frame is 'map', expected 'base'"),
    ({"position": (0, math.nan, 0)}, "it is not finite"),
    ({"quaternion": (1, 0, math.inf, 0)}, "it is not finite"),
    ({"quaternion": (1.0011, 0, 0, 0)}, "its quaternion has norm 1.0011, not 1"),
    ({"quaternion": (0, 0, 0.9989, 0)}, "its quaternion has norm 0.9989, not 1"),
    ({"quaternion": (0, 0, 0, 0)}, "its quaternion has norm 0.0000, not 1"),
]


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_a_pose_that_cannot_be_used_is_dropped_with_the_reason(change, reason):
    watch = PoseWatch(CONFIG)
    good = pose()
    assert watch.feed(at(0), good) is None and watch.pose is good
    assert watch.feed(at(0.01), pose(0.01, **change)) == reason
    assert watch.pose is good, "the last one that counted"


@pytest.mark.parametrize("norm", [0.9991, 1.0009])
def test_a_quaternion_may_be_rounded(norm):
    assert PoseWatch(CONFIG).feed(at(0), pose(quaternion=(0, norm, 0, 0))) is None


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_bad_poses_are_tolerated_for_a_tenth_of_a_second(change, reason):
    watch = PoseWatch(CONFIG)
    watch.feed(at(0), pose())
    check = watch.check_content(at(0))
    assert (check.name, check.value, check.threshold) == ("pose_content", 0.0, 0.1)
    assert check.ok and check.message == "poses have been bad for 0.000 s, limit 0.1 s"
    for seconds in (0.03125, 0.0625, 0.09375, 0.125):  # which floating point holds exactly
        watch.feed(at(seconds), pose(seconds, **change))
        check = watch.check_content(at(seconds + 0.03125))
        assert check.value == seconds
        assert check.ok == (seconds <= 0.1)
    assert check.message == f"poses have been bad for 0.125 s, limit 0.1 s: {reason}"
    watch.feed(at(0.15), pose(0.15))
    assert watch.check_content(at(0.15)).ok and "norm" not in watch.check_content(at(0.15)).message


def test_an_old_pose_between_bad_ones_is_no_good_one():
    watch = PoseWatch(CONFIG)
    watch.feed(at(0), pose(frame="map"))
    assert "in the future" in watch.feed(at(0.05), pose(0.2))
    assert watch.check_content(at(0.125)).value == pytest.approx(0.125)


# ---- jumps


def jump(*poses):
    """The check after poses (seconds, pose)."""
    watch = PoseWatch(CONFIG)
    for seconds, one in poses:
        assert watch.feed(at(seconds), one) is None
    return watch.check_jump()


@pytest.mark.parametrize(
    ("seconds", "limit_m", "limit_rad"),
    [(0.01, 0.025, 0.05), (0.05, 0.025, 0.05), (0.125, 0.0625, 0.125)],
)
@pytest.mark.parametrize("share", [0.5, 0.99, 1.01, 3.0])
@pytest.mark.parametrize("axis", np.eye(3))
def test_a_pose_may_move_twice_as_fast_as_the_arm_and_no_faster(
    seconds, limit_m, limit_rad, share, axis
):
    here = np.array([0.0, 0.6, 0.2])
    moved = pose(seconds, here + axis * limit_m * share)
    check = jump((0.0, pose()), (seconds, moved))
    assert check.ok == (share < 1) and check.value == pytest.approx(share, abs=1e-4)
    assert share in (0.99, 1.01) or check.message == (  # which cannot be told from rounding
        f"pose moved {limit_m * share:.4f} m and 0.000 rad in {seconds:.3f} s, "
        f"limit {limit_m:.4f} m and {limit_rad:.3f} rad"
    )
    check = jump(
        (0.0, pose()), (seconds, pose(seconds, quaternion=turned(limit_rad * share, axis)))
    )
    assert check.ok == (share < 1) and check.value == pytest.approx(share, abs=1e-4)
    assert share in (0.99, 1.01) or f" and {limit_rad * share:.3f} rad" in check.message


@given(st.floats(-3, 3), st.floats(-0.3, 0.3), st.tuples(*[st.floats(-1, 1)] * 3))
def test_a_turn_is_measured_wherever_it_begins_and_whatever_the_sign(start, angle, axis):
    axis = np.array(axis) + [0.0, 0.0, 1.1]
    axis /= np.linalg.norm(axis)
    check = jump(
        (0, pose(quaternion=turned(start, axis))),
        (0.05, pose(0.05, quaternion=-turned(start + angle, axis))),
    )
    assert check.value == pytest.approx(abs(angle) / 0.05, abs=1e-6)


def test_a_turn_about_an_axis_is_not_undone_by_one_about_another():
    check = jump(
        (0, pose(quaternion=turned(1.0, (1, 0, 0)))),
        (0.05, pose(0.05, quaternion=turned(1.0, (0, 1, 0)))),
    )
    cosine = math.cos(0.5) ** 2  # of half the angle between both
    assert check.value == pytest.approx(2 * math.acos(cosine) / 0.05)


def test_the_largest_jump_since_the_last_look_is_told_once():
    watch = PoseWatch(CONFIG)
    for i, x in enumerate((0.0, 0.01, 0.04, 0.05)):
        watch.feed(at(i / 100), pose(i / 100, (x, 0.6, 0.2)))
    check = watch.check_jump()
    assert (check.name, check.threshold) == ("pose_jump", 1.0)
    assert not check.ok and check.value == pytest.approx(1.2) and "moved 0.0300 m" in check.message
    check = watch.check_jump()
    assert check.ok and check.value == 0.0 and check.message == "no jump"
    watch.feed(at(0.05), pose(0.05, (0.06, 0.6, 0.2)))
    assert watch.check_jump().value == pytest.approx(0.4)


def test_after_silence_or_what_was_forgotten_there_is_nothing_to_jump_from():
    far = (0.3, 0.9, 0.4)
    assert jump((0.0, pose()), (0.21, pose(0.21, far))).ok
    assert not jump((0.0, pose()), (0.19, pose(0.19, far))).ok
    watch = PoseWatch(CONFIG)
    watch.feed(at(0), pose())
    watch.forget("ROS time jumped")
    assert watch.pose is None and "ROS time jumped" in watch.check(at(0)).message
    watch.feed(at(0.01), pose(0.01, far))
    assert watch.check_jump().ok


def test_it_is_a_watchdog_too():
    watch = PoseWatch(dataclasses.replace(CONFIG, pose_timeout_s=0.5, future_tolerance_s=0.25))
    assert watch.feed(at(0), pose(-0.51)) == "its stamp is 0.510 s old, limit 0.5 s"
    assert watch.feed(at(0), pose(0.26)) == "its stamp is 0.260 s in the future"
    assert watch.feed(at(0), pose()) is None
    check = watch.check(at(0.5))
    assert check.ok and (check.name, check.threshold) == ("pose", 0.5)
    assert not watch.check(at(0.51)).ok


def test_without_a_jump_it_says_so():
    watch = PoseWatch(CONFIG)
    for _ in range(2):
        assert watch.check_jump().message == "no jump"
