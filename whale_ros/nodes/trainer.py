"""Node `trainer`: `whale finetune` from the robot's side, as an action.

The work is done by a process of its own at the lowest priority; what runs on the robot is not
touched. The new checkpoint keeps the gate closed until it is calibrated and loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

import rclpy
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from whale_ros.action import Finetune
from whale_ros.nodes.parameters import BadParameter, Parameter, declare, refuse
from whale_ros.nodes.processes import installed_or_source
from whale_ros.training.record import PROGRESS

LOOK_EVERY_S = 0.5
TO_END_S = 10.0
THREADS = 2  # one waits for the process, the other answers and cancels


PARAMETERS = (
    Parameter("options", "", "More options of `whale finetune`, as in `--threads 2`."),
)  # fmt: skip


class Trainer(Node):
    """One fine-tuning at a time."""

    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("trainer")
        self._values = declare(self, PARAMETERS)
        self._busy = threading.Lock()
        self._ends = threading.Event()
        self._server = ActionServer(
            self,
            Finetune,
            "~/finetune",
            self._execute,
            callback_group=ReentrantCallbackGroup(),
            goal_callback=self._answer,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def stop(self) -> None:
        """End the process that trains, if there is one; its run can be gone on with."""
        self._ends.set()
        self._busy.acquire(timeout=2 * TO_END_S)

    def _answer(self, goal: Finetune.Goal) -> GoalResponse:
        if not self._busy.acquire(blocking=False):  # until it is executed
            self.get_logger().error("refused: another fine-tuning is under way, see its feedback")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> Finetune.Result:
        goal = handle.request
        self.get_logger().info(f"fine-tuning with {goal.data}, in {goal.run}")
        try:
            with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
                process = subprocess.Popen(
                    self._command(goal), stdout=out, stderr=err, start_new_session=True
                )
                try:
                    self._follow(handle, process)
                finally:
                    _end(process)
                said, complained = _last_lines(out, 20), _last_lines(err, 1)
            return self._conclude(handle, process.returncode, said, complained)
        finally:
            self._busy.release()

    def _command(self, goal: Finetune.Goal) -> list[str]:
        _, executables = installed_or_source()
        whale = [sys.executable, str(executables / "whale"), "finetune", f"--data={goal.data}"]
        optional = {"base": goal.base, "replay": goal.replay}
        options = [f"--{name}={value}" for name, value in optional.items() if value]
        options += shlex.split(self._values["options"])
        return ["nice", "-n", "19", *whale, *options, "--", goal.run]

    def _follow(self, handle: ServerGoalHandle, process: subprocess.Popen) -> None:
        """Until it is over, or not wanted any more."""
        progress, told = Path(handle.request.run) / PROGRESS, ""
        while not (handle.is_cancel_requested or self._ends.is_set()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)
                return
            if progress.exists() and (now := progress.read_text()) != told:
                told = now
                handle.publish_feedback(Finetune.Feedback(**json.loads(told)))

    def _conclude(
        self, handle: ServerGoalHandle, status: int, said: str, complained: str
    ) -> Finetune.Result:
        goal, result = handle.request, Finetune.Result()
        if status == 0:
            made = Path(goal.run) / "checkpoint"
            result.checkpoint = str(made)
            result.sha256 = json.loads((made / "card.json").read_text())["sha256"]
            result.message = said
            handle.succeed()
            self.get_logger().info(f"{made} is finished; calibrate it before the gate trusts it")
        elif handle.is_cancel_requested:
            result.message = f"cancelled; the same goal goes on with the run in {goal.run}"
            handle.canceled()
        elif status < 0:  # the last line of stderr would be a progress bar
            by = signal.Signals(-status).name
            result.message = f"whale finetune was ended by {by}; the same goal goes on with it"
            handle.abort()
            self.get_logger().error(result.message)
        else:
            result.message = complained or f"whale finetune ended with status {status}"
            handle.abort()
            self.get_logger().error(result.message)
        return result


def _end(process: subprocess.Popen) -> None:
    """With those that it started, which collect episodes."""
    for number, patience_s in ((signal.SIGTERM, TO_END_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return


def _last_lines(file: IO[str], count: int) -> str:
    file.seek(0)
    return "\n".join(file.read().splitlines()[-count:])


def main() -> None:
    # With rclpy's own handlers nothing could be said any more when the end comes.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell let them be ignored
        signal.signal(number, signal.default_int_handler)
    try:
        node = Trainer()
    except BadParameter as error:
        refuse("trainer", error)
    executor = MultiThreadedExecutor(THREADS)
    executor.add_node(node)
    try:
        while True:  # `spin` would not notice a signal
            executor.spin_once(LOOK_EVERY_S)
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()
        rclpy.try_shutdown()
