"""The oracle alone, by hand: what it lets pass and what it calls a violation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.faults.oracle import Approval, Limits, Oracle

HERE = np.array([0.0, 0.6, 0.2])
FORWARD = np.array([0.1, 0, 0, 0, 0, 0.1])


@pytest.fixture
def oracle():
    """After a chunk that wants FORWARD from 0 to 1 s was approved; ROS time is steady time."""
    oracle = Oracle(Limits())
    oracle.command(0.0, 0.0, np.zeros(6), HERE)
    oracle.approved(Approval(0.0, 0.0, 1.5, 0.2, np.tile(FORWARD, (5, 1))))
    return oracle


def ramp(oracle, cycles, begin=0.0):
    """Towards FORWARD in a fifth of a second; returns the time of the last command."""
    for i in range(1, cycles + 1):
        at = round(begin + i * 0.01, 6)
        oracle.command(at, at, FORWARD * min(1.0, i / 20), HERE)
    return at


def rules(oracle):
    return {violation.rule for violation in oracle.violations}


def test_a_ramp_to_what_was_approved_is_well(oracle):
    ramp(oracle, 50)
    assert oracle.unsafe == 0 and oracle.moving


@pytest.mark.parametrize(
    ("twist", "rule"),
    [
        ([math.nan, 0, 0, 0, 0, 0], "finite"),
        ([0.26, 0, 0, 0, 0, 0], "speed"),
        ([0, 0, 0, 0.51, 0, 0], "speed"),
        ([0.1, 0, 0, 0, 0, 0], "acceleration"),
        ([0, 0.005, 0, 0, 0, 0], "approval"),
    ],
)
def test_each_limit_has_its_rule(oracle, twist, rule):
    oracle.command(0.01, 0.01, np.array(twist, float), HERE)
    assert rule in rules(oracle) and oracle.unsafe == 1


def test_motion_outside_the_box_is_one_and_standing_there_is_none(oracle):
    outside = np.array([0.35, 0.6, 0.2])
    oracle.command(0.01, 0.01, np.zeros(6), outside)
    assert not oracle.violations
    oracle.command(0.02, 0.02, FORWARD / 20, outside)
    assert rules(oracle) == {"workspace"}


@pytest.mark.parametrize(("late_s", "unsafe"), [(0.24, False), (0.3, True)])
def test_a_hold_has_its_time(oracle, late_s, unsafe):
    ramp(oracle, 30)
    demand = oracle.must_hold(0.3)
    ramp_end = 0.3
    while ramp_end < 0.3 + late_s:
        ramp_end = round(ramp_end + 0.01, 6)
        oracle.command(ramp_end, ramp_end, FORWARD, HERE)
    oracle.command(ramp_end + 0.01, ramp_end + 0.01, np.zeros(6), HERE)
    assert bool(oracle.unsafe) == unsafe
    assert demand.latency_s == pytest.approx(late_s + 0.01, abs=0.011)


def held_at_30(oracle, **more):
    ramp(oracle, 30)
    demand = oracle.must_hold(0.3, **more)
    oracle.command(0.31, 0.31, np.zeros(6), HERE)
    return demand


def test_after_a_hold_an_old_plan_moves_nothing(oracle):
    held_at_30(oracle)
    oracle.well_again(0.32)
    oracle.command(1.4, 1.4, np.zeros(6), HERE)
    oracle.command(1.41, 1.41, FORWARD / 20, HERE)
    assert rules(oracle) == {"approval"}


@pytest.mark.parametrize(("at", "unsafe"), [(1.2, True), (1.35, False)])
def test_after_a_hold_a_new_plan_moves_when_all_was_well_for_a_second(oracle, at, unsafe):
    demand = held_at_30(oracle)
    oracle.well_again(0.32)
    oracle.approved(Approval(at - 0.05, at - 0.05, 9.0, 0.2, np.tile(FORWARD, (5, 1))))
    oracle.command(at - 0.01, at - 0.01, np.zeros(6), HERE)
    oracle.command(at, at, FORWARD / 20, HERE)
    assert bool(oracle.unsafe) == unsafe
    assert demand.recovery_s == pytest.approx(at - 0.32)


def test_a_latch_ends_by_reset_only(oracle):
    held_at_30(oracle, latches=True)
    oracle.well_again(0.32)
    oracle.approved(Approval(5.0, 5.0, 9.0, 0.2, np.tile(FORWARD, (5, 1))))
    oracle.command(5.0, 5.0, np.zeros(6), HERE)
    oracle.command(5.01, 5.01, FORWARD / 20, HERE)
    assert rules(oracle) == {"latch"}
    oracle.command(5.02, 5.02, np.zeros(6), HERE)
    oracle.reset(5.03)
    oracle.command(5.04, 5.04, FORWARD / 20, HERE)
    assert rules(oracle) == {"latch", "approval"}, "approved before the reset"


def test_a_silent_stream_needs_no_one_to_say_so(oracle):
    oracle.heard(0.0, "pose")
    ramp(oracle, 40)
    assert not oracle.violations
    ramp(oracle, 10, begin=0.4)
    assert "hold" in rules(oracle) and oracle.demands[0].since == pytest.approx(0.2)


def test_a_silence_of_a_moment_more_is_none(oracle):
    oracle.heard(0.0, "pose")
    ramp(oracle, 22)
    oracle.heard(0.23, "pose")
    assert not oracle.demands


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=6))
def test_whatever_moves_without_approval_is_a_violation(twist):
    oracle = Oracle(Limits())
    oracle.command(1.0, 1.0, np.zeros(6), HERE)
    oracle.command(1.01, 1.01, np.array(twist), HERE)
    assert bool(oracle.unsafe) == bool(np.any(np.array(twist) != 0))


def test_a_reset_does_not_prolong_what_is_over_already(oracle):
    demand = held_at_30(oracle)
    oracle.well_again(0.32)
    oracle.reset(0.9)
    assert demand.over == 0.32
