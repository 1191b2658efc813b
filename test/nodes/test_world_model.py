"""The world-model node as a process of its own, with a camera of the test."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState

from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.imagination.calibration import (
    CALIBRATION,
    load_calibration,
    save_calibration,
)
from whale_ros.msg import CandidateSet, GateStatus, PlanDecision, Prediction, Uncertainty
from whale_ros.nodes.images import from_array
from whale_ros.nodes.sequences import to_message
from whale_ros.srv import LoadCheckpoint, Predict
from whale_ros.world_model.checkpoint import CARD, WEIGHTS, read_card, save_checkpoint

pytestmark = pytest.mark.ros

SPACE = ActionSpace()
PERIOD_S = 0.1


class Camera:
    """Publishes random pictures at 10 Hz while the test waits, and the gate's command to rest."""

    def __init__(self, ros, size: int = 128) -> None:
        self._ros = ros
        self._rng = np.random.default_rng(0)
        self.size = size
        self.frame = "camera"
        self.commands = True
        self._publisher = ros.node.create_publisher(Image, "camera/image", 1)
        self._gate = ros.node.create_publisher(TwistStamped, "arm/twist_command", 1)
        self._timer = ros.node.create_timer(PERIOD_S, self._publish)

    def _publish(self) -> None:
        picture = self._rng.integers(0, 256, (self.size, self.size, 3), np.uint8)
        message = from_array(picture, "rgb8")
        message.header.stamp = self._ros.node.get_clock().now().to_msg()
        message.header.frame_id = self.frame
        self._publisher.publish(message)
        if self.commands:
            command = TwistStamped()
            command.header.stamp = message.header.stamp
            self._gate.publish(command)

    def stop(self) -> None:
        self._ros.node.destroy_timer(self._timer)


@pytest.fixture
def heartbeats(ros, start, checkpoint) -> list[Uncertainty]:
    """Start the node; every heartbeat it sends."""
    start("world_model", "-p", f"checkpoint:={checkpoint}")
    return ros.listen(Uncertainty, "world_model/uncertainty", qos_profile_sensor_data)


def wait_for_message(ros, heartbeats, *words: str) -> Uncertainty:
    def found():
        return next((h for h in heartbeats if all(w in h.message for w in words)), None)

    heartbeat = ros.wait(found, f"a heartbeat that says {words}", 60)
    assert not heartbeat.ready
    assert math.isnan(heartbeat.uncertainty) and math.isnan(heartbeat.familiarity_error)
    heartbeats.clear()
    return heartbeat


def wait_until_ready(ros, heartbeats) -> Uncertainty:
    heartbeats.clear()
    return ros.wait(lambda: next((h for h in heartbeats if h.ready), None), "readiness", 60)


def request_for(ros, candidates, start_in_s: float = 0.1, change=None, **request):
    """To have (H, 7) actions imagined; `change` may spoil their messages first."""
    start_s = ros.node.get_clock().now().nanoseconds * 1e-9 + start_in_s
    messages = [
        to_message(np.asarray(actions), f"c{i}", start_s, SPACE, "base")
        for i, actions in enumerate(candidates)
    ]
    if change:
        change(messages[-1])
    question = Predict.Request(**request)
    question.candidate_set = CandidateSet(source="test", candidates=messages)
    return question


def ask(ros, candidates, *arguments, **request) -> Predict.Response:
    question = request_for(ros, candidates, *arguments, **request)
    return ros.call(Predict, "world_model/predict", question)


def moving(count: int, horizon: int = 8) -> np.ndarray:
    """(count, horizon, 7) within the limits."""
    actions = np.random.default_rng(1).uniform(-0.02, 0.02, (count, horizon, DIM))
    actions[..., 6] = 0
    return actions


