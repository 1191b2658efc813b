"""Each fault of the camera looks like what it is called, and ends when its time is up."""

import numpy as np
import pytest

from whale_ros.sim.faults import KINDS, CameraFaults


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def look(arm, clock):
    arm.reset("push-v3", 0)
    faults = CameraFaults(clock)

    def look(kind=None, amount=0.0, duration_s=0.0):
        if kind:
            faults.begin(kind, amount, duration_s)
        return faults.look(arm.camera, arm.env.data)

    return look


def move(arm):
    for _ in range(40):
        arm.step(np.array([0.2, 0, 0, 0, 0, 0]), 0.0)


def test_a_frozen_camera_repeats_its_last_picture_while_the_arm_moves(arm, look):
    before = look()
    look("freeze")
    move(arm)
    np.testing.assert_array_equal(look(), before)
    assert not np.array_equal(look("none"), before)


def test_a_blackout_is_black(look):
    assert not look("blackout").any()


def test_light_brightens_and_darkens(look):
    assert look("light", 0.3).mean() < 0.7 * look("none").mean() < 0.7 * look("light", 2.0).mean()


def test_a_shift_moves_the_picture_by_more_the_further_it_is(look):
    clean = look().astype(int)
    near = np.abs(look("shift", 0.02) - clean).mean()
    far = np.abs(look("shift", 0.2) - clean).mean()
    assert 0 < near < far


def test_dropping_loses_about_the_share_that_was_asked_for(look):
    lost = [look("drop", 0.3) is None for _ in range(300)]
    assert 0.2 < np.mean(lost) < 0.4


def test_a_stopped_camera_gives_nothing(look):
    assert look("stop") is None


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"none"}))
def test_every_fault_ends_when_its_time_is_up(look, clock, arm, kind):
    look()
    look(kind, 1.0 if kind == "drop" else 0.4, duration_s=2.0)
    move(arm)
    clock.now += 1.99
    during = look()
    clock.now += 0.01
    after = look()
    assert after is not None and not np.array_equal(during, after)
    np.testing.assert_array_equal(after, arm.render())


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (("smear", 0.0, 0.0), "smear.*freeze, blackout"),
        (("shift", 9.0, 0.0), "shift: amount 9, allowed -0.5"),
        (("light", -1.0, 0.0), "light: amount -1"),
        (("drop", np.nan, 0.0), "drop: amount nan"),
        (("freeze", 0.0, -1.0), "duration_s is -1"),
        (("freeze", 0.0, np.inf), "duration_s is inf"),
    ],
)
def test_nonsense_is_refused_by_name(call, named):
    with pytest.raises(ValueError, match=named):
        CameraFaults().begin(*call)
