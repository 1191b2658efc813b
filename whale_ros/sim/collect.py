"""Collect a dataset from the simulated arm: several behaviours in every task."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from whale_ros.actions.space import GRIPPER, POSITION, ROTATION, ActionSpace
from whale_ros.data.episodes import (
    Episode,
    EpisodeInfo,
    load_episode,
    save_episode,
    write_manifest,
)
from whale_ros.data.frames import fit
from whale_ros.sim.arm import HELD_OUT_TASKS, STEP_S, TASKS, SimArm
from whale_ros.sim.behaviors import BEHAVIORS, HELD_OUT_BEHAVIORS, Behavior

# What each split holds: tasks, behaviours, and the number that its seeds begin with.
SPLITS = {
    "train": (TASKS, BEHAVIORS, 0),
    "validation": (TASKS, BEHAVIORS, 100_000),
    "held_out_behaviors": (TASKS, HELD_OUT_BEHAVIORS, 200_000),
    "held_out_tasks": (HELD_OUT_TASKS, BEHAVIORS, 300_000),
}


def collect(
    folder: Path,
    episodes: int,
    held_out_episodes: int,
    steps: int,
    resolution: int,
    workers: int,
    space: ActionSpace,
) -> None:
    """Record episodes round robin over tasks and behaviours; skips those already there.

    `episodes` to train on, and `held_out_episodes` of every other split.
    Raises ValueError if the simulated arm cannot be told actions of that type, or if those that
    are there have other steps or another resolution.
    """
    space.must_be_executable()
    infos = [
        info
        for split in SPLITS
        for info in _round_robin(split, episodes if split == "train" else held_out_episodes)
    ]
    missing = [info for info in infos if not (folder / info.file).exists()]
    if there := [info for info in infos if info not in missing]:
        _must_be_alike(folder / there[0].file, steps, resolution)
    jobs = [(folder, info, steps, resolution, space) for info in missing]
    # "spawn", because an OpenGL context does not survive a fork
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        done = pool.map(_record, jobs)
        for _ in tqdm(done, "collecting", len(jobs), unit="episode"):
            pass
    write_manifest(folder, space, infos)


def run_episode(
    arm: SimArm, behavior: Behavior, steps: int, resolution: int, space: ActionSpace
) -> Episode:
    """Let `behavior` act from the arm's present state for `steps` actions."""
    log: dict[str, list] = {name: [] for name in Episode.__dataclass_fields__}
    for step in range(steps + 1):
        log["frames"].append(fit(arm.render(), resolution))
        log["hand_position"].append(arm.hand_position)
        log["object_position"].append(arm.object_position)
        log["progress"].append(arm.progress)
        log["success"].append(arm.success)
        if step < steps:
            action = behavior.act(arm.observation)
            log["actions"].append(action)
            execute(arm, action, space)
    floats = ("actions", "hand_position", "object_position", "progress")
    arrays = {k: np.asarray(v, np.float32 if k in floats else None) for k, v in log.items()}
    return Episode(**arrays)


def execute(arm: SimArm, action: np.ndarray, space: ActionSpace) -> None:
    """Drive the arm at constant velocity through one action (7,)."""
    twist = np.concatenate([action[POSITION], action[ROTATION]]) / space.step_s
    for _ in range(round(space.step_s / STEP_S)):
        arm.step(twist, action[GRIPPER])


def _must_be_alike(path: Path, steps: int, resolution: int) -> None:
    frames = load_episode(path).frames
    if frames.shape[:2] != (steps + 1, resolution):
        raise ValueError(
            f"{path} has {len(frames) - 1} steps at {frames.shape[1]} pixels, "
            f"asked for are {steps} at {resolution}; choose another folder, or ask for the former"
        )


def _round_robin(split: str, count: int) -> Iterator[EpisodeInfo]:
    tasks, behaviors, first_seed = SPLITS[split]
    for i in range(count):
        task = tasks[i % len(tasks)]
        behavior = behaviors[i // len(tasks) % len(behaviors)]
        yield EpisodeInfo(f"{split}/{i:06d}.npz", split, task, behavior, first_seed + i)


_arm: SimArm | None = None  # one a worker process; models take a second to load


def _record(job: tuple[Path, EpisodeInfo, int, int, ActionSpace]) -> None:
    folder, info, steps, resolution, space = job
    global _arm
    if _arm is None:
        _arm = SimArm()
    _arm.reset(info.task, info.seed)
    behavior = Behavior(info.behavior, info.task, space, info.seed)
    save_episode(folder / info.file, run_episode(_arm, behavior, steps, resolution, space))
