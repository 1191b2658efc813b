"""Sequences are judged without being executed: the real planner and the real world model, with a
camera and an arm that the test plays."""

import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.imagination.calibration import CALIBRATION, load_calibration, save_calibration
from whale_ros.msg import ApprovedChunk, CandidateSet, GateStatus, PlanDecision
from whale_ros.nodes.images import from_array
from whale_ros.nodes.sequences import seconds, to_message
from whale_ros.srv import ScreenActions

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[2]
SPACE = ActionSpace()
HORIZON, CANDIDATES, LIMIT_S = 8, 3, 3.0


class Surroundings:
    """A camera, an arm at rest and a gate in mode hold, for as long as the test waits."""

    def __init__(self, ros):
        self._ros = ros
        self._rng = np.random.default_rng(0)
        node = ros.node
        self._images = node.create_publisher(Image, "camera/image", 1)
        self._poses = node.create_publisher(PoseStamped, "ee_pose", qos_profile_sensor_data)
        self._gates = node.create_publisher(GateStatus, "gate/status", 1)
        self._commands = node.create_publisher(TwistStamped, "arm/twist_command", 1)
        self._commands = node.create_publisher(TwistStamped, "arm/twist_command", 1)
        self._timer = node.create_timer(0.1, self._speak)
        self.decisions = ros.listen(PlanDecision, "planner/decision")
        self.chunks = ros.listen(ApprovedChunk, "approved_chunk")
        self.client = node.create_client(ScreenActions, "planner/screen_actions")

    def _speak(self):
        stamp = self._ros.node.get_clock().now().to_msg()
        image = from_array(self._rng.integers(0, 256, (128, 128, 3), np.uint8), "rgb8")
        image.header.stamp, image.header.frame_id = stamp, "camera"
        self._images.publish(image)
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base"
        pose.pose.position.y, pose.pose.position.z = 0.6, 0.2
        self._poses.publish(pose)
        self._gates.publish(GateStatus(state=GateStatus.HOLD, mode=GateStatus.MODE_HOLD))
        command = TwistStamped()
        command.header.stamp = stamp
        self._commands.publish(command)
        rest = TwistStamped()
        rest.header.stamp = stamp
        self._commands.publish(rest)

    def start(self, *sequences, **request):
        """Ask, and go on; the future of the answer."""
        question = ScreenActions.Request(**request)
        question.candidate_set = CandidateSet(source="test", candidates=list(sequences))
        return self.client.call_async(question)

    def answer(self, future):
        self._ros.wait(future.done, "an answer")
        answer = future.result()
        if not answer.success:
            assert answer.message and not any(answer.trusted) and not answer.predictions
        return answer

    def screen(self, *sequences, **request):
        answer = self.answer(self.start(*sequences, **request))
        assert len(answer.trusted) == len(answer.verdicts) == len(sequences)
        return answer

    def judge(self, *sequences, **request):
        """An answer with success; on a busy machine images may be too late for the first one."""

        def found():
            return next((a for a in [self.screen(*sequences, **request)] if a.success), None)

        return self._ros.wait(found, "a screening", 60)


@pytest.fixture
def around(ros, start, checkpoint, tmp_path):
    parameters = {
        "candidates": CANDIDATES,
        "horizon": HORIZON,
        "screening_timeout_s": LIMIT_S,
        "policy_timeout_s": 10.0,
        "workspace_low": "[-0.32, 0.38, 0.03]",
        "workspace_high": "[0.32, 0.92, 0.42]",
    }
    start("planner", *(part for k, v in parameters.items() for part in ("-p", f"{k}:={v}")))
    around = Surroundings(ros)
    ros.wait(around.client.service_is_ready, "the planner")
    return around


def moving(dx_m=0.01, steps=HORIZON):
    actions = np.zeros((steps, DIM))
    actions[:, 0] = dx_m
    return actions


def sequence(actions, name="s", start_s=0.0, frame="base"):
    """To begin now, unless it says when."""
    return to_message(actions, name, start_s, SPACE, frame)


