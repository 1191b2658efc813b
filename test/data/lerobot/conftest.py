"""A dataset that LeRobot wrote, what it holds, and one of ours."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.data.lerobot.exporting import export_dataset

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def truth():
    """The module truth.py."""
    spec = importlib.util.spec_from_file_location("truth", HERE / "truth.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def theirs(tmp_path) -> Path:
    """A copy of the dataset that LeRobot wrote."""
    return Path(shutil.copytree(HERE / "made_by_lerobot", tmp_path / "theirs"))


@pytest.fixture(scope="session")
def write_episodes():
    """write_episodes(folder, episodes, space=ActionSpace(), splits=None, task="reach-v3")."""

    def write(folder, episodes, space=None, splits=None, task="reach-v3"):
        infos = []
        for number, episode in enumerate(episodes):
            split = splits[number] if splits else "train"
            info = EpisodeInfo(f"{split}/{number}.npz", split, task, "expert", number)
            save_episode(folder / info.file, episode)
            infos.append(info)
        write_manifest(folder, space or ActionSpace(), infos)
        return infos

    return write


@pytest.fixture(scope="session")
def random_episode():
    """random_episode(steps, seed=0, size=(16, 16), known=all that may be known)."""

    def make(steps, seed=0, size=(16, 16), known=("object_position", "progress", "success")):
        rng = np.random.default_rng(seed)
        others = {
            "object_position": rng.normal(size=(steps + 1, 3)).astype(np.float32),
            "progress": rng.random(steps + 1).astype(np.float32),
            "success": rng.random(steps + 1) < 0.5,
        }
        return Episode(
            frames=rng.integers(0, 256, (steps + 1, *size, 3), np.uint8),
            actions=rng.normal(size=(steps, 7)).astype(np.float32),
            hand_position=rng.normal(size=(steps + 1, 3)).astype(np.float32),
            **{name: others[name] for name in known},
        )

    return make


@pytest.fixture
def ours(tmp_path, write_episodes, random_episode) -> Path:
    """An export of two random episodes."""
    write_episodes(tmp_path / "data", [random_episode(3, 0), random_episode(5, 1)])
    export_dataset(tmp_path / "data", tmp_path / "ours")
    return tmp_path / "ours"
