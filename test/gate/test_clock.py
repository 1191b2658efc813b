import dataclasses

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
