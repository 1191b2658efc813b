"""The demonstration: starts every process, plays a few tasks, disturbs the camera half-way, and
writes what happened to a folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from tqdm import tqdm

from whale_ros.evaluation.demo_log import DemoLog, DisturbanceNote, EpisodeNote
from whale_ros.evaluation.hardware import hardware
from whale_ros.nodes.demo_observer import DemoObserver, ServiceRefused

SOURCE = Path(__file__).resolve().parents[2]
NODES = ("gate", "sim_robot", "world_model", "planner", "scripted_policy")
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
START_UP_S = 60.0
BAR = "{desc}: {n_fmt}/{total_fmt} episodes, {elapsed}{postfix}"


class DemoFailed(Exception):
    """The demonstration cannot go on; the message says what did not happen."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    isolate()
    began = time.monotonic()
    try:
        with running_nodes(output / "logs") as processes:
            log = play(processes)
    except (DemoFailed, ServiceRefused) as error:
        sys.exit(f"demo: {error}; what the nodes printed is in {output / 'logs'}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")
    failures = write(log, output, time.monotonic() - began)
    if failures:
        sys.exit("demo: " + "; ".join(failures))


def isolate() -> None:
    """Stay on this machine, in a ROS domain of our own: no real arm must hear of this."""
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 19))  # tests have 20 on
    if os.environ.get("ROS_DISTRO") == "humble":
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    else:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@contextlib.contextmanager
def running_nodes(logs: Path) -> Iterator[list[subprocess.Popen]]:
    """The same executables and parameter files that launch/planner.launch.py starts."""
    logs.mkdir(exist_ok=True)
    config, executables = _installed_or_source()
    with contextlib.ExitStack() as stack:
        processes = []
        for name in NODES:
            log = stack.enter_context((logs / f"{name}.log").open("w"))
            command = [sys.executable, str(executables / name), "--ros-args"]
            for file in (f"{name}.yaml", "robots/sim.yaml"):
                command += ["--params-file", str(config / file)]
            if name == "planner":
                command += ["-p", "frames_every:=3"]
            processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        try:
            yield processes
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def play(processes: list[subprocess.Popen]) -> DemoLog:
    """Play all episodes and return the observer's notes. Raises DemoFailed."""
    rclpy.init()
    observer = DemoObserver()
    log = observer.log

    def wait(condition, seconds: float, what: str = "") -> bool:
        """Spin until the condition holds; without a name for it, running out of time is fine."""
        end = time.monotonic() + seconds
        while not condition():
            observer.spin_once()
            dead = [str(p.args[1]) for p in processes if p.poll() is not None]  # type: ignore[index]
            if dead:
                raise DemoFailed(f"{', '.join(Path(d).name for d in dead)} has stopped")
            if time.monotonic() > end:
                if what:
                    raise DemoFailed(f"waited {seconds:g} s for {what}: {observer.explain()}")
                return False
        return True

    try:
        print("Waiting for the nodes ...", flush=True)
        wait(observer.all_ready, START_UP_S, "the nodes to be ready")
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


def _installed_or_source() -> tuple[Path, Path]:
    """Folders of the parameter files and the executables."""
    if (SOURCE / "package.xml").exists():
        return SOURCE / "config", SOURCE / "scripts"
    with contextlib.suppress(PackageNotFoundError):
        share = Path(get_package_share_directory("whale_ros"))
        return share / "config", share.parents[1] / "lib" / "whale_ros"
    raise DemoFailed("neither a checkout nor an installed package was found")
