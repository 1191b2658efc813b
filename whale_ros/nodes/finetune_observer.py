"""Node of the fine-tuning demonstration: notes all down, has a model trained, and swaps it in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.client import Client
from tqdm import tqdm

from whale_ros.action import Finetune
from whale_ros.evaluation.demo_log import DemoLog
from whale_ros.evaluation.finetune_demo_summary import Story
from whale_ros.msg import Uncertainty
from whale_ros.nodes.demo_observer import DemoObserver
from whale_ros.nodes.operator import ServiceRefused
from whale_ros.nodes.processes import RunFailed, Wait
from whale_ros.srv import LoadCheckpoint

LOADS_S = 60.0
TRAINS_S = 6 * 3600.0


class FinetuneObserver(DemoObserver):
    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story
        self._runs = ""  # the checkpoint that the world model told of last
        self._ran: set[str] = set()
        self._loading: Client = self.create_client(LoadCheckpoint, "world_model/load_checkpoint")
        self._trainer: ActionClient = ActionClient(self, Finetune, "trainer/finetune")

    def all_ready(self) -> bool:
        """A trainer is there, and the others."""
        return super().all_ready() and self._trainer.server_is_ready()

    def is_planned_for(self) -> bool:
        return all(map(self.count_publishers, ("approved_chunk", "policy/candidates")))

    def on_heartbeat(self, message: Uncertainty) -> None:
        super().on_heartbeat(message)
        self._runs = message.checkpoint
        self._ran.add(message.checkpoint)

    @contextlib.contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """What the gate and the world model do within is told in the story by this name."""
        self.log, self._ran = DemoLog(), set()
        yield
        self._story.gate[name], self._story.ran[name] = self.log, self._ran
        self.log, self._ran = DemoLog(), set()  # what comes now belongs to nothing

    def train(self, data: Path, run: Path, wait: Wait) -> str:
        """Have the model fine-tuned; what the trainer says of it. Raises RunFailed."""
        progress = tqdm(desc="fine-tuning", bar_format="{desc}{postfix}, {elapsed} so far")
        goal = Finetune.Goal(data=str(data), run=str(run))

        def show(message) -> None:
            now = message.feedback
            progress.set_postfix_str(
                f"{now.stage}, step {now.step} of at most {now.steps}, "
                f"at most {now.left_s / 60:.0f} min left"
            )

        with progress:
            asked = self._trainer.send_goal_async(goal, feedback_callback=show)
            wait(asked.done, LOADS_S, "the trainer to take the goal")
            handle = asked.result()
            if handle is None or not handle.accepted:
                raise RunFailed("the trainer refuses: another fine-tuning is under way")
            finished = handle.get_result_async()
            wait(finished.done, TRAINS_S, "the fine-tuning")
        answer = finished.result()
        if answer is None or answer.status != GoalStatus.STATUS_SUCCEEDED:
            raise RunFailed(f"the trainer: {answer.result.message if answer else 'no answer'}")
        return answer.result.message

    def load(self, checkpoint: Path, wait: Wait) -> str:
        """Have another checkpoint run; why the gate stays closed with it, if it does."""
        wait(self._loading.service_is_ready, LOADS_S, self._loading.srv_name)
        future = self._loading.call_async(LoadCheckpoint.Request(checkpoint=str(checkpoint)))
        wait(future.done, LOADS_S, self._loading.srv_name)
        answer = future.result()
        if answer is None or not answer.success:
            reason = answer.message if answer else "no answer"
            raise ServiceRefused(f"{self._loading.srv_name}: {reason}")
        wait(lambda: self._runs == answer.sha256, LOADS_S, "the checkpoint that was loaded")
        return answer.message