def test_it_says_what_is_missing_until_the_camera_is_right(ros, start, heartbeats, checkpoint):
    heartbeat = wait_for_message(ros, heartbeats, "nobody publishes", "camera/image")
    assert heartbeat.threshold == 0.5 and heartbeat.familiarity_threshold == 1.5
    assert heartbeat.checkpoint == json.loads((checkpoint / CARD).read_text())["sha256"]

    wrong = ros.node.create_publisher(JointState, "camera/image", 1)
    wait_for_message(ros, heartbeats, "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image")
    ros.node.destroy_publisher(wrong)

    camera = Camera(ros, size=96)
    wait_for_message(ros, heartbeats, "96 x 96", "128 x 128")
    answer = ask(ros, moving(1))
    assert not answer.success and "no camera image" in answer.message
    camera.size = 128
    wait_for_message(ros, heartbeats, "6 images 0.2 s apart")

    heartbeat = wait_until_ready(ros, heartbeats)
    assert heartbeat.message == "" and heartbeat.header.frame_id == "camera"
    for number in (heartbeat.uncertainty, heartbeat.disagreement, heartbeat.familiarity_error):
        assert math.isfinite(number) and number > 0
    assert 0 < heartbeat.entropy < 1
    assert heartbeat.product == pytest.approx(heartbeat.disagreement * heartbeat.entropy)
    assert heartbeat.sum == pytest.approx(heartbeat.disagreement + heartbeat.entropy)
    assert heartbeat.took_part == 0b1111
    age_s = ros.node.get_clock().now().nanoseconds * 1e-9 - (
        heartbeat.header.stamp.sec + heartbeat.header.stamp.nanosec * 1e-9
    )
    assert 0 < heartbeat.latency_s < age_s

    camera.stop()
    wait_for_message(ros, heartbeats, "camera/image", "silent")


def test_it_looks_at_every_picture_and_retraces_one_in_each_step(ros, start, heartbeats):
    Camera(ros)
    wait_until_ready(ros, heartbeats)
    heartbeats.clear()
    ros.wait(lambda: sum(bool(h.took_part) for h in heartbeats) >= 8, "eight retraced images", 60)
    retraced = [i for i, heartbeat in enumerate(heartbeats) if heartbeat.took_part]
    stamps = [h.header.stamp.sec + 1e-9 * h.header.stamp.nanosec for h in heartbeats]
    since = np.diff([stamps[i] for i in retraced])
    assert since.min() > 0.5 * SPACE.step_s and since.max() < 1.0
    for before, heartbeat in pairwise(heartbeats):
        assert heartbeat.ready and heartbeat.familiarity_error > 0
        if heartbeat.took_part:
            assert heartbeat.disagreement > 0
        else:
            assert heartbeat.uncertainty == before.uncertainty
            assert math.isnan(heartbeat.disagreement) and math.isnan(heartbeat.entropy)
    assert len(retraced) < len(heartbeats)


