"""Records demonstrations of the simulated bench, one after the other, by the nodes' services."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import rclpy
from rclpy.client import Client
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from tqdm import tqdm

from whale_ros.data.recording import kept
from whale_ros.msg import SimState
from whale_ros.nodes.operator import ServiceRefused
from whale_ros.nodes.processes import RunFailed, Wait, isolate, running_nodes
from whale_ros.nodes.recorder_client import RecorderClient
from whale_ros.srv import ResetTask

ROBOT, TASK = "bench", "slide-block"
NODES = ("sim_robot", "demonstrator", "demo_recorder")
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ANSWER_S = 20.0
DEMONSTRATION_S = 40.0  # the demonstrator gives up before
SHORTEST_S = 5.0  # less gives no episode: a quick demonstration ends in stillness


def main() -> None:
    parser = argparse.ArgumentParser(prog="demonstrate", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the bags; those that are there count")
    parser.add_argument("--demonstrations", type=int, default=10, help="default: %(default)s")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="each scene has its own; default: %(default)s",
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.demonstrations)
    isolate()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # else a `spin` fails before it ends
    logs = options.folder / "logs"
    try:
        successes = record(options.folder, seeds, logs)
    except (RunFailed, ServiceRefused) as error:
        sys.exit(f"demonstrate: {error}; what the nodes printed is in {logs}")
    except KeyboardInterrupt:
        sys.exit("demonstrate: interrupted; the same command goes on")
    finally:
        rclpy.try_shutdown()
    told = f"{len(successes)} demonstrations, {sum(successes)} of them successes"
    print(f"{told}, are in {options.folder}")


def record(folder: Path, seeds: range, logs: Path) -> list[bool]:
    """Demonstrate and record what is not recorded yet; whether each one succeeded.

    rclpy must have been initialised. Raises RunFailed, ServiceRefused.
    """
    if len(there := kept(folder)) < len(seeds):
        recorder = ("-p", f"folder:={folder.absolute()}", "-p", f"robot:={ROBOT}")
        with running_nodes(logs, ROBOT, NODES, demo_recorder=recorder) as processes:
            session = Demonstrations()
            wait = Wait(session, processes)
            try:
                wait.for_the_nodes()
                missing = tqdm(seeds[len(there) :], "recording", len(seeds), initial=len(there))
                for seed in missing:
                    missing.set_postfix_str(session.demonstrate(seed, wait)[:60])
            finally:
                session.destroy_node()
    return [bool(recording.success) for recording in kept(folder)[: len(seeds)]]


class Demonstrations(RecorderClient):
    """At the recorder and at the simulated arm; labels by what the simulation says."""

    def __init__(self) -> None:
        super().__init__()
        self._state: SimState | None = None
        self._active = False
        subscribe = self.create_subscription
        subscribe(SimState, "sim_robot/state", self._on_state, 10)
        subscribe(Bool, "demonstrator/active", self._on_active, LATCHED)
        self._reset: Client = self.create_client(ResetTask, "sim_robot/reset_task")
        self._demonstrate: Client = self.create_client(Trigger, "demonstrator/demonstrate")

    def all_ready(self) -> bool:
        clients = (self._reset, self._demonstrate)
        heard = self._state is not None
        return heard and self.is_ready() and all(client.service_is_ready() for client in clients)

    def explain(self) -> str:
        recorder = self.status.message if self.status else "nothing was heard of it"
        return f"recorder: {recorder}; arm: {'heard of' if self._state else 'not heard of'}"

    def demonstrate(self, seed: int, wait: Wait) -> str:
        """One scene, demonstrated, recorded and kept; what the recorder says of it."""
        assert self._state is not None
        before = self._state.episode
        self._answer(self._reset.call_async(ResetTask.Request(task=TASK, seed=seed)), wait)
        wait(lambda: self._episode() > before, ANSWER_S, f"the reset to {TASK}")
        self._start(wait)
        self._answer(self._demonstrate.call_async(Trigger.Request()), wait)
        wait(lambda: self._active, ANSWER_S, "the demonstration to begin")
        wait(lambda: not self._active, DEMONSTRATION_S, "the demonstration to end")
        wait(lambda: self._recorded_s() > SHORTEST_S, ANSWER_S, "the recording to be long enough")
        return self._answer(self.keep(self._state.success), wait)

    def _start(self, wait: Wait) -> None:
        """The recorder refuses as long as it has not heard of every topic."""
        end = time.monotonic() + ANSWER_S
        while True:
            try:
                self._answer(self.start(), wait)
                return
            except ServiceRefused:
                if time.monotonic() > end:
                    raise
                wait(lambda: False, 0.2)

    def _answer(self, future: Future, wait: Wait) -> str:
        wait(future.done, ANSWER_S, "an answer of the recorder, the arm or the demonstrator")
        answer = future.result()
        if answer is None or not answer.success:
            raise ServiceRefused(answer.message if answer else "no answer")
        return answer.message

    def _episode(self) -> int:
        return self._state.episode if self._state else -1

    def _recorded_s(self) -> float:
        return self.status.duration_s if self.status else 0.0

    def _on_state(self, message: SimState) -> None:
        self._state = message

    def _on_active(self, message: Bool) -> None:
        self._active = message.data
