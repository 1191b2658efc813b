"""From demonstrations to a model of this robot: records some on the simulated bench, fine-tunes the
shipped model, calibrates it, swaps it in and plans with it, and all of that again with more of
them; writes what happened to a folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from shutil import copyfile

import rclpy
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from whale_ros.evaluation.demo_log import EpisodeNote
from whale_ros.evaluation.finetune_demo_summary import (
    BASE,
    CALIBRATED,
    LEARNING,
    NOT_CALIBRATED,
    Story,
    summarise_story,
    table,
    why_failed,
)
from whale_ros.evaluation.hardware import hardware
from whale_ros.imagination.calibration import CALIBRATION
from whale_ros.nodes.demonstrations import ROBOT, TASK, record
from whale_ros.nodes.finetune_observer import FinetuneObserver
from whale_ros.nodes.operator import ServiceRefused
from whale_ros.nodes.processes import (
    START_UP_S,
    RunFailed,
    Wait,
    installed_or_source,
    isolate,
    running_nodes,
)
from whale_ros.world_model.checkpoint import CARD, SHIPPED, WEIGHTS

PLANNING = ("planner", "scripted_policy")  # only while something is planned
RUNNING = ("gate", "sim_robot", "world_model", "trainer")
CALIBRATING = 20  # demonstrations: with an alpha of 0.1, one may be such that it cannot be judged
FIRST_SEED, FIRST_TO_CALIBRATE, FIRST_TO_PLAN = 0, 10_000, 20_000
PLANNED = 5  # episodes
EPISODE_S, AFTER_SUCCESS_S = 25.0, 2.0
CLOSED_S = 10.0  # for which a gate is watched that must stay closed
BAR = "{desc}: {n:.0f}/{total:.0f} s{postfix}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="finetune_demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("finetune_output"))
    parser.add_argument(
        "--demonstrations", type=int, nargs="+", default=[5, 10, 20], metavar="N",
        help="a story for each number, told one after the other; default: 5 10 20",
    )  # fmt: skip
    options = parser.parse_args()
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    isolate()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # else a `spin` fails before it ends
    summaries: dict[str, dict] = {}
    try:
        for count in options.demonstrations:
            story = Story(went_on=(_folder(output, count) / "demonstrations").exists())
            _tell(story, output, count)
            summaries[str(count)] = _draw(story, _folder(output, count))
    except (RunFailed, ServiceRefused) as error:
        sys.exit(f"finetune_demo: {error}; what the nodes printed is in {output}/*/logs")
    except KeyboardInterrupt:
        sys.exit("finetune_demo: interrupted; the same command goes on")
    finally:
        rclpy.try_shutdown()
    _write(summaries, output)
    failures = {count: why_failed(summary) for count, summary in summaries.items()}
    if any(failures.values()):
        told = [f"with {n} demonstrations, {f}" for n, all_ in failures.items() for f in all_]
        sys.exit("finetune_demo: " + "; ".join(told))


def _folder(output: Path, demonstrations: int) -> Path:
    return output / f"{demonstrations}_demonstrations"


def _tell(story: Story, output: Path, demonstrations: int) -> None:
    """Raises RunFailed, ServiceRefused."""
    folder = _folder(output, demonstrations)
    bags, data, logs = folder / "demonstrations", folder / "data", folder / "logs"
    more, others = output / "more_demonstrations", output / "more_data"  # of all stories
    with _part(story, "record", f"{demonstrations} demonstrations of {TASK} on {ROBOT}"):
        seeds = range(FIRST_SEED, FIRST_SEED + demonstrations)
        story.demonstrations = record(bags, seeds, logs / "recording")
    with _part(story, "record more", f"{CALIBRATING} others, to calibrate with"):
        seeds = range(FIRST_TO_CALIBRATE, FIRST_TO_CALIBRATE + CALIBRATING)
        story.calibrating = record(more, seeds, logs / "recording")
    with _part(story, "convert", "bags to episodes"):
        _whale("convert", bags, data, may_fail=True)  # of a bag that gives nothing it tells
        _whale("convert", more, others, may_fail=True)
    with running_nodes(logs / "running", ROBOT, RUNNING) as processes:
        observer = FinetuneObserver(story)
        try:
            _swap(story, observer, processes, folder, others)
        finally:
            observer.destroy_node()
    story.base_afterwards = _hash_of(SHIPPED)


def _swap(
    story: Story,
    observer: FinetuneObserver,
    processes: list[subprocess.Popen],
    folder: Path,
    calibrating: Path,
) -> None:
    """Another model is made while the nodes run, and takes over.

    Raises RunFailed, ServiceRefused.
    """
    run, made, wait = folder / "run", folder / "run" / "checkpoint", Wait(observer, processes)

    def play(name: str, scenes: int, seconds: float) -> None:
        with running_nodes(folder / "logs" / name, ROBOT, PLANNING) as more:
            patience = Wait(observer, [*processes, *more])
            patience(observer.is_planned_for, START_UP_S, "planner and policy")
            with observer.noting(name):
                for number in range(scenes):
                    _play(observer, patience, FIRST_TO_PLAN + number, seconds)

    wait.for_the_nodes()
    story.base = _hash_of(SHIPPED)
    with _part(story, "try the base", "the gate must stay closed"):
        play(BASE, 1, CLOSED_S)
    what = "first the trainer collects what the base knew; the base runs on"
    with _part(story, "finetune", what), observer.noting(LEARNING):
        print(observer.train(folder / "data", run, wait))
    story.card = json.loads((made / CARD).read_text())
    story.finetuned = _hash_of(made)
    (made / CALIBRATION).unlink(missing_ok=True)  # of an earlier run
    with _part(story, "swap", "not calibrated: the gate must stay closed"):
        print(f"load_checkpoint says: {observer.load(made, wait)}")
        play(NOT_CALIBRATED, 1, CLOSED_S)
    with _part(story, "calibrate", "with demonstrations that were not learnt from"):
        _whale("calibrate", calibrating, "--checkpoint", made)
    with _part(story, "plan", f"{PLANNED} episodes with the fine-tuned model"):
        print(f"load_checkpoint says: {observer.load(made, wait) or 'ready'}")
        play(CALIBRATED, PLANNED, EPISODE_S)


def _play(observer: FinetuneObserver, wait: Wait, seed: int, seconds: float) -> None:
    """One scene for so long, or until the task is done, with the gate on."""
    observer.reset_task(TASK, seed, wait)
    begin, began, succeeded_at = observer.now(), time.monotonic(), None
    with tqdm(total=round(seconds), desc=f"scene {seed}", bar_format=BAR) as progress:
        while (passed := time.monotonic() - began) < seconds:
            wait(lambda: False, 0.1)
            progress.set_postfix_str(observer.describe(), refresh=False)
            progress.update(passed - progress.n)
            if observer.success and succeeded_at is None:
                succeeded_at, seconds = passed, min(seconds, passed + AFTER_SUCCESS_S)
    note = EpisodeNote(TASK, seed, begin, observer.now(), succeeded_at is not None)
    observer.log.episodes.append(note)


@contextlib.contextmanager
def _part(story: Story, name: str, what: str) -> Iterator[None]:
    """Say what comes, and note how long it took."""
    print(f"\n{name}: {what}", flush=True)
    began = time.monotonic()
    yield
    story.seconds[name] = time.monotonic() - began


def _whale(*arguments: object, may_fail: bool = False) -> None:
    """As a person would type it, in a process of its own. Raises RunFailed."""
    _, executables = installed_or_source()
    words = list(map(str, arguments))
    print("$ whale " + " ".join(words), flush=True)
    done = subprocess.run([sys.executable, str(executables / "whale"), *words])
    if done.returncode and not may_fail:
        raise RunFailed(f"`whale {' '.join(words)}` ended with status {done.returncode}")


def _hash_of(checkpoint: Path) -> str:
    return sha256((checkpoint / WEIGHTS).read_bytes()).hexdigest()


def _draw(story: Story, folder: Path) -> dict:
    """The pictures of a story; returns its summary."""
    from whale_ros.evaluation.finetune_demo_pictures import draw_demonstrations, draw_gate

    print("\nDrawing pictures ...", flush=True)
    draw_demonstrations(folder / "data", folder / "demonstrations.png")
    copyfile(folder / "run" / "before_and_after.png", folder / "before_and_after.png")
    draw_gate(story, folder / "gate.png")
    return summarise_story(story)


def _write(summaries: dict[str, dict], output: Path) -> None:
    """summary.json, a picture of all stories, and a table of them on the terminal."""
    from whale_ros.evaluation.finetune_demo_pictures import draw_stories

    draw_stories(summaries, output / "stories.png")
    summary = {"demonstrations": summaries, "hardware": hardware()}
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print("\n" + table(summaries))
    print(f"\nsummary.json is in {output}/, with pictures; begin with stories.png, and for each")
    print("number of demonstrations with before_and_after.png in its folder")
