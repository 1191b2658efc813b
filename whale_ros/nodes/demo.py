"""The demonstration: starts every process, plays a few tasks, disturbs the camera half-way, and
writes what happened to a folder."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from tqdm import tqdm

from whale_ros.evaluation.demo_log import DemoLog, DisturbanceNote, EpisodeNote
from whale_ros.evaluation.hardware import hardware
from whale_ros.nodes.demo_observer import DemoObserver
from whale_ros.nodes.operator import ServiceRefused
from whale_ros.nodes.processes import RunFailed, Wait, isolate, running_nodes

EPISODES = (
    ("reach-v3", 101),
    ("push-v3", 102),
    ("drawer-open-v3", 103),
    ("reach-v3", 104),
    ("drawer-open-v3", 105),
    ("push-v3", 106),
)
DISTURBED = {2: "blackout", 3: "shift"}  # which episodes' camera is disturbed while the arm moves
SHIFT_M = 0.25
DISTURBANCE_S = 3.0
EPISODE_S = 14.0  # the longest
AFTER_SUCCESS_S = 2.0
BAR = "{desc}: {n_fmt}/{total_fmt} episodes, {elapsed}{postfix}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    isolate()
    began = time.monotonic()
    try:
        with running_nodes(output / "logs", planner=("-p", "frames_every:=3")) as processes:
            log = play(processes)
    except (RunFailed, ServiceRefused) as error:
        sys.exit(f"demo: {error}; what the nodes printed is in {output / 'logs'}")
    except (KeyboardInterrupt, ExternalShutdownException):
        sys.exit("demo: interrupted")
    failures = write(log, output, time.monotonic() - began)
    if failures:
        sys.exit("demo: " + "; ".join(failures))


def play(processes: list[subprocess.Popen]) -> DemoLog:
    """Play all episodes and return the observer's notes. Raises RunFailed."""
    rclpy.init()
    observer = DemoObserver()
    log, wait = observer.log, Wait(observer, processes)
    try:
        wait.for_the_nodes()
        progress = tqdm(EPISODES, "demo", unit="episode", mininterval=0.5, bar_format=BAR)
        for number, (task, seed) in enumerate(progress):
            progress.set_postfix_str(f"{task}: start")
            observer.reset_task(task, seed, wait)
            begin = observer.now()
            end = time.monotonic() + EPISODE_S
            disturbance = DISTURBED.get(number)
            succeeded_at = None
            while time.monotonic() < end:
                wait(lambda: False, 0.1)
                progress.set_postfix_str(f"{task}: {observer.describe()}", refresh=False)
                progress.update(0)
                if disturbance and observer.moving_for() > 1.0:
                    since = observer.now()
                    observer.degrade(disturbance, SHIFT_M, wait)
                    progress.set_postfix_str(f"{task}: camera {disturbance}")
                    wait(lambda: False, DISTURBANCE_S)
                    observer.degrade("none", 0.0, wait)
                    log.disturbances.append(DisturbanceNote(disturbance, since, observer.now()))
                    disturbance = None
                    end += DISTURBANCE_S
                if observer.success and succeeded_at is None:
                    succeeded_at = time.monotonic()
                if succeeded_at and time.monotonic() > succeeded_at + AFTER_SUCCESS_S:
                    break
            log.episodes.append(
                EpisodeNote(task, seed, begin, observer.now(), succeeded_at is not None)
            )
    finally:
        observer.destroy_node()
        rclpy.try_shutdown()
    return log


def write(log: DemoLog, output: Path, seconds: float) -> list[str]:
    """summary.json and the pictures; returns what a working system would not have done."""
    from whale_ros.evaluation.demo_pictures import (
        draw_decision,
        draw_timeline,
        interesting_decisions,
    )
    from whale_ros.evaluation.demo_summary import summarise, why_failed

    print("Drawing pictures ...", flush=True)
    draw_timeline(log, output / "timeline.png")
    for old in output.glob("imagined_*.png"):
        old.unlink()
    for i, decision in enumerate(interesting_decisions(log, len(EPISODES))):
        draw_decision(log, decision, output / f"imagined_{i + 1}.png")
    summary = summarise(log) | {
        "seconds": round(seconds, 1),
        "hardware": hardware(),
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    print(f"\nPictures and summary.json are in {output}/; begin with timeline.png")
    return why_failed(summary)
