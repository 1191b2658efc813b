"""Fine-tuning from the robot's side: as a process of its own, followed, cancelled, gone on with."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from whale_ros.action import Finetune
from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.training.record import work_alone

pytestmark = pytest.mark.ros

FEW = "--tokenizer-steps 2 --behavior-steps 2 --dynamics-steps 2"
TRAINING_S = 120.0


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory) -> Path:
    folder, infos = tmp_path_factory.mktemp("demonstrations"), []
    rng = np.random.default_rng(0)
    for number, split in enumerate(("train", "validation")):
        frames = rng.integers(0, 256, (25, 32, 32, 3), np.uint8)
        actions = np.zeros((24, 7), np.float32)
        actions[:, :3] = rng.uniform(-0.01, 0.01, 3)
        info = EpisodeInfo(f"{number}.npz", split, "task", "demonstration", number)
        save_episode(folder / info.file, Episode(frames, actions, np.zeros((25, 3), np.float32)))
        infos.append(info)
    write_manifest(folder, ActionSpace(), infos)
    return folder


class Client:
    def __init__(self, ros) -> None:
        self._ros, self._client = ros, ActionClient(ros.node, Finetune, "trainer/finetune")
        self.feedback: list[Finetune.Feedback] = []
        ros.wait(self._client.server_is_ready, "the trainer")

    def send(self, **goal):
        """The handle of a goal, accepted or not."""
        asked = self._client.send_goal_async(
            Finetune.Goal(**{name: str(value) for name, value in goal.items()}),
            feedback_callback=lambda message: self.feedback.append(message.feedback),
        )
        self._ros.wait(asked.done, "an answer to the goal")
        return asked.result()

    def result(self, handle):
        """Status and result of a goal."""
        future = handle.get_result_async()
        self._ros.wait(future.done, "a result", TRAINING_S)
        return future.result().status, future.result().result


@pytest.fixture
def options():
    return FEW


@pytest.fixture
def trainer(start, options):
    return start("trainer", "-p", f"options:='{options}'")


@pytest.fixture
def client(ros, trainer):
    return Client(ros)


def test_a_goal_ends_in_a_checkpoint(client, checkpoint, demonstrations, tmp_path):
    before = (checkpoint / "model.safetensors").read_bytes()
    handle = client.send(data=demonstrations, run=tmp_path / "run", base=checkpoint)
    assert handle.accepted
    status, result = client.result(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    card = json.loads((tmp_path / "run" / "checkpoint" / "card.json").read_text())
    assert result.checkpoint == str(tmp_path / "run" / "checkpoint")
    assert result.sha256 == card["sha256"] and "whale calibrate" in result.message
    assert (checkpoint / "model.safetensors").read_bytes() == before
    assert {message.stage for message in client.feedback} <= {"tokenizer", "behavior", "dynamics"}
    assert client.feedback and all(0 < m.step <= m.steps == 2 for m in client.feedback)


def test_a_goal_that_cannot_be_met_is_aborted_with_the_reason(client, checkpoint, tmp_path):
    handle = client.send(data=tmp_path / "nowhere", run=tmp_path / "run", base=checkpoint)
    status, result = client.result(handle)
    assert status == GoalStatus.STATUS_ABORTED and not result.checkpoint
    assert "nowhere" in result.message and "whale convert" in result.message


@pytest.mark.parametrize("options", ["--threads 1"])
def test_one_at_a_time_which_can_be_cancelled_and_gone_on_with(
    ros, client, checkpoint, demonstrations, tmp_path
):
    goal = {"data": demonstrations, "run": tmp_path / "run", "base": checkpoint}
    handle = client.send(**goal)
    assert not client.send(**goal).accepted  # also before there is anything to see
    ros.wait(lambda: client.feedback, "feedback", TRAINING_S)
    assert client.feedback[-1].left_s > 0
    assert not client.send(**goal).accepted
    with pytest.raises(ValueError, match="another process"), work_alone(tmp_path / "run"):
        pass
    handle.cancel_goal_async()
    status, result = client.result(handle)
    assert status == GoalStatus.STATUS_CANCELED and "goes on" in result.message
    with work_alone(tmp_path / "run"):  # it has ended
        pass
    assert not (tmp_path / "run" / "checkpoint").exists()
    client.feedback.clear()
    assert client.send(**goal).accepted
    ros.wait(lambda: client.feedback, "feedback", TRAINING_S)


@pytest.mark.parametrize("options", ["--threads 1"])
def test_what_is_killed_is_told_of_as_killed(
    ros, trainer, client, checkpoint, demonstrations, tmp_path
):
    handle = client.send(data=demonstrations, run=tmp_path / "run", base=checkpoint)
    ros.wait(lambda: client.feedback, "feedback", TRAINING_S)
    for children in Path(f"/proc/{trainer.pid}/task").glob("*/children"):
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
    status, result = client.result(handle)
    assert status == GoalStatus.STATUS_ABORTED
    assert "ended by SIGKILL; the same goal goes on" in result.message


@pytest.mark.parametrize("options", ["--threads 1"])
def test_what_it_started_ends_with_it(ros, trainer, client, checkpoint, demonstrations, tmp_path):
    client.send(data=demonstrations, run=tmp_path / "run", base=checkpoint)
    ros.wait(lambda: client.feedback, "feedback", TRAINING_S)
    trainer.send_signal(signal.SIGINT)
    trainer.wait(20)
    with work_alone(tmp_path / "run"):
        pass
