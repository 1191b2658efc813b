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
    assert rig.status.state is State.HOLD and "frozen" in rig.status.reason
    rig.cycle(200)
    assert rig.status.state is State.HOLD and "frozen" in rig.status.reason
