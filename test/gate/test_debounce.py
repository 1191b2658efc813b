from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.check import Check
from whale_ros.gate.debounce import Debounce

# What is wrong in a cycle: names of checks; capitals are urgent.
cycles = st.lists(st.sets(st.sampled_from("abU"), max_size=2), max_size=40)


def checks(bad):
    return [Check(name, name not in bad, 0.0, 0.0, "", urgent=name == "U") for name in "abU"]


def is_tripped(history, trip, release):
    """By looking back over all cycles, the last one first."""
    for end in range(len(history), 0, -1):
        past = history[:end]
        urgent = "U" in past[-1]
        if urgent or (len(past) >= trip and set.intersection(*past[-trip:])):
            return True
        if len(past) >= release and not any(past[-release:]):
            return False
    return True


@given(cycles, st.integers(1, 4), st.integers(1, 5))
def test_one_check_that_is_bad_for_long_enough_trips_and_all_that_are_good_release(
    history, trip, release
):
    debounce = Debounce(trip, release)
    for end, bad in zip(count(1), history, strict=False):
        failing = debounce.update(checks(bad))
        assert {check.name for check in failing} == bad
        assert debounce.tripped == is_tripped(history[:end], trip, release)


def test_it_starts_tripped_and_counts_good_cycles_in_a_row():
    debounce = Debounce(2, 3)
    assert debounce.tripped and debounce.good == 0
    debounce.update(checks("a"))
    for good in (1, 2, 3, 4):
        assert debounce.tripped == (good <= 3)
        debounce.update(checks(""))
        assert debounce.good == good
    assert not debounce.tripped
    debounce.update(checks("a"))
    assert debounce.good == 0 and not debounce.tripped


def test_two_checks_that_are_bad_in_turns_do_not_add_up():
    debounce = Debounce(2, 1)
    debounce.update(checks(""))
    for bad in "abababab":
        debounce.update(checks(bad))
        assert not debounce.tripped
