"""A tiny dataset whose frames and actions tell where they are from, and one of the real arm."""

import numpy as np
import pytest
import yaml

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest

STEPS = 23


@pytest.fixture
def write_data(tmp_path):
    """write_data(steps=(23, 23, 23), split="train"): a folder with an episode for each length."""

    def write(steps=(STEPS, STEPS, STEPS), split="train"):
        infos = []
        for number, count in enumerate(steps):
            frames = np.zeros((count + 1, 32, 32, 3), np.uint8)
            frames[..., 0] = 20 * number
            frames[..., 1] = np.arange(count + 1)[:, None, None]
            frames[..., 2] = np.random.default_rng(number).integers(0, 256, (1, 32, 32))
            actions = np.zeros((count, 7), np.float32)
            actions[:, 0], actions[:, 1] = number, np.arange(count)
            still = np.zeros((count + 1, 3), np.float32)
            done = np.zeros(count + 1, bool)
            episode = Episode(frames, actions, still, still, done.astype(np.float32), done)
            info = EpisodeInfo(f"{split}/{number}.npz", split, "reach-v3", "expert", number)
            save_episode(tmp_path / "data" / info.file, episode)
            infos.append(info)
        write_manifest(tmp_path / "data", ActionSpace(), infos)
        return tmp_path / "data"

    return write


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A folder with three episodes of the simulated arm, 32 pixels wide."""
    from whale_ros.sim.arm import SimArm
    from whale_ros.sim.behaviors import Behavior
    from whale_ros.sim.collect import run_episode

    folder = tmp_path_factory.mktemp("recorded")
    space, infos = ActionSpace(), []
    arm = SimArm("reach-v3", 0)
    for seed, name in enumerate(("expert", "noisy", "slow")):
        arm.reset("reach-v3", seed)
        behavior = Behavior(name, "reach-v3", space, seed)
        info = EpisodeInfo(f"train/{seed}.npz", "train", "reach-v3", name, seed)
        save_episode(folder / info.file, run_episode(arm, behavior, STEPS, 32, space))
        infos.append(info)
    arm.close()
    write_manifest(folder, space, infos)
    return folder


@pytest.fixture(scope="session")
def small_yaml(small_config, tmp_path_factory):
    """`small_config` as a file, for other processes."""
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    content = small_config.to_dict()
    content["tokenizer"]["channels"] = list(content["tokenizer"]["channels"])
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="session")
def write_scene():
    """write_scene(folder, colour): episodes of a square that goes where the actions tell it."""

    def write(folder, colour, train=4, validation=2, steps=24, size=32, side=8):
        infos, rng = [], np.random.default_rng(colour)
        wall = rng.integers(0, 80, (size, size, 3))
        for number in range(train + validation):
            corner, speed = rng.uniform(0, size - side, 2), rng.uniform(-0.05, 0.05, 2)
            frames, actions = [], np.zeros((steps, 7), np.float32)
            for step in range(steps + 1):
                picture = wall.copy()
                row, column = corner.astype(int)
                picture[row : row + side, column : column + side] = colour
                frames.append(picture)
                if step < steps:
                    there = corner + 40 * speed  # pixels a metre
                    speed = np.where((there < 0) | (there > size - side), -speed, speed)
                    corner = corner + 40 * speed
                    actions[step, :2] = speed
            split = "train" if number < train else "validation"
            still = np.zeros((steps + 1, 3), np.float32)
            info = EpisodeInfo(f"{split}/{number}.npz", split, "slide", "demonstration", number)
            save_episode(folder / info.file, Episode(np.array(frames, np.uint8), actions, still))
            infos.append(info)
        write_manifest(folder, ActionSpace(), infos)
        return folder

    return write
