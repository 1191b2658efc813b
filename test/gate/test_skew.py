import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.core import State
from whale_ros.gate.skew import SkewWatch


@pytest.mark.parametrize(("skew_s", "ok"), [(0.049, True), (0.051, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_just_inside_and_just_outside(skew_s, ok, side):
    watch = SkewWatch(0.05)
    watch.feed_pose(10.0)
    for _ in range(2):
        watch.feed_image(10.0 + side * skew_s)
    assert watch.check().ok == ok


@given(st.lists(st.sampled_from("ipP"), max_size=100), st.floats(0.0, 0.1))
def test_a_camera_and_an_arm_that_tell_the_truth_are_never_skewed(events, latency_s):
    """Images come late by latency_s, poses every 25 ms; the reader may lose every other image's
    poses (P: it slept, and of five poses only the last was left)."""
    watch, t = SkewWatch(0.05), 100.0
    watch.feed_pose(t)
    slept = False
    for event in events:
        t += 0.125 if event == "P" else 0.025
        watch.feed_pose(t)
        if event == "i" or (event == "P" and not slept):
            slept = event == "P"
            if not slept:
                for _ in range(5):
                    t += 0.025
                    watch.feed_pose(t)
            watch.feed_image(t - latency_s)
        assert watch.check().ok


@pytest.mark.parametrize("rate_hz", [40, 125, 500, 1000])
def test_an_image_is_slow_and_not_skewed_however_fast_poses_come(rate_hz):
    watch = SkewWatch(0.05)
    for number in range(rate_hz):
        watch.feed_pose(10.0 + number / rate_hz)
    for _ in range(2):
        watch.feed_image(11.0 - 0.3)
    assert watch.check().value <= 0.0126


def skew(poses, images, limit=0.05):
    watch = SkewWatch(limit)
    for stamp in poses:
        watch.feed_pose(stamp)
    for stamp in images:
        watch.feed_image(stamp)
    return watch.check()


@given(
    st.lists(st.integers(-40, 40), min_size=1, max_size=30, unique=True),
    st.lists(st.integers(-40, 40), max_size=6),
)
def test_it_is_what_the_last_two_images_both_exceed(poses, images):
    """Stamps in 64ths of a second, which floating point holds exactly."""
    nearest = [min(abs(image - pose) for pose in poses) / 64 for image in images]
    expected = min(nearest[-2:]) if len(nearest) > 1 else 0.0
    check = skew([pose / 64 for pose in poses], [image / 64 for image in images])
    assert (check.name, check.value, check.threshold) == ("skew", expected, 0.05)
    assert check.ok == (expected <= 0.05)
    assert check.message == (f"two images are {expected:.3f} s from the nearest pose, limit 0.05 s")


def test_at_its_limit_it_is_none():
    assert skew([0.0], [0.05, 0.05]).ok and not skew([0.0], [0.051, 0.051]).ok


def test_where_there_is_no_pose_there_is_nothing_to_compare():
    assert skew([], [1.0, 2.0]).value == 0.0


def test_poses_less_than_eight_milliseconds_apart_are_left_out():
    assert skew([0.0, 0.0079], [0.0079] * 2).value == 0.0079
    assert skew([0.0, 0.008], [0.008] * 2).value == 0.0
    assert skew([1.0, 0.9921], [0.9921] * 2).value == pytest.approx(0.0079)
    assert skew([1.0, 0.9], [0.9] * 2).value == 0.0, "also when stamps go back"


def test_so_many_poses_are_remembered_and_no_more():
    assert skew(range(64), [0.0] * 2).value == 0.0
    assert skew(range(65), [0.0] * 2).value == 1.0


def test_what_is_forgotten_is_not_compared():
    watch = SkewWatch(0.05)
    watch.feed_pose(0.0)
    watch.feed_image(9.0)
    watch.feed_image(9.0)
    watch.forget()
    assert watch.check().value == 0.0
    watch.feed_image(9.0)
    watch.feed_image(9.0)
    assert watch.check().value == 0.0, "no pose is left"


def test_poses_that_come_late_beside_the_images_hold(rig):
    rig.send(np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(5)
    rig.silent = {"pose"}
    for _ in range(30):
        stamp = rig.now.ros - 0.08
        rig.gate.on_pose(rig.now, rig.pose(stamp=stamp))
        rig.cycle()
    assert rig.status.state is State.HOLD
    assert "from the nearest pose" in rig.status.reason
    rig.silent = set()
    rig.cycle(130)
    assert rig.send() is None
