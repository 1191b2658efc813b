import numpy as np
import pytest

from whale_ros.gate.core import State
from whale_ros.gate.picture import MOVED_M, REPEATS, PictureWatch

HERE = np.array([0.0, 0.6, 0.2])


@pytest.mark.parametrize(
    ("repeats", "moved", "ok"),
    [
        (REPEATS, MOVED_M + 1e-6, False),
        (REPEATS - 1, MOVED_M + 1e-6, True),
        (REPEATS, MOVED_M - 1e-6, True),
    ],
)
def test_a_picture_may_repeat_while_the_hand_stands_still(repeats, moved, ok):
    watch = PictureWatch()
    for _ in range(repeats + 1):
        watch.feed(42, HERE)
    check = watch.check(HERE + np.array([moved, 0, 0]))
    assert check.ok == ok and (ok or "frozen" in check.message)


def test_another_picture_makes_it_good_again():
    watch = PictureWatch()
    for _ in range(20):
        watch.feed(42, HERE)
    there = HERE + 0.1
    assert not watch.check(there).ok
    watch.feed(43, there)
    assert watch.check(there).ok


def test_a_frozen_camera_with_fresh_stamps_holds_the_moving_arm(rig):
    rig.send(np.tile([0.03, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(5)
    assert rig.status.state is State.EXECUTING
    rig.frozen = True
    rig.cycle(70)
    assert rig.status.state is State.LATCHED and "frozen" in rig.status.reason
    rig.cycle(200)
    assert "frozen" in rig.gate.reset(rig.now)
    rig.frozen = False
    rig.cycle(10)
    assert rig.gate.reset(rig.now) is None


@pytest.mark.parametrize(
    "change", [{"width": 64, "step": 192, "size": 24576}, {"encoding": "bgr8"}]
)
def test_pictures_of_another_kind_hold_and_latch_until_a_person_accepts_them(rig, change):
    rig.send(np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(5)
    rig.picture_kind = change
    rig.cycle(10)
    assert rig.status.state is State.LATCHED and not rig.moving()
    assert "the first ones were 128 x 128 rgb8" in rig.status.reason
    assert rig.gate.reset(rig.now) is None
    rig.cycle(101)
    assert rig.send() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 49151}, "has 49151 bytes, expected 128 rows of 384"),
        ({"height": 0, "size": 0}, "size is 128 x 0"),
        ({"width": 2**32 - 1}, "size is 4294967295 x 128"),
        ({"step": 0, "size": 0}, "rows of 0 bytes"),
    ],
)
def test_an_impossible_picture_is_dropped_and_does_not_count(rig, change, words):
    assert words in rig.gate.on_camera(rig.now, rig.now.ros, rig.picture(**change))
    rig.picture_kind = change
    rig.cycle(40)
    assert rig.status.state is State.HOLD and words in rig.status.reason
