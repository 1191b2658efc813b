from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.approvals import REMEMBERED_SESSIONS, Approvals


@given(st.lists(st.integers(-3, 9), max_size=30))
def test_in_a_session_sequence_numbers_only_go_up(numbers):
    approvals, highest = Approvals(), -1
    for number in numbers:
        reason = approvals.why_replayed("a", number)
        assert (reason is None) == (number > highest)
        if reason:
            assert reason == f"its sequence {number} was used, the last one was {highest}"
        highest = max(highest, number)


def test_a_new_session_begins_with_any_number_and_replaces_the_old_one():
    approvals = Approvals()
    assert approvals.why_replayed("a", 7) is None
    assert approvals.why_replayed("b", 0) is None
    assert approvals.is_second_planner("a") and not approvals.is_second_planner("b")
    assert approvals.why_replayed("a", 8) == "its session 'a' was replaced by 'b': two planners"
    assert approvals.why_replayed("b", 1) is None, "the new one goes on"


def test_at_first_nobody_has_spoken():
    assert (Approvals().session, Approvals().sequence) == ("", -1)


def test_no_session_is_no_planner():
    approvals = Approvals()
    assert approvals.why_replayed("", 1) == "its session is empty"
    assert approvals.why_replayed("a", 1) is None
    assert not approvals.is_second_planner(""), "nobody was replaced"


def test_many_replaced_sessions_are_remembered_but_not_all_for_ever():
    approvals = Approvals()
    for number in range(REMEMBERED_SESSIONS + 1):
        assert approvals.why_replayed(f"s{number}", 0) is None
    assert REMEMBERED_SESSIONS == 64 and approvals.is_second_planner("s0")
    assert approvals.why_replayed("one more", 0) is None
    assert not approvals.is_second_planner("s0") and approvals.is_second_planner("s1")


def test_after_a_reset_who_was_replaced_may_come_back():
    approvals = Approvals()
    approvals.why_replayed("a", 3)
    approvals.why_replayed("b", 0)
    approvals.forget_replaced()
    assert approvals.why_replayed("a", 0) is None
    assert approvals.is_second_planner("b")