def test_it_imagines_sound_candidates_and_refuses_others_by_name(ros, start, heartbeats):
    Camera(ros)
    wait_until_ready(ros, heartbeats)

    answer = ask(ros, moving(3), return_frames=True)
    assert answer.success and answer.message == ""
    assert [p.candidate_id for p in answer.predictions] == ["c0", "c1", "c2"]
    assert answer.threshold == 1.0
    for prediction in answer.predictions:
        assert math.isfinite(prediction.uncertainty) and prediction.uncertainty > 0
        assert prediction.trusted == (prediction.uncertainty <= 1.0)
        assert len(prediction.entropy) == len(prediction.disagreement) == 8
        assert np.isfinite(prediction.entropy).all()
        assert list(prediction.took_part) == [0] * 7 + [0b1111]
        assert np.isnan(prediction.disagreement[:7]).all() and np.isnan(prediction.sum[:7]).all()
        assert len(prediction.frames) == 8 and prediction.frames[0].width == 32
        assert len(prediction.goal_distance) == 0

    every = ask(ros, moving(3), every_step=True)
    for prediction in every.predictions:
        assert list(prediction.took_part) == [0b1111] * 8
        disagreement, entropy = np.array(prediction.disagreement), np.array(prediction.entropy)
        np.testing.assert_allclose(prediction.product, disagreement * entropy, rtol=1e-5)
        np.testing.assert_allclose(prediction.sum, disagreement + entropy, rtol=1e-5)
        expected = disagreement[-1] + entropy.mean()
        assert prediction.uncertainty == pytest.approx(expected, abs=0.05)

    for count, horizon, words in ((4, 8, "number of candidates is 4"), (3, 7, "horizon of the")):
        answer = ask(ros, moving(count, horizon))
        assert answer.success and len(answer.predictions) == count
        assert "calibration void" in answer.message and words in answer.message
        assert math.isnan(answer.threshold) and not any(p.trusted for p in answer.predictions)

    fewer = ask(ros, moving(2))  # the surest of them is less sure
    assert not fewer.message and fewer.threshold == every.threshold

    # Different actions lead to different futures, equal ones to the same.
    same = ask(ros, moving(2)[[0, 1, 0]])
    entropy = [list(p.entropy) for p in same.predictions]
    assert entropy[0] == pytest.approx(entropy[2], abs=1e-5)
    assert entropy[0] != pytest.approx(entropy[1], abs=1e-5)

    def refused(*words, candidates=None, start_in_s=0.1, change=None):
        answer = ask(ros, moving(2) if candidates is None else candidates, start_in_s, change)
        assert not answer.success and not answer.predictions
        for word in words:
            assert word in answer.message, answer.message

    def put_nan(message):
        message.actions[3] = math.nan

    def too_fast(message):
        message.actions[0] = 0.06

    def other_space(message):
        message.action_space = "joint_velocity/7"

    def other_step(message):
        message.step_duration.nanosec //= 2

    def other_frame(message):
        message.header.frame_id = "tool0"

    def six_numbers(message):
        message.dim = 6

    def cut(message):
        message.actions = message.actions[:-1]

    def huge(message):
        message.horizon = 2**32 - 1

    refused("'c1'", "nan", change=put_nan)
    refused("'c1'", "action 0 moves", "limit 0.05 m", change=too_fast)
    refused("'c1'", "joint_velocity/7", SPACE.signature, change=other_space)
    refused("'c1'", "0.1 s", "0.2 s", change=other_step)
    refused("'c1'", "tool0", change=other_frame)
    refused("'c1'", "6", "7", change=six_numbers)
    refused("'c1'", "55", "8 x 7", change=cut)
    refused("'c1'", "4294967295", change=huge)
    refused("'c0'", "9", candidates=moving(1, horizon=9))
    refused("65 candidates", "64", candidates=moving(65))
    refused("0 candidates", candidates=[])
    refused("after the newest image", start_in_s=5.0)

    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    goal = ros.node.create_publisher(Image, "goal_image", latched)
    goal.publish(from_array(np.zeros((128, 128, 3), np.uint8), "rgb8"))
    ros.wait(lambda: len(ask(ros, moving(1)).predictions[0].goal_distance) == 8, "goal distances")
    assert wait_until_ready(ros, heartbeats).ready


def assert_untrusted(ros, heartbeats, *words):
    """Neither the present nor candidates are trusted, and both say why."""
    heartbeat = wait_for_message(ros, heartbeats, *words)
    assert math.isnan(heartbeat.threshold) and math.isnan(heartbeat.familiarity_threshold)
    answer = ros.wait(lambda: next((a for a in [ask(ros, moving(3))] if a.success), None), "it")
    assert len(answer.predictions) == 3 and math.isnan(answer.threshold)
    assert not any(prediction.trusted for prediction in answer.predictions)
    for word in words:
        assert word in answer.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (None, ("there is no calibration", "whale calibrate")),
        ("{", ("cannot be read", "whale calibrate")),
        ({"checkpoint": "b" * 64}, ("calibration void", "checkpoint", "bbbbbbbbbbbb")),
        ({"camera": "other"}, ("calibration void", "camera", "'other'")),
        ({"k": (1, 2)}, ("calibration void", "K of the retracings", "(1, 2)")),
        ({"task": "swim"}, ("'swim' was not calibrated", "push, reach")),
    ],
)
def test_without_a_valid_calibration_nothing_is_trusted(
    ros, start, checkpoint, tmp_path, changes, words
):
    path, parameters = tmp_path / "calibration.json", []
    if isinstance(changes, str):
        path.write_text(changes)
    elif changes:
        task = changes.pop("task", "")
        parameters = ["-p", f"task:={task}"] if task else []
        calibration = load_calibration(checkpoint / CALIBRATION)
        conditions = replace(calibration.conditions, **changes)
        save_calibration(path, replace(calibration, conditions=conditions))
    start("world_model", "-p", f"checkpoint:={checkpoint}", "-p", f"calibration:={path}",
          *parameters)  # fmt: skip
    heartbeats = ros.listen(Uncertainty, "world_model/uncertainty", qos_profile_sensor_data)
    Camera(ros)
    assert_untrusted(ros, heartbeats, *words)


