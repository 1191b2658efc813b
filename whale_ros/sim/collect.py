"""Collect a dataset from the simulated arm: several behaviours in every task."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION, ActionSpace
from whale_ros.data.episodes import (
    Episode,
    EpisodeInfo,
    load_episode,
    save_episode,
    write_manifest,
)
from whale_ros.data.frames import fit
from whale_ros.sim.arm import HELD_OUT_TASKS, STEP_S, TASKS
from whale_ros.sim.behaviors import BEHAVIORS, DEMONSTRATING, HELD_OUT_BEHAVIORS, MISTAKEN, Behavior
from whale_ros.sim.bench.arm import TASKS as BENCH_TASKS
from whale_ros.sim.camera import Degradation
from whale_ros.sim.intruder import spots_near
from whale_ros.sim.robots import ROBOTS, Arm


@dataclass(frozen=True)
class Split:
    """What a split holds, and how its scenes differ from those that are trained on."""

    tasks: tuple[str, ...]
    behaviors: tuple[str, ...]
    first_seed: int
    shift_m: float = 0.0  # of the camera
    light: float = 1.0  # factor
    intruder_m: float = 0.0  # edge of a box near the task's object; 0: there is none
    action_scale: float = 1.0  # of translations and rotations; beyond 1 they leave the limits


def _study(nominal: Split, held_out_tasks: tuple[str, ...] = ()) -> dict[str, Split]:
    """Nominal scenes, and one thing different at a time; names are condition and severity."""
    others = {
        **{f"shift_{m:g}": replace(nominal, shift_m=m) for m in (0.03, 0.06, 0.12, 0.25)},
        **{f"light_{factor:g}": replace(nominal, light=factor) for factor in (0.5, 0.75, 1.5, 2)},
        **{f"intruder_{m:g}": replace(nominal, intruder_m=m) for m in (0.04, 0.07, 0.1)},
        **{f"fast_{factor:g}": replace(nominal, action_scale=factor) for factor in (1.5, 2, 3)},
        **({"other tasks": replace(nominal, tasks=held_out_tasks)} if held_out_tasks else {}),
        "other behaviors": replace(nominal, behaviors=HELD_OUT_BEHAVIORS),
    }
    splits = {"nominal": nominal}
    for i, (name, split) in enumerate(others.items()):
        splits[name] = replace(split, first_seed=nominal.first_seed + 10_000 * (i + 1))
    return splits


# What a dataset of the Sawyer is for, and its splits. No two have a seed in common.
SPLITS = {
    "training": {
        "train": Split(TASKS, BEHAVIORS, 0),
        "validation": Split(TASKS, BEHAVIORS, 100_000),
        "held_out_behaviors": Split(TASKS, HELD_OUT_BEHAVIORS, 200_000),
        "held_out_tasks": Split(HELD_OUT_TASKS, BEHAVIORS, 300_000),
    },
    "calibration": {
        "calibration": Split(TASKS, BEHAVIORS, 400_000),
        "test": Split(TASKS, BEHAVIORS, 500_000),
    },
    "study": _study(Split(TASKS, BEHAVIORS, 600_000), HELD_OUT_TASKS),
}

_BENCH_BEHAVIORS = (DEMONSTRATING, MISTAKEN, *BEHAVIORS)

# The same of the bench. Seeds below 100,000 are left to demonstrations that are recorded by ROS.
BENCH_SPLITS = {
    "training": {
        "train": Split(BENCH_TASKS, _BENCH_BEHAVIORS, 100_000),
        "validation": Split(BENCH_TASKS, _BENCH_BEHAVIORS, 200_000),
    },
    "calibration": {
        "calibration": Split(BENCH_TASKS, _BENCH_BEHAVIORS, 400_000),
        "test": Split(BENCH_TASKS, _BENCH_BEHAVIORS, 500_000),
    },
    "study": _study(Split(BENCH_TASKS, _BENCH_BEHAVIORS, 600_000)),
}


def collect(
    folder: Path,
    episodes: int,
    held_out_episodes: int,
    steps: int,
    resolution: int,
    workers: int,
    space: ActionSpace,
    purpose: str = "training",
    robot: str = "sawyer",
) -> None:
    """Record episodes round robin over tasks and behaviours; skips those already there.

    `episodes` of the first of the robot's splits for the purpose, see SPLITS and BENCH_SPLITS, and
    `held_out_episodes` of every other.
    Raises ValueError if the simulated arm cannot be told actions of that type, or if those that
    are there have other steps or another resolution.
    """
    space.must_be_executable()
    splits = {"sawyer": SPLITS, "bench": BENCH_SPLITS}[robot][purpose]
    infos = [
        info
        for i, (name, split) in enumerate(splits.items())
        for info in _round_robin(name, split, held_out_episodes if i else episodes)
    ]
    missing = [info for info in infos if not (folder / info.file).exists()]
    if there := [info for info in infos if info not in missing]:
        _must_be_alike(folder / there[0].file, steps, resolution)
    jobs = [(robot, folder, info, splits[info.split], steps, resolution, space) for info in missing]
    # "spawn", because an OpenGL context does not survive a fork
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        done = pool.map(_record, jobs)
        for _ in tqdm(done, "collecting", len(jobs), unit="episode"):
            pass
    write_manifest(folder, space, infos)


def run_episode(
    arm: Arm,
    behavior: Behavior,
    steps: int,
    resolution: int,
    space: ActionSpace,
    action_scale: float = 1.0,
) -> Episode:
    """Let `behavior` act from the arm's present state for `steps` actions.

    Its translations and rotations are scaled after they were clipped to the space's limits.
    """
    scale = np.ones(DIM)
    scale[POSITION] = scale[ROTATION] = action_scale
    log: dict[str, list] = {name: [] for name in Episode.__dataclass_fields__}
    for step in range(steps + 1):
        log["frames"].append(fit(arm.render(), resolution))
        log["hand_position"].append(arm.hand_position)
        log["object_position"].append(arm.object_position)
        log["progress"].append(arm.progress)
        log["success"].append(arm.success)
        if step < steps:
            action = behavior.act(arm.observation) * scale
            log["actions"].append(action)
            execute(arm, action, space)
    floats = ("actions", "hand_position", "object_position", "progress")
    arrays = {k: np.asarray(v, np.float32 if k in floats else None) for k, v in log.items()}
    return Episode(**arrays)


def execute(arm: Arm, action: np.ndarray, space: ActionSpace) -> None:
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


def _round_robin(name: str, split: Split, count: int) -> Iterator[EpisodeInfo]:
    tasks, behaviors = split.tasks, split.behaviors
    for i in range(count):
        task = tasks[i % len(tasks)]
        behavior = behaviors[i // len(tasks) % len(behaviors)]
        yield EpisodeInfo(f"{name}/{i:06d}.npz", name, task, behavior, split.first_seed + i)


_arm: Arm | None = None  # one a worker process; models take a second to load


def _record(job: tuple[str, Path, EpisodeInfo, Split, int, int, ActionSpace]) -> None:
    robot, folder, info, split, steps, resolution, space = job
    global _arm
    if _arm is None:
        _arm = ROBOTS[robot].arm()
    set_scene(_arm, info, split)
    behavior = Behavior(info.behavior, info.task, space, info.seed)
    episode = run_episode(_arm, behavior, steps, resolution, space, split.action_scale)
    save_episode(folder / info.file, episode)


def set_scene(arm: Arm, info: EpisodeInfo, split: Split) -> None:
    """Reset the arm to the start of an episode, with what the split has different.

    Raises ValueError if there is no room for its intruder.
    """
    arm.reset(info.task, info.seed)
    arm.camera.degradation = Degradation(shift_m=split.shift_m, light=split.light)
    if split.intruder_m:
        spots = spots_near(arm.object_position, split.intruder_m, np.random.default_rng(info.seed))
        if not arm.intruder.put_where_free(spots, split.intruder_m):
            raise ValueError(f"{info.file}: no room for a box of {split.intruder_m:g} m")
