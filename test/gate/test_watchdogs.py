import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.check import Now
from whale_ros.gate.watchdogs import Watchdog

T, ROS = 1000.0, 1_700_000_000.0


def watchdog():
    return Watchdog("camera", timeout_s=0.5, max_stamp_age_s=0.25, future_tolerance_s=0.125)


def at(seconds):
    return Now(T + seconds, ROS + seconds)


def test_it_is_bad_until_the_first_message_and_says_so():
    check = watchdog().check(at(0))
    assert (check.name, check.ok, check.value, check.threshold) == ("camera", False, math.inf, 0.5)
    assert check.message == "no camera message yet"


# Halves and quarters are exact: what is at its limit is.
@pytest.mark.parametrize(("age", "ok"), [(0.0, True), (0.5, True), (0.500001, False), (9, False)])
def test_a_message_counts_until_its_time_out(age, ok):
    dog = watchdog()
    assert dog.feed(at(0), ROS) is None
    check = dog.check(at(age))
    assert check.ok == ok and check.value == pytest.approx(age, abs=1e-9)
    assert check.message == f"newest camera message is {age:.3f} s old, limit 0.5 s"


def test_a_message_of_the_future_of_the_steady_clock_is_no_sign_of_life():
    dog = watchdog()
    dog.feed(at(1), ROS + 1)
    assert not dog.check(at(0)).ok


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        (ROS + 0.125, None),
        (ROS + 0.126, "its stamp is 0.126 s in the future"),
        (ROS - 0.25, None),
        (ROS - 0.251, "its stamp is 0.251 s old, limit 0.25 s"),
        (0.0, "its stamp is zero"),
        (-1.0, "its stamp is zero"),
        (math.nan, "its stamp is zero"),
        (math.inf, "its stamp is zero"),
    ],
)
def test_stamps_at_their_limits_and_beyond(stamp, reason):
    dog = watchdog()
    assert dog.feed(at(0), stamp) == reason
    assert dog.check(at(0)).ok == (reason is None)
    if reason:
        assert dog.check(at(0)).message == f"no camera message yet; dropped one: {reason}"
        assert math.isnan(dog.stamp)
    else:
        assert dog.stamp == stamp


def test_simulated_time_may_begin_near_zero():
    assert watchdog().feed(Now(T, 0.01), 0.01) is None


def test_what_is_wrong_with_a_message_is_told_until_a_good_one_comes():
    dog = watchdog()
    assert dog.feed(at(0), ROS, "its frame is wrong") == "its frame is wrong"
    assert dog.check(at(0)).message.endswith("; dropped one: its frame is wrong")
    assert dog.feed(at(0), ROS) is None
    assert "dropped" not in dog.check(at(0)).message


@pytest.mark.parametrize(("later", "counts"), [(0.0, False), (-0.01, False), (1e-6, True)])
def test_a_stamp_must_be_newer_than_the_one_before(later, counts):
    dog = watchdog()
    dog.feed(at(0), ROS)
    reason = dog.feed(at(0.1), ROS + later)
    assert reason == (None if counts else "its stamp is not newer than the one before")
    assert dog.age(at(0.1)) == pytest.approx(0.0 if counts else 0.1)


@pytest.mark.parametrize(("silence", "counts"), [(0.5, False), (0.500001, True)])
def test_after_a_time_out_older_stamps_count_again(silence, counts):
    """Or a clock that was set back would shut the stream out."""
    dog = watchdog()
    dog.feed(at(0), ROS)
    back = Now(T + silence, ROS - 50)
    assert (dog.feed(back, ROS - 50) is None) == counts


def test_what_is_forgotten_counts_no_longer_and_the_reason_is_told():
    dog = watchdog()
    dog.feed(at(0), ROS)
    dog.forget("ROS time jumped")
    assert dog.check(at(0)).message == "no camera message since ROS time jumped"
    assert dog.age(at(0)) == math.inf and math.isnan(dog.stamp) and not dog.check(at(0)).ok
    assert dog.feed(at(0), ROS) is None and dog.check(at(0)).ok


@given(st.lists(st.tuples(st.floats(0, 0.3), st.floats(-0.4, 0.2)), max_size=30))
def test_its_age_is_that_of_the_newest_that_counted(messages):
    dog, t, heard, newest = watchdog(), 0.0, -math.inf, -math.inf
    for wait, offset in messages:
        t += wait
        stamp = ROS + t + offset
        in_time = -0.25 <= stamp - at(t).ros <= 0.125
        newer = stamp > newest or at(t).steady - heard > 0.5
        reason = dog.feed(at(t), stamp)
        assert (reason is None) == (in_time and newer)
        if reason is None:
            heard, newest = at(t).steady, stamp
        assert dog.age(at(t)) == at(t).steady - heard
