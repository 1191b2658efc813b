import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.check import Now
from whale_ros.gate.clock import ClockWatch
from whale_ros.gate.core import State

SLOW = np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1))


def words(rig):
    return rig.status.reason


@pytest.mark.parametrize("jump_s", [-0.9, -0.06, 0.06, 0.9])
def test_a_jump_of_ros_time_holds_at_once_and_clears_by_itself(rig, jump_s):
    rig.send(SLOW)
    rig.cycle(5)
    old = rig.chunk()
    rig.skipped_s = jump_s
    rig.cycle(1)
    assert rig.status.state is State.HOLD and not rig.moving()
    assert f"ROS time jumped by {jump_s:+.3f} s" in words(rig)
    rig.cycle(112)
    assert rig.gate.on_chunk(rig.now, old) is not None, "approved in another time"
    assert rig.send() is None
    rig.cycle(2)
    assert rig.moving()


@pytest.mark.parametrize("jump_s", [-0.04, 0.04])
def test_a_clock_that_is_set_right_by_a_little_is_no_jump(rig, jump_s):
    rig.send(SLOW)
    rig.cycle(5)
    rig.skipped_s = jump_s
    rig.cycle(20)
    assert rig.status.state is State.EXECUTING


@pytest.mark.parametrize("jump_s", [-3600.0, -1.1, 1.1, 3600.0])
def test_a_jump_over_a_second_latches(rig, jump_s):
    rig.send(SLOW)
    rig.cycle(5)
    rig.skipped_s = jump_s
    rig.cycle(2)
    assert rig.status.state is State.LATCHED and "ROS time jumped" in words(rig)
    rig.cycle(10)
    assert rig.gate.reset(rig.now) is None
    rig.cycle(101)
    assert rig.send() is None


def test_what_was_heard_before_a_jump_is_forgotten(rig):
    rig.silent = {"camera", "pose", "heartbeat"}
    rig.skipped_s = 0.2
    rig.cycle(1)
    for stream in ("camera", "pose", "heartbeat"):
        assert f"no {stream} message since ROS time jumped" in words(rig)


def test_time_that_stands_still_holds_and_clears_when_it_goes_on(rig):
    rig.send(SLOW)
    rig.cycle(5)
    for _ in range(25):
        rig.skipped_s = round(rig.skipped_s - 0.01, 6)
        rig.cycle(1)
    assert rig.status.state is State.HOLD and "ROS time has stood still" in words(rig)
    rig.cycle(130)
    assert rig.send() is None


def test_simulated_time_that_has_not_begun_is_no_jump_when_it_does():
    clock = ClockWatch(Now(1.0, 0.0))
    clock.look(Now(1.01, 0.0))
    clock.look(Now(1.02, 500.0))
    assert not clock.jumped


@given(st.lists(st.floats(0.0, 5.0), max_size=20))
def test_however_late_the_gate_looks_clocks_that_run_alike_are_no_jump(waits):
    now = Now(5.0, 1_700_000_000.0)
    clock = ClockWatch(now)
    for wait in waits:
        now = dataclasses.replace(now, steady=now.steady + wait, ros=now.ros + wait)
        clock.look(now)
        assert not clock.jumped


# ---- at the limits

EARLY = 1e-30  # so early that what follows is exact


def looked(*moments):
    """The checks after looks at moments (steady, ros)."""
    clock = ClockWatch(Now(*moments[0]))
    for moment in moments[1:]:
        clock.look(Now(*moment))
    return clock.checks()


@pytest.mark.parametrize(
    ("steady", "ros", "jump_s", "ok"),
    [
        (0.0, 0.05, 0.05, True),
        (0.0, 0.051, 0.051, False),
        (0.25, 0.25, 0.0, True),
        (0.25, 0.5, 0.25, False),
        (0.25, 0.125, -0.125, False),
        (0.05, EARLY, -0.05, True),
        (3.0, 4.0, 1.0, False),
        (0.25, math.nan, math.nan, False),
    ],
)
def test_a_jump_is_by_how_much_ros_time_leaves_the_steady_clock(steady, ros, jump_s, ok):
    check = looked((0.0, EARLY), (steady, ros))[1]
    assert check.ok == ok and check.urgent
    assert (check.name, check.threshold) == ("clock_jump", 0.05)
    assert check.value == pytest.approx(abs(jump_s), abs=1e-12, nan_ok=True)
    assert check.message == (
        f"ROS time jumped by {jump_s:+.3f} s, limit 0.05 s "
        "(simulated time must come on /clock 50 times a second)"
    )


def test_a_jump_is_told_once_and_before_the_first_look_there_was_none():
    assert looked((5.0, 7.0))[1].value == 0.0
    assert not looked((1.0, 7.0), (2.0, 9.0))[1].ok
    assert looked((1.0, 7.0), (2.0, 9.0), (3.0, 10.0))[1].ok


@pytest.mark.parametrize(("still_s", "ok"), [(0.0, True), (0.2, True), (0.20001, False)])
def test_ros_time_may_stand_still_for_a_moment(still_s, ok):
    check = looked((0.0, 7.0), (still_s, 7.0))[0]
    assert check.ok == ok and not check.urgent and check.value == still_s
    assert (check.name, check.threshold) == ("clock", 0.2)
    assert check.message == f"ROS time has stood still for {still_s:.3f} s, limit 0.2 s"


@pytest.mark.parametrize(
    ("advance_s", "still_s"), [(0.5e-6, 2.0), (1.5e-6, 1.0), (-1.5e-6, 1.0), (2.0, 1.0)]
)
def test_what_is_more_than_rounding_is_an_advance(advance_s, still_s):
    assert looked((0.0, 7.0), (1.0, 7.0 + advance_s), (2.0, 7.0 + advance_s))[0].value == still_s


def test_a_microsecond_is_rounding():
    assert looked((0.0, EARLY), (1.0, 1e-6), (2.0, 1e-6))[0].value == 2.0
