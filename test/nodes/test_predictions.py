import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

from whale_ros.msg import Prediction
from whale_ros.nodes.predictions import why_unusable
from whale_ros.srv import Predict


def answer(*predictions, **more):
    return Predict.Response(success=True, predictions=list(predictions), **more)


def test_an_answer_for_what_was_asked_is_usable():
    far, near = ([float(steps)] * 8 for steps in (9, 2))
    both = answer(
        Prediction(candidate_id="a", goal_distance=far),
        Prediction(candidate_id="b", goal_distance=near),
    )
    assert why_unusable(both, ["a", "b"]) == ""
    assert why_unusable(answer(Prediction(candidate_id="a")), ["a"]) == ""


def test_others_are_refused_by_name():
    a, b = (Prediction(candidate_id=name, goal_distance=[1.0] * 8) for name in "ab")
    refused = Predict.Response(message="not calibrated", predictions=[a])
    assert "refused: not calibrated" in why_unusable(refused, ["a"])
    for others in ([], ["b"], ["b", "a"], ["a", "b", "c"]):
        assert f"asked was {others}" in why_unusable(answer(a, b), others)


@pytest.mark.parametrize("name", ["goal_distance", "steps_to_goal"])
def test_candidates_that_cannot_be_compared_are_refused(name):
    a, b = Prediction(candidate_id="a"), Prediction(candidate_id="b")
    setattr(a, name, [1.0] * 8)
    assert f"{name} of [0, 8] steps" in why_unusable(answer(a, b), ["a", "b"])
