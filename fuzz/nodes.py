"""What planner, world model, policy and operator are told by messages: none of it ends them.

The first byte of an input says which topic of the node the rest comes by.
"""

from __future__ import annotations

import functools
import os
from typing import Any
from unittest import mock

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.serialization import serialize_message
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import Image

from fuzz import gate_messages, messages
from fuzz.messages import SPACE, read_message
from whale_ros.imagination.live import NotReady
from whale_ros.msg import (
    ApprovedChunk,
    CandidateSet,
    GateStatus,
    PlanDecision,
    Prediction,
    SimState,
    Uncertainty,
)
from whale_ros.nodes.commands import PoseDifferences
from whale_ros.nodes.gate_messages import to_pose
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.operator import Operator
from whale_ros.nodes.planner import PlannerNode
from whale_ros.nodes.processes import isolate
from whale_ros.nodes.scripted_policy import ScriptedPolicyNode
from whale_ros.nodes.sequences import to_message
from whale_ros.nodes.world_model import WorldModelNode
from whale_ros.srv import Predict, ScreenActions

THRESHOLD = 0.5
STATE = SimState(task="push-v3", observation=[0.0, 0.6, 0.2, 1.0, *[0.1] * 35])


def planner(data: bytes) -> None:
    node = _node(PlannerNode)
    if _hear(node, data):
        node._tick()
        node._report()
        assert 0 <= node._gripper <= 1
        assert node._goal is None or np.isfinite(node._goal.position).all()


def predictions(data: bytes) -> None:
    """What the world model answers to the planner. Approved is only what it is sure of."""
    answer, node = read_message(data, Predict.Response), _node(PlannerNode)
    if answer is None:
        return
    node._on_pose(_pose())
    node._ask(node._now())
    question, sent = node._question, node._chunks_sent
    for name, prediction in zip(question.names, answer.predictions, strict=False):
        prediction.candidate_id = name
    question.answer.set_result(answer)
    node._decide(question, question.settled.start_s)
    node._predict.remove_pending_request(question.answer)
    node._question = node._running = None
    if node._chunks_sent > sent:
        uncertainties = [prediction.uncertainty for prediction in answer.predictions]
        assert answer.success and np.isfinite(answer.threshold)
        assert any(0 < uncertainty <= answer.threshold for uncertainty in uncertainties)


def screened(data: bytes) -> None:
    """Sequences to be screened, while the world model cannot be asked: none is trusted."""
    request = read_message(data, ScreenActions.Request)
    if request is None:
        return
    response = ScreenActions.Response()
    try:
        _node(PlannerNode)._screening._screen(request, response).send(None)
    except StopIteration:
        count = len(request.candidate_set.candidates)
        assert len(response.trusted) == len(response.verdicts) == count
        assert not any(response.trusted)
        return
    raise AssertionError("the world model is asked, and there is none")


def world_model(data: bytes) -> None:
    node = _node(WorldModelNode)
    if _hear(node, data):
        try:
            history = node.command_history()
        except NotReady:
            return
        assert history.actions(gate_messages.NOW, SPACE.step_s, 6).shape == (6, 7)


def pose_command(data: bytes) -> None:
    """Poses as commands, of which the world model reads velocities."""
    message = read_message(data, PoseStamped)
    if message is None:
        return
    differences = PoseDifferences()
    for each in (_pose(), message, _pose(), message):
        twist = differences.twist(each)
        assert twist is None or twist[1].shape == (6,)


def scripted_policy(data: bytes) -> None:
    node = _node(ScriptedPolicyNode)
    node._on_state(STATE)
    if _hear(node, data):
        node._propose()


def operator(data: bytes) -> None:
    node = _node(Operator)
    if _hear(node, data):
        assert node.explain() or node.all_ready()


def _hear(node: LeanNode, data: bytes) -> bool:
    """Whether it was a message at all."""
    subscriptions = _heard(node)
    subscription = subscriptions[(data or b"\0")[0] % len(subscriptions)]
    message = read_message(data[1:], subscription.msg_type)
    if message is None:
        return False
    subscription.callback(message)
    return True


def _heard(node: LeanNode) -> list[Subscription]:
    ours = [s for s in node.subscriptions if s.topic_name not in ("/clock", "/parameter_events")]
    return sorted(ours, key=lambda subscription: subscription.topic_name)


# ---- nodes, one of each, on this machine and in a domain of their own: they publish chunks


@functools.cache
def _node(kind: type) -> Any:
    """Planner active; world model configured: it has a model, and no thread that asks it."""
    if not rclpy.ok():
        with mock.patch.dict(os.environ):
            isolate()
            rclpy.init(args=["--ros-args", "-p", "world_model:adaptive:=true"])
    node = kind()
    if isinstance(node, LifecycleNode):
        node.trigger_configure()
    if kind is PlannerNode:
        node.trigger_activate()
    return node


# ---- where to begin


def for_planner() -> list[bytes]:
    return _seeds(_node(PlannerNode))


def for_world_model() -> list[bytes]:
    return _seeds(_node(WorldModelNode))


def for_scripted_policy() -> list[bytes]:
    return _seeds(_node(ScriptedPolicyNode))


def for_operator() -> list[bytes]:
    return _seeds(_node(Operator))


def answers() -> list[bytes]:
    node = _node(PlannerNode)
    count, horizon = node._values["candidates"], node._values["horizon"]
    numbers = np.linspace(0.1, 0.9, horizon)
    imagined = [
        Prediction(
            uncertainty=0.1 + k / 10,
            disagreement=numbers,
            took_part=[3] * horizon,
            goal_distance=numbers * (k + 1),
        )
        for k in range(count)
    ]
    answer = Predict.Response(success=True, predictions=imagined, threshold=THRESHOLD)
    refusal = Predict.Response(message="not ready")
    return [serialize_message(each) for each in (answer, refusal)]


def screenings() -> list[bytes]:
    sequences = [to_message(np.zeros((n, 7)), "a", 0.0, SPACE, "base") for n in (1, 8, 9)]
    request = ScreenActions.Request(candidate_set=CandidateSet(candidates=sequences))
    return [serialize_message(request)]


def poses() -> list[bytes]:
    return gate_messages.poses()


def _seeds(node: LeanNode) -> list[bytes]:
    """One of each topic, with content where it would not be read without."""
    filled: dict[type, bytes] = {
        ApprovedChunk: gate_messages.approved_chunks()[0],
        CandidateSet: messages.candidate_sets()[0],
        GateStatus: serialize_message(GateStatus(state=GateStatus.EXECUTING)),
        PlanDecision: serialize_message(
            PlanDecision(scores=[0.1], predictions=[Prediction(uncertainty=0.2)])
        ),
        SimState: serialize_message(STATE),
        Uncertainty: gate_messages.uncertainties()[0],
        Image: messages.images()[0],
        PoseStamped: gate_messages.poses()[0],
    }
    seeds = []
    for number, subscription in enumerate(_heard(node)):
        kind = subscription.msg_type
        seeds.append(bytes([number]) + (filled.get(kind) or serialize_message(kind())))
    return seeds


def _pose() -> Any:
    message = read_message(gate_messages.poses()[0], PoseStamped)
    message.header.stamp = Time(seconds=gate_messages.NOW).to_msg()
    assert to_pose(message)
    return message
