"""A plan is given more time where plans come late, and less again where they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.planning.pace import Pace

STEP_S = 0.2


@pytest.mark.parametrize(
    ("took_s", "steps"), [(0.3, 4), (0.75, 4), (0.9, 5), (0.99, 5), (1.1, 5), (9.0, 5)]
)
def test_it_comes_to_what_plans_take_and_leaves_something_new_to_do(took_s, steps):
    pace = Pace(4, 8, STEP_S, 8)
    for _ in range(10):
        late = took_s > pace.seconds
        pace.too_late() if late else pace.in_time(took_s)
    assert pace.steps == steps
    assert pace.candidates == (8 if took_s <= 0.99 else 4)


@pytest.mark.parametrize(("one_s", "candidates"), [(0.05, 8), (0.12, 7), (0.14, 6), (0.2, 4)])
def test_plans_that_come_too_late_all_the_same_are_of_fewer_candidates_as_many_as_it_takes(
    one_s, candidates
):
    pace = Pace(4, 8, STEP_S, 8)
    pace.too_late()
    pace.too_late()
    assert (pace.steps, pace.candidates) == (5, 4)
    for _ in range(10):
        pace.in_time(one_s * pace.candidates)
    assert pace.candidates == candidates


@given(
    st.integers(1, 8), st.integers(2, 64), st.integers(1, 64), st.lists(st.floats(0, 3))
)  # fmt: skip
def test_it_is_never_below_what_was_asked_for_and_quick_plans_bring_it_back(
    least, horizon, candidates, took
):
    pace = Pace(least, horizon, STEP_S, candidates)
    for took_s in took:
        pace.too_late() if took_s > pace.seconds else pace.in_time(took_s)
        assert least <= pace.steps <= max(least, horizon - 3)
        assert candidates / 2 <= pace.candidates <= candidates
    for _ in range(128):
        pace.in_time(0.0)
    assert (pace.steps, pace.candidates) == (least, candidates)
