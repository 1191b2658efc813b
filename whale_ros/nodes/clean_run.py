"""The demonstration without disturbances, for half an hour: how often does the gate stop the arm
although nothing is wrong, and does anything grow?"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from tqdm import tqdm

from whale_ros.evaluation.clean_run import (
    NOTHING_PASSED,
    CleanRun,
    draw,
    read_usage,
    summarise,
    table,
)
from whale_ros.evaluation.hardware import hardware
from whale_ros.msg import GateStatus, PlanDecision
from whale_ros.nodes.operator import ALL, Operator, ServiceRefused
from whale_ros.nodes.processes import NODES, RunFailed, Wait, isolate, running_nodes
from whale_ros.sim.arm import TASKS

FIRST_SEED = 970_000  # of scenes that are in no dataset
EPISODE_S = 14.0  # the longest
AFTER_SUCCESS_S = 2.0
USAGE_EVERY_S = 10.0
START_S = 8.0  # from the reset; an arm that has not moved by then counts as stopped


def main() -> None:
    parser = argparse.ArgumentParser(prog="clean_run", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("clean_run_output"))
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    isolate()
    logs, failure, run = options.output / "logs", "", CleanRun()
    try:
        with running_nodes(logs) as processes:
            _play(processes, options.minutes * 60, run)
    except (RunFailed, ServiceRefused) as error:
        failure = f"{error}; what the nodes printed is in {logs}"
    except (KeyboardInterrupt, ExternalShutdownException):
        failure = "interrupted"
    finally:
        if run.episodes:  # also those before a failure took minutes of real time
            _write(run, options.output)
    if failure:
        sys.exit(f"clean_run: {failure}")


def _write(run: CleanRun, output: Path) -> None:
    summary = summarise(run) | {"first_seed": FIRST_SEED, "hardware": hardware()}
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (output / "table.txt").write_text(table(summary) + "\n")
    draw(run, output / "clean_run.png")
    print(table(summary))
    print(f"\nsummary.json, table.txt and clean_run.png are in {output}/")


class _Observer(Operator):
    """Tells the run what the gate and the planner say, while it counts."""

    def __init__(self, run: CleanRun) -> None:
        super().__init__("clean_run")
        self.began = time.monotonic()
        self.task, self.seed = "", 0
        self.run = run
        self._counts = False
        self._last: tuple[float, GateStatus] | None = None
        self._decided = ""
        self.poll(PlanDecision, "planner/decision", self._on_decision, ALL)

    def count(self, on: bool) -> None:
        self._counts, self._last = on, None
        self.run.end_stop()

    def on_gate(self, message: GateStatus) -> None:
        super().on_gate(message)
        now = time.monotonic() - self.began
        if not self._counts:
            return
        if self._last is not None:
            self._add(now - self._last[0], *self._last)
        self._last = now, message

    def _add(self, seconds: float, begin_s: float, status: GateStatus) -> None:
        checks = tuple(check.name for check in status.checks if not check.ok)
        reason = status.reason
        if not checks and self._decided:
            checks, reason = (NOTHING_PASSED,), self._decided
        moves = status.state == GateStatus.EXECUTING
        self.run.add(begin_s, seconds, moves, checks, reason, (self.task, self.seed))

    def _on_decision(self, message: PlanDecision) -> None:
        rejected = [verdict.startswith("rejected") for verdict in message.verdicts]
        self._decided = message.reason if rejected and all(rejected) else ""  # else it was late


def _play(processes: list[subprocess.Popen], seconds: float, run: CleanRun) -> None:
    """Raises RunFailed, ServiceRefused."""
    rclpy.init()
    observer = _Observer(run)
    wait = Wait(observer, processes)
    run.usage.update({name: [] for name in NODES})
    try:
        wait.for_the_nodes()
        observer.began = began = time.monotonic()
        bar = "{desc}: {n:.0f}/{total:.0f} s, {remaining} left{postfix}"
        with tqdm(total=round(seconds), desc="clean run", bar_format=bar) as progress:
            for number in itertools.count():
                if time.monotonic() - began > seconds:
                    return
                task, seed = TASKS[number % len(TASKS)], FIRST_SEED + number
                success = _play_one(observer, wait, progress, task, seed, processes)
                run.episodes.append((task, seed, success))
    finally:
        observer.destroy_node()
        rclpy.try_shutdown()


def _play_one(
    observer: _Observer,
    wait: Wait,
    progress: tqdm,
    task: str,
    seed: int,
    processes: list[subprocess.Popen],
) -> bool:
    observer.count(False)
    observer.task, observer.seed = task, seed
    observer.reset_task(task, seed, wait)
    wait(lambda: observer.moving_for() > 0, START_S)
    observer.count(True)
    end, succeeded_at = time.monotonic() + EPISODE_S, None
    while time.monotonic() < end:
        wait(lambda: False, 0.1)
        now = time.monotonic()
        if observer.success and succeeded_at is None:
            succeeded_at, end = now, min(end, now + AFTER_SUCCESS_S)
        progress.set_postfix_str(f"{task}: {observer.describe()}", refresh=False)
        progress.update(min(now - observer.began, progress.total) - progress.n)
        _sample(observer, processes, now)
    observer.count(False)
    return succeeded_at is not None


def _sample(observer: _Observer, processes: list[subprocess.Popen], now: float) -> None:
    for name, process in zip(NODES, processes, strict=True):
        samples = observer.run.usage[name]
        if not samples or now - observer.began - samples[-1].time_s > USAGE_EVERY_S:
            samples.append(read_usage(process.pid, now - observer.began))