@pytest.mark.parametrize("change", [{"frame": "other"}, {"size": 96}])
def test_a_camera_that_changes_while_it_runs_voids_the_calibration_for_good(
    ros, heartbeats, change
):
    camera = Camera(ros)
    wait_until_ready(ros, heartbeats)
    for name, value in change.items():
        setattr(camera, name, value)
    wait_for_message(ros, heartbeats, "calibration void", "the camera changed")
    camera.frame, camera.size = "camera", 128
    ros.spin(0.5)
    heartbeats.clear()
    assert_untrusted(ros, heartbeats, "calibration void", "start the world model again")


def test_a_checkpoint_is_swapped_while_images_are_judged_and_requests_wait(
    ros, heartbeats, checkpoint, small_model, tmp_path
):
    Camera(ros)
    wait_until_ready(ros, heartbeats)
    old = heartbeats[-1].checkpoint
    answer = ros.call(
        LoadCheckpoint, "world_model/load_checkpoint", LoadCheckpoint.Request(checkpoint="nowhere")
    )
    assert not answer.success and "goes on" in answer.message and answer.sha256 == old
    assert ask(ros, moving(3)).threshold == 1.0, "nothing has changed"

    other = copy.deepcopy(small_model)
    with torch.no_grad():
        next(other.dynamics.parameters()).add_(0.1)
    card = read_card(checkpoint)
    card = save_checkpoint(tmp_path / "other", other, card)
    client = ros.node.create_client(Predict, "world_model/predict")
    question = request_for(ros, moving(3))
    under_load = [client.call_async(question) for _ in range(6)]
    answer = ros.call(
        LoadCheckpoint,
        "world_model/load_checkpoint",
        LoadCheckpoint.Request(checkpoint=str(tmp_path / "other")),
    )
    assert answer.success and answer.sha256 == card.sha256 != old
    assert "there is no calibration" in answer.message
    ros.wait(lambda: all(future.done() for future in under_load), "every answer")
    for future in under_load:
        reply = future.result()
        assert reply.success or "image" in reply.message
        assert reply.checkpoint == old or math.isnan(reply.threshold)
    heartbeats.clear()
    ros.wait(lambda: len(heartbeats) > 8, "heartbeats", 60)
    running = [heartbeat.checkpoint for heartbeat in heartbeats]
    first = running.index(card.sha256)
    assert first <= 1, "one may have been judged while it was swapped"
    assert set(running[first:]) == {card.sha256}
    assert "there is no calibration" in heartbeats[-1].message

    back = LoadCheckpoint.Request(checkpoint=str(checkpoint))
    assert ros.call(LoadCheckpoint, "world_model/load_checkpoint", back).success
    assert wait_until_ready(ros, heartbeats).checkpoint == old
    assert ask(ros, moving(3)).threshold == 1.0


def test_a_patient_request_lets_others_pass_and_is_answered_in_the_end(ros, heartbeats):
    Camera(ros)
    wait_until_ready(ros, heartbeats)
    client = ros.node.create_client(Predict, "world_model/predict")
    ros.wait(client.service_is_ready, "the service")
    long = request_for(ros, moving(64), patient=True, every_step=True)
    patient = client.call_async(long)
    second = client.call_async(long)
    ros.wait(second.done, "the refusal of a second one")
    refusal = second.result()
    assert not refusal.success and "another patient request" in refusal.message
    assert math.isnan(refusal.threshold)
    plans = [client.call_async(request_for(ros, moving(3))) for _ in range(3)]
    ros.wait(lambda: all(plan.done() for plan in plans), "the plans")
    assert not patient.done()
    for plan in plans:  # on a busy machine images come late
        assert plan.result().success or "image" in plan.result().message, plan.result().message
    ros.wait(patient.done, "the patient one", 60)
    assert patient.result().success and len(patient.result().predictions) == 64


