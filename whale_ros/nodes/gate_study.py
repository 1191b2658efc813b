"""The gate's worth: plays the same episodes with the gate on and off, in nominal scenes and in
disturbed ones, and writes how they ended to a folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from tqdm import tqdm

from whale_ros.evaluation.gate_study import NONE, GatedEpisode, draw, summarise, table
from whale_ros.evaluation.hardware import hardware
from whale_ros.nodes.operator import Operator, ServiceRefused
from whale_ros.nodes.processes import RunFailed, Wait, isolate, running_nodes
from whale_ros.sim.arm import TASKS
from whale_ros.sim.contact import HARMFUL_N

FIRST_SEED = 800_000  # of scenes that are in no dataset
MODES = {"on": "gate", "off": "monitor_only"}
LOST = "lost policy"  # it acts at random from then on
# In turn, in disturbed scenes: what happens to the robot while the arm moves, and how much of it.
DISTURBANCES = (("intruder", 0.08), (LOST, 0.0), ("shift", 0.25))
MOVING_S = 0.4  # before it happens
EPISODE_S = 14.0  # the longest
AFTER_HARM_S = 2.0
START_S = 8.0  # within this time of the reset the arm moves, or the gate has stopped the episode
HELD_S = 4.0  # a gate that has held for so long has stopped it too
BAR = "{desc}: {n_fmt}/{total_fmt} episodes, {elapsed}{postfix}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="gate_study", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("gate_study_output"))
    parser.add_argument(
        "--episodes", type=int, default=16, help="of each cell: gate on or off, nominal or not"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    isolate()
    logs, began = options.output / "logs", time.monotonic()
    episodes: list[GatedEpisode] = []
    failure = ""
    try:
        with running_nodes(logs) as processes:
            for episode in play(processes, options.episodes):
                episodes.append(episode)
    except (RunFailed, ServiceRefused) as error:
        failure = f"{error}; what the nodes printed is in {logs}"
    except (KeyboardInterrupt, ExternalShutdownException):
        failure = "interrupted"
    if episodes:  # also those before a failure took minutes of real time
        write(episodes, options.output, time.monotonic() - began)
    if failure:
        sys.exit(f"gate_study: {failure}")


def play(processes: list[subprocess.Popen], count: int) -> Iterator[GatedEpisode]:
    """Play `count` episodes of each cell. Raises RunFailed, ServiceRefused."""
    rclpy.init()
    operator = Operator()
    wait = Wait(operator, processes)
    try:
        wait.for_the_nodes()
        progress = tqdm(
            list(_plan(count)), "gate study", unit="episode", mininterval=0.5, bar_format=BAR
        )
        for what in progress:
            yield _play_one(operator, wait, progress, *what)
    finally:
        operator.destroy_node()
        rclpy.try_shutdown()


def write(episodes: list[GatedEpisode], output: Path, seconds: float) -> None:
    """summary.json, the table and the picture."""
    summary = summarise(episodes, HARMFUL_N) | {
        "first_seed": FIRST_SEED,
        "amounts": dict(DISTURBANCES),
        "seconds": round(seconds, 1),
        "hardware": hardware(),
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (output / "table.txt").write_text(table(summary) + "\n")
    draw(summary, output / "outcomes.png")
    print(table(summary))
    print(f"\nsummary.json, table.txt and outcomes.png are in {output}/")


def _plan(count: int) -> Iterator[tuple[str, tuple[str, float], str, int]]:
    """Gate, disturbance and its amount, task, seed; pairs follow each other."""
    for i in range(count):
        task, seed = TASKS[i % len(TASKS)], FIRST_SEED + i
        # Every task meets every disturbance.
        disturbance = DISTURBANCES[i // len(TASKS) % len(DISTURBANCES)]
        for happens in ((NONE, 0.0), disturbance):
            for gate in MODES if i % 2 else reversed(MODES):
                yield gate, happens, task, seed


def _play_one(
    operator: Operator,
    wait: Wait,
    progress: tqdm,
    gate: str,
    disturbance: tuple[str, float],
    task: str,
    seed: int,
) -> GatedEpisode:
    kind, amount = disturbance
    operator.degrade("none", 0.0, wait)
    operator.set_policy("expert", wait)
    operator.reset_task(task, seed, wait, MODES[gate])
    wait(lambda: operator.moving_for() > 0, START_S)
    began = time.monotonic()
    end, held_s, looked, happened = began + EPISODE_S, 0.0, began, False
    while time.monotonic() < end and not operator.success and operator.held_for() < HELD_S:
        wait(lambda: False, 0.05)
        progress.set_postfix_str(
            f"{task}, gate {gate}, {kind}: {operator.describe()}", refresh=False
        )
        progress.update(0)
        now = time.monotonic()
        held_s += (now - looked) * (operator.held_for() > 0)
        looked = now
        if kind != NONE and not happened and operator.moving_for() > MOVING_S:
            with contextlib.suppress(ServiceRefused):  # where there is no room for a box yet
                if kind == LOST:
                    operator.set_policy("random", wait)
                else:
                    operator.degrade(kind, amount, wait)
                happened = True
        if operator.contact_force > HARMFUL_N:
            end = min(end, now + AFTER_HARM_S)
    held = operator.held_for() >= HELD_S
    return GatedEpisode(
        gate,
        kind,
        happened,
        task,
        seed,
        operator.success,
        operator.contact_force,
        held,
        operator.describe() if held else "",
        round(held_s, 2),
        round(time.monotonic() - began, 2),
    )
