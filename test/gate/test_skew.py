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