def test_each_sequence_gets_the_verdict_of_the_planner_and_nothing_moves(
    ros, start, checkpoint, around, domain_id
):
    start("world_model", "-p", f"checkpoint:={checkpoint}")
    around.judge(sequence(moving()))

    def now():
        return ros.node.get_clock().now().nanoseconds * 1e-9

    answer = around.judge(
        sequence(moving(), "good"), sequence(moving(0.045), "far"), return_frames=True
    )
    assert answer.message == ""
    assert list(answer.trusted) == [True, False]
    assert answer.verdicts[0] == "passed"
    assert "rejected: action 7 ends at (0.360, 0.600, 0.200) m" in answer.verdicts[1]
    assert answer.threshold == 1.0 and 0 < answer.latency_s < LIMIT_S
    assert 0 < now() - seconds(answer.observation_stamp) < LIMIT_S + 1
    assert [p.candidate_id for p in answer.predictions] == ["good", "far"]
    for prediction, trusted in zip(answer.predictions, answer.trusted, strict=True):
        assert 0 < prediction.uncertainty <= 1 and prediction.trusted == trusted
        assert np.isfinite(prediction.entropy).all() and len(prediction.entropy) == HORIZON
        assert list(prediction.took_part) == [0] * 7 + [15]
        assert [(f.width, f.height) for f in prediction.frames] == [(32, 32)] * HORIZON

    # Missing sequences and missing actions are added, so that the threshold counts.
    short = around.judge(sequence(moving(steps=3)), every_step=True)
    assert list(short.trusted) == [True] and short.threshold == 1.0
    (prediction,) = short.predictions
    assert list(prediction.took_part) == [15] * HORIZON and not prediction.frames

    broken = moving()
    broken[3, 1] = math.nan
    rejected = [
        (sequence(broken, "broken"), "action 3 holds nan at index 1"),
        (sequence(moving(0.06)), "action 0 moves 0.06"),
        (sequence(moving(), frame="tool0"), "frame is 'tool0', expected 'base'"),
        (sequence(moving(steps=9)), "9 actions, at most 8 are imagined (parameter horizon"),
        (sequence(moving(), start_s=now() - 60), "allowed is -10 to 10 s"),
        (sequence(moving(), start_s=now() + 60), "policy_timeout_s"),
    ]
    for wrong, words in rejected:
        answer = around.judge(wrong, sequence(moving(), start_s=now()))
        assert list(answer.trusted) == [False, True], answer.verdicts
        assert answer.verdicts[0].startswith("rejected: ") and words in answer.verdicts[0]
        assert math.isnan(answer.predictions[0].uncertainty) and not answer.predictions[0].trusted
    alone = around.screen(sequence(broken))
    assert alone.success and not alone.trusted[0] and math.isnan(alone.threshold)

    for count in (0, CANDIDATES + 1):
        answer = around.screen(*[sequence(moving())] * count)
        assert not answer.success and f"{count} sequences, expected 1 to 3" in answer.message

    def both():
        futures = [around.start(sequence(moving()), every_step=True) for _ in range(2)]
        answers = [around.answer(future) for future in futures]
        return answers if any(answer.success for answer in answers) else None

    first, second = ros.wait(both, "an answer to one of two at once")
    assert first.success != second.success
    assert "another screening" in first.message + second.message

    def printed():
        example = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "screen_actions.py")],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
            stdout=subprocess.PIPE,
            text=True,
        )
        ros.wait(lambda: example.poll() is not None, "the example")
        return example.stdout.read()

    lines = ros.wait(printed, "verdicts of the example", 60)
    assert "straight" in lines and "wild" in lines and "threshold 1.000" in lines

    assert not around.chunks
    assert not any(decision.candidates for decision in around.decisions)


def test_without_a_sound_world_model_the_answer_comes_in_time_and_nothing_is_trusted(
    ros, start, checkpoint, around, tmp_path
):
    began = time.monotonic()
    answer = around.screen(sequence(moving()))
    assert "nobody publishes world_model/uncertainty" in answer.message
    assert time.monotonic() - began < LIMIT_S

    strict = load_calibration(checkpoint / CALIBRATION)
    strict = replace(strict, scores={task: (0.01,) * 40 for task in strict.scores})
    save_calibration(tmp_path / "strict.json", strict)
    model = start(
        "world_model",
        *("-p", f"checkpoint:={checkpoint}", "-p", f"calibration:={tmp_path / 'strict.json'}"),
    )
    answer = around.judge(sequence(moving()))
    assert not answer.trusted[0] and "is above 0.005" in answer.verdicts[0]

    model.kill()
    began = time.monotonic()
    around.decisions.clear()
    asked = around.start(sequence(moving()))
    ros.wait(lambda: len(around.decisions) >= 3, "decisions of the planner meanwhile")
    assert not asked.done()
    answer = around.answer(asked)
    assert LIMIT_S <= time.monotonic() - began < LIMIT_S + 2
    assert "did not answer within 3 s (screening_timeout_s)" in answer.message
    answer = around.screen(sequence(moving()))
    assert "nothing was heard of the world model" in answer.message
    assert not around.chunks


def test_a_client_that_leaves_before_its_answer_does_no_harm(ros, start, checkpoint, around):
    model = start("world_model", "-p", f"checkpoint:={checkpoint}")
    around.judge(sequence(moving()))
    model.kill()
    around.start(sequence(moving()))
    ros.spin(0.2)
    leaving, around.client = (
        around.client,
        ros.node.create_client(ScreenActions, "planner/screen_actions"),
    )
    ros.wait(around.client.service_is_ready, "the planner")
    assert "another screening" in around.screen(sequence(moving())).message
    ros.node.destroy_client(leaving)
    ros.spin(LIMIT_S + 0.5)
    assert "nothing was heard of" in around.screen(sequence(moving())).message
