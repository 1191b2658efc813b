"""What the world model answers to those who asked it to imagine candidates."""

from __future__ import annotations

from collections.abc import Sequence

from whale_ros.srv import Predict

OF_ALL_OR_NONE = ("goal_distance", "steps_to_goal")  # candidates are compared by them


def why_unusable(answer: Predict.Response, asked: Sequence[str]) -> str:
    """What is wrong with an answer for candidates of these names; empty if nothing is."""
    if not answer.success:
        return f"the world model refused: {answer.message}"
    answered = [prediction.candidate_id for prediction in answer.predictions]
    if answered != list(asked):
        return f"the world model answered for {answered}, asked was {list(asked)}"
    for name in OF_ALL_OR_NONE:
        steps = sorted({len(getattr(prediction, name)) for prediction in answer.predictions})
        if len(steps) > 1:
            return f"the world model answered with {name} of {steps} steps, not as many of each"
    return ""
