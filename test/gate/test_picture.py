import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.core import State
from whale_ros.gate.picture import MOVED_M, MOVING_M, REPEATS, KindWatch, Picture, PictureWatch

HERE = np.array([0.0, 0.6, 0.2])


def repeat(watch, times, step_m, picture=42):
    """One picture so many times more, the hand going a step between them; returns its place."""
    at = HERE
    for _ in range(times + 1):
        watch.feed(picture, at)
        at = at + np.array([step_m, 0, 0])
    return at


@pytest.mark.parametrize(
    ("repeats", "step", "ok"),
    [
        (REPEATS, 0.01, False),
        (REPEATS - 1, 0.01, True),
        (REPEATS, (MOVED_M - 1e-4) / (REPEATS + 1), True),
        (200, 0.0, True),
        (200, MOVING_M / 2, False),
    ],
)
def test_a_picture_may_repeat_while_the_hand_stands_still(repeats, step, ok):
    watch = PictureWatch()
    check = watch.check(repeat(watch, repeats, step))
    assert check.ok == ok and (ok or "frozen" in check.message)


@given(st.integers(0, 50), st.integers(0, 3), st.floats(0.0, 0.05))
def test_a_camera_that_shows_the_start_of_a_motion_late_is_not_frozen(rested, late, step):
    watch = PictureWatch()
    repeat(watch, rested, 0.0)
    at = HERE
    for i in range(late + 20):
        at = at + np.array([step, 0, 0])
        watch.feed(42 if i < late else 100 + i, at)
        assert watch.check(at + np.array([step, 0, 0])).ok


@given(st.lists(st.sampled_from([0.0, 0.011]), min_size=12, max_size=40))
def test_pictures_that_come_in_bursts_do_not_hide_that_they_are_frozen(steps):
    watch, at = PictureWatch(), HERE
    watch.feed(42, at)
    for step in steps:
        at = at + np.array([step, 0, 0])
        watch.feed(42, at)
    assert watch.check(at).ok == (np.count_nonzero(steps) < REPEATS)


def test_another_picture_makes_it_good_again_and_rest_does_not():
    watch = PictureWatch()
    there = repeat(watch, 20, 0.01)
    assert not watch.check(there).ok
    for _ in range(20):
        watch.feed(42, there)
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


@pytest.mark.parametrize(
    ("height", "width", "step", "size", "words"),
    [
        (1, 1, 1, 1, None),
        (2, 3, 3, 6, None),
        (2, 3, 9, 18, None),
        (0, 3, 9, 0, "its size is 3 x 0 mono8 with rows of 9 bytes"),
        (2, 0, 9, 18, "its size is 0 x 2 mono8 with rows of 9 bytes"),
        (2, 4, 3, 6, "its size is 4 x 2 mono8 with rows of 3 bytes"),
        (2, 3, 9, 17, "it has 17 bytes, expected 2 rows of 9"),
        (2, 3, 9, 19, "it has 19 bytes, expected 2 rows of 9"),
    ],
)
def test_a_picture_has_rows_that_hold_its_pixels(height, width, step, size, words):
    assert Picture(0, height, width, "mono8", step, size).why_bad() == words


def picture(width=4, encoding="mono8"):
    return Picture(0, 2, width, encoding, 16, 32)


def test_the_kind_is_width_height_and_encoding_and_stays_that_of_the_first():
    watch = KindWatch()
    assert watch.check().ok, "none has come"
    for one, ok in ((picture(), True), (picture(5), False), (picture(), True)):
        watch.feed(one)
        check = watch.check()
        assert (check.name, check.ok, check.value, check.threshold) == (
            "picture_kind", ok, float(not ok), 0.0,
        )  # fmt: skip
        assert check.urgent
    assert check.message == "pictures are 4 x 2 mono8"
    watch.feed(picture(encoding="rgb8"))
    assert watch.check().message == "pictures are 4 x 2 rgb8, the first ones were 4 x 2 mono8"
    watch.accept()
    assert watch.check().ok and watch.check().message == "pictures are 4 x 2 rgb8"
    watch.feed(picture())
    assert not watch.check().ok


def alternate(watch, step_m, times):
    """The hand goes there and back, by exactly the same way each time."""
    there = HERE * 0 + [step_m, 0, 0]
    for number in range(times + 1):
        watch.feed(42, there * (number % 2))
    return there * (times % 2)


@pytest.mark.parametrize(
    ("step_m", "times", "message"),
    [
        (0.004, 5, "the camera showed one picture 6 times"),  # 0.02 m is not more than that
        (0.00401, 4, "the camera showed one picture 5 times"),
        (0.001, 99, "the camera showed one picture 1 times"),  # a millimetre is no motion
        (
            0.00401, 5,
            "the camera showed one picture 6 times while the hand moved 0.020 m: it is frozen",
        ),
        (
            0.0011, 19,
            "the camera showed one picture 20 times while the hand moved 0.021 m: it is frozen",
        ),
    ],
)  # fmt: skip
def test_the_way_of_the_hand_is_measured_and_told(step_m, times, message):
    watch = PictureWatch()
    check = watch.check(alternate(watch, step_m, times))
    assert check.message == message and check.ok == ("frozen" not in message)
    counted = int(message.split(" times")[0].split()[-1]) - 1
    assert (check.name, check.value, check.threshold) == ("picture", counted, 5)
    assert not check.urgent


def test_the_way_since_the_newest_picture_counts_too():
    watch = PictureWatch()
    at = alternate(watch, 0.003, 5)
    assert watch.check(at).ok and watch.check(at + [0.0, 0.0049, 0.0]).ok
    check = watch.check(at + [0.0, 0.0051, 0.0])
    assert not check.ok and "moved 0.020 m" in check.message


def test_where_the_hand_is_not_known_it_has_not_moved():
    watch = PictureWatch()
    for _ in range(50):
        watch.feed(42, None)
    assert watch.check(HERE).ok and watch.check(None).ok and watch.check(None).value == 0


def test_of_another_picture_the_counting_begins_anew():
    watch = PictureWatch()
    alternate(watch, 0.01, 4)
    watch.feed(43, HERE * 0)
    assert watch.check(HERE * 0).value == 0
    watch.feed(43, HERE * 0 + [0.01, 0, 0])
    assert watch.check(HERE * 0 + [0.01, 0, 0]).value == 1
    watch.feed(42, HERE * 0)
    assert watch.check(HERE * 0).value == 0


def test_a_camera_that_is_frozen_since_before_the_first_pose_is_noticed_too():
    watch = PictureWatch()
    watch.feed(42, None)
    assert not watch.check(repeat(watch, REPEATS, 0.01)).ok


def test_before_the_first_picture_nothing_is_said_of_a_freeze():
    assert PictureWatch().check(HERE).message == "the camera showed one picture 1 times"


def test_pictures_that_repeat_while_nobody_knows_where_the_hand_is_do_not_count():
    watch = PictureWatch()
    at = repeat(watch, REPEATS - 1, 0.01)
    for _ in range(3):
        watch.feed(42, None)
    assert watch.check(at).ok
