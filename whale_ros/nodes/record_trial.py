"""Records the planner at work on the simulated arm, to calibrate with: the gate only watches, so
that no threshold cuts off what a threshold is made from."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import SetBool, Trigger
from tqdm import tqdm

from whale_ros.data.recording import kept
from whale_ros.nodes.operator import Operator, ServiceRefused
from whale_ros.nodes.processes import NODES, RunFailed, Wait, isolate, running_nodes
from whale_ros.sim.arm import TASKS

FIRST_SEED = 980_000  # of scenes that are in no dataset
EPISODE_S = 14.0  # the longest, as in the clean run
AFTER_SUCCESS_S = 2.0
LEAST_S = 5.5  # what `whale convert` leaves whole


def main() -> None:
    parser = argparse.ArgumentParser(prog="record_trial", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the bags; goes on with those there are")
    parser.add_argument("--episodes", type=int, default=120)
    parser.add_argument(
        "--calibration", type=Path, help="file by which the planner chooses; default: the shipped"
    )
    options = parser.parse_args()
    isolate()
    recorder = ("-p", f"folder:={options.folder.absolute()}", "-p", "robot:=sim")
    file = options.calibration
    model = ("-p", f"calibration:={file.absolute()}") if file else ()
    logs = options.folder.with_name(options.folder.name + "_logs")
    try:
        with running_nodes(
            logs, nodes=(*NODES, "demo_recorder"), demo_recorder=recorder, world_model=model
        ) as processes:
            rclpy.init()
            _record(options.folder, options.episodes, processes)
    except (RunFailed, ServiceRefused) as error:
        sys.exit(f"record_trial: {error}; what the nodes printed is in {logs}")
    except (KeyboardInterrupt, ExternalShutdownException):
        sys.exit("record_trial: interrupted; the same command goes on")
    print(f"{options.episodes} episodes are in {options.folder}; `whale convert` comes next")


def _record(folder: Path, episodes: int, processes: list) -> None:
    """Raises RunFailed, ServiceRefused."""
    there, trial = len(kept(folder)), Trial()
    wait = Wait(trial, processes)
    try:
        wait.for_the_nodes()
        progress = tqdm(range(there, episodes), "trial", episodes, initial=there, unit="episode")
        for number in progress:
            task = TASKS[number % len(TASKS)]
            progress.set_postfix_str(task)
            trial.record(task, FIRST_SEED + number, wait)
    finally:
        trial.destroy_node()
        rclpy.try_shutdown()


class Trial(Operator):
    """At the arm, the gate and the recorder."""

    def __init__(self) -> None:
        super().__init__("trial")
        recorder = "demo_recorder"
        self._start: Client = self.create_client(Trigger, f"{recorder}/start")
        self._keep: Client = self.create_client(SetBool, f"{recorder}/keep")
        self._set: Client = self.create_client(SetParameters, f"{recorder}/set_parameters")

    def all_ready(self) -> bool:
        clients = (self._start, self._keep, self._set)
        return super().all_ready() and all(client.service_is_ready() for client in clients)

    def record(self, task: str, seed: int, wait: Wait) -> None:
        """One scene, until the task has been done for a while. Raises RunFailed, ServiceRefused."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=task)
        request = SetParameters.Request(parameters=[Parameter(name="task", value=value)])
        wait(self._set.call_async(request).done, 20.0, "the recorder")
        self.reset_task(task, seed, wait, mode="monitor_only")
        self.call(self._start, Trigger.Request(), wait)
        began, succeeded_at = time.monotonic(), None
        end = began + EPISODE_S
        while time.monotonic() < end:
            wait(lambda: False, 0.1)
            if self.success and succeeded_at is None:
                succeeded_at = time.monotonic()
                end = max(began + LEAST_S, min(end, succeeded_at + AFTER_SUCCESS_S))
        self.call(self._keep, SetBool.Request(data=succeeded_at is not None), wait)