def test_without_the_arm_s_commands_nothing_is_foretold(ros, heartbeats):
    camera = Camera(ros)
    wait_until_ready(ros, heartbeats)
    camera.commands = False
    wait_for_message(ros, heartbeats, "no command of the arm", "arm/twist_command", "silent")
    assert "no command of the arm" in ask(ros, moving(3)).message
    camera.commands = True
    wait_until_ready(ros, heartbeats)


def test_its_life_cycle_is_managed_on_request(ros, start, checkpoint):
    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return ros.call(ChangeState, "world_model/change_state", request).success

    start("world_model", "-p", f"checkpoint:={checkpoint}", "-p", "autostart:=false")
    heartbeats = ros.listen(Uncertainty, "world_model/uncertainty", qos_profile_sensor_data)
    Camera(ros)
    assert "not active" in ask(ros, moving(3)).message
    assert not change(Transition.TRANSITION_ACTIVATE), "there is no model yet"
    assert change(Transition.TRANSITION_CONFIGURE)
    assert "not active" in ask(ros, moving(3)).message and not heartbeats
    assert change(Transition.TRANSITION_ACTIVATE)
    wait_until_ready(ros, heartbeats)
    assert ask(ros, moving(3)).success
    assert change(Transition.TRANSITION_DEACTIVATE)
    wait_for_message(ros, heartbeats, "deactivated")
    assert "not active" in ask(ros, moving(3)).message
    assert change(Transition.TRANSITION_CLEANUP)
    assert change(Transition.TRANSITION_CONFIGURE) and change(Transition.TRANSITION_ACTIVATE)
    wait_until_ready(ros, heartbeats)


@pytest.mark.parametrize(
    ("durability", "words"),
    [
        ("transient_local", "we want reliable and transient_local"),
        ("volatile", "everybody who publishes can be heard"),
    ],
)
def test_a_goal_image_that_it_cannot_hear_is_in_its_diagnostics(
    ros, start, checkpoint, durability, words
):
    ros.node.create_publisher(Image, "goal_image", 1)
    name = "qos_overrides./goal_image.subscription.durability"
    start("world_model", "-p", f"checkpoint:={checkpoint}", "-p", f"{name}:={durability}")
    reports = ros.listen(DiagnosticArray, "/diagnostics")

    def told():
        statuses = {status.name: status for report in reports for status in report.status}
        return statuses.get("/world_model: topics")

    assert words in ros.wait(told, "diagnostics", 60).message


def test_its_services_and_pictures_are_remapped_as_its_topics_are(ros, start, checkpoint):
    names = {
        "~/load_checkpoint": "another_model",
        "world_model/predict": "imagine",
        "world_model:~/rollout_mosaic": "/screen/pictures",
        "~/uncertainty": "trust",
    }
    remaps = [part for old, new in names.items() for part in ("-r", f"{old}:={new}")]
    start("world_model", "-p", f"checkpoint:={checkpoint}", "-r", "__ns:=/left", *remaps)
    answer = ros.call(LoadCheckpoint, "/left/another_model", seconds=60)
    assert not answer.success and "name the folder" in answer.message
    answer = ros.call(Predict, "/left/imagine", request_for(ros, moving(1)))
    assert "no command of the arm" in answer.message
    for topic in ("/screen/pictures", "/left/trust"):
        ros.wait(lambda topic=topic: ros.node.count_publishers(topic), topic)
    nodes = {name for name, space in ros.node.get_node_names_and_namespaces() if space == "/left"}
    assert nodes == {"world_model", "world_model_predictor"}


def test_a_task_may_have_its_own_threshold(ros, start, checkpoint):
    start("world_model", "-p", f"checkpoint:={checkpoint}", "-p", "task:=push")
    heartbeats = ros.listen(Uncertainty, "world_model/uncertainty", qos_profile_sensor_data)
    assert wait_for_message(ros, heartbeats, "nobody publishes").threshold == 1.0  # 4 x 0.25


