"""When nothing passes: hold, look further around once, or ask."""

import pytest

from whale_ros.planning.impasse import WIDENED, Impasse


@pytest.mark.parametrize(
    ("reaction", "widths"),
    [
        ("hold", [1, 1, 1, 1]),
        ("widen", [1, WIDENED, 1, 1]),
        ("ask", [1, WIDENED, 1, 1]),
    ],
)
def test_how_far_the_plans_after_a_failure_look_around(reaction, widths):
    impasse, seen = Impasse(reaction), []
    for _ in widths:
        seen.append(impasse.width)
        impasse.decided(passed=False)
    assert seen == widths


@pytest.mark.parametrize("reaction", ["hold", "widen", "ask"])
def test_only_ask_waits_for_an_operator_and_only_after_looking_further_around(reaction):
    impasse = Impasse(reaction)
    impasse.decided(passed=False)
    assert not impasse.waits_for_operator
    impasse.decided(passed=False)
    assert impasse.waits_for_operator == (reaction == "ask")
    impasse.go_on()
    assert not impasse.waits_for_operator and impasse.width == 1


def test_after_a_success_it_looks_further_around_again():
    impasse = Impasse("widen")
    for passed in (False, False, True, False):
        impasse.decided(passed)
    assert impasse.width == WIDENED