def test_thresholds_may_follow_a_drift_but_only_while_the_gate_executes(ros, start, checkpoint):
    start("world_model", "-p", f"checkpoint:={checkpoint}", "-p", "adaptive:=true")
    heartbeats = ros.listen(Uncertainty, "world_model/uncertainty", qos_profile_sensor_data)
    Camera(ros)
    decisions = ros.node.create_publisher(PlanDecision, "planner/decision", 1)
    gate = ros.node.create_publisher(GateStatus, "gate/status", 1)
    # What would have been chosen, the first one, is over the threshold at every decision.
    predictions = [Prediction(uncertainty=2.5), Prediction(uncertainty=0.1)]
    decision = PlanDecision(scores=[1.0, 2.0], predictions=predictions)
    state = GateStatus.HOLD

    def speak():
        gate.publish(GateStatus(state=state))
        decisions.publish(decision)

    ros.node.create_timer(0.05, speak)
    assert wait_until_ready(ros, heartbeats).threshold == 0.5
    ros.spin(4.0)
    assert wait_until_ready(ros, heartbeats).threshold == 0.5
    state = GateStatus.EXECUTING
    ros.wait(lambda: any(h.threshold == 1.0 for h in heartbeats), "a larger threshold", 30)


def test_what_it_cannot_start_with_is_refused_in_one_line(start, checkpoint, tmp_path):
    corrupt = tmp_path / "corrupt"
    corrupt.mkdir()
    (corrupt / CARD).write_bytes((checkpoint / CARD).read_bytes())
    weights = bytearray((checkpoint / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (corrupt / WEIGHTS).write_bytes(weights)
    cases = {
        f"checkpoint:={tmp_path / 'nowhere'}": ("nowhere", "card.json"),
        f"checkpoint:={corrupt}": ("corrupt", "model.safetensors"),
        "command_type:=joints": ("command_type", "joints", "twist"),
    }
    if not torch.cuda.is_available():
        cases["device:=cuda"] = ("no device 'cuda'", "there are: cpu")
    processes = {
        parameter: start(
            "world_model", "-p", f"checkpoint:={checkpoint}", "-p", parameter,
            stderr=subprocess.PIPE,
        )
        for parameter in cases
    }  # fmt: skip
    for parameter, process in processes.items():
        _, errors = process.communicate(timeout=120)
        assert process.returncode == os.EX_CONFIG, parameter
        assert "Traceback" not in errors, errors
        (line,) = [line for line in errors.splitlines() if line.startswith("world_model: ")]
        for word in cases[parameter]:
            assert word in line


def test_a_device_without_memory_is_tried_again_and_one_that_is_lost_ends_the_process(
    ros, domain_id, checkpoint
):
    arguments = ["real_world_model", ".", "--ros-args", "-p", f"checkpoint:={checkpoint}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "whale_ros.nodes.fault_torch", *arguments],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
        stdin=subprocess.PIPE,
        text=True,
    )

    def order(**order):
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()

    try:
        heartbeats = ros.listen(Uncertainty, "world_model/uncertainty", qos_profile_sensor_data)
        Camera(ros)
        wait_until_ready(ros, heartbeats)
        order(kind="memory", times=1)
        wait_for_message(ros, heartbeats, "CUDA out of memory")
        wait_until_ready(ros, heartbeats)
        order(kind="memory", times=2)
        wait_for_message(ros, heartbeats, "out of memory 3 times within 10 minutes")
        answer = ask(ros, moving(1))
        assert not answer.success and "out of memory 3 times" in answer.message
        request = LoadCheckpoint.Request(checkpoint=str(checkpoint))
        assert ros.call(LoadCheckpoint, "world_model/load_checkpoint", request, 60).success
        wait_until_ready(ros, heartbeats)
        order(kind="device")
        ros.wait(lambda: process.poll() is not None, "the end")  # images come only meanwhile
        assert process.returncode == 1
    finally:
        process.kill()
        process.wait()
