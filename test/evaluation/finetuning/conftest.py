"""Two robots that push a square to the right: where it arrives, the task is done."""

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.sim.behaviors import DEMONSTRATING, MISTAKEN

STEPS, SIZE, SIDE = 24, 32, 8
GOAL, SHORT = 22, 14  # columns at which it comes to rest
MOST = 2  # demonstrations of a seed
CALIBRATING = 9  # the least that an alpha of 0.1 takes
DEMONSTRATIONS = MOST + CALIBRATING
HELD_OUT = 4  # of either kind


def episode(colour, goal: int, speed: float, row: int) -> Episode:
    frames, columns = [], np.minimum(speed * np.arange(STEPS + 1), goal)
    for column in columns.astype(int):
        picture = np.full((SIZE, SIZE, 3), 100)
        picture[:, -2:] = 250 - np.array(colour)  # else nothing tells where the goal is
        picture[row : row + SIDE, column : column + SIDE] = colour
        frames.append(picture)
    actions = np.zeros((STEPS, 7), np.float32)
    actions[:, 0] = np.diff(columns) / 100
    there = np.stack([columns / 100, np.full(STEPS + 1, row / 100), 0 * columns], 1)
    there, done = there.astype(np.float32), columns >= GOAL
    return Episode(np.array(frames, np.uint8), actions, there, there, done.astype(np.float32), done)


@pytest.fixture(scope="session")
def write_robot():
    """write_robot(folder, colour, demonstrations): as many to train, beside mistaken ones."""

    def write(folder, colour, demonstrations=DEMONSTRATIONS):
        infos, rng = [], np.random.default_rng(colour)
        kinds = [("train", DEMONSTRATING, demonstrations), ("train", MISTAKEN, 2)]
        kinds += [("validation", name, HELD_OUT) for name in (DEMONSTRATING, MISTAKEN)]
        for split, behavior, count in kinds:
            goal = GOAL if behavior == DEMONSTRATING else SHORT
            for _ in range(count):
                number = len(infos)
                info = EpisodeInfo(f"{split}/{number}.npz", split, "push", behavior, number)
                made = episode(colour, goal, rng.uniform(1.1, 1.6), int(rng.integers(0, 24)))
                save_episode(folder / info.file, made)
                infos.append(info)
        write_manifest(folder, ActionSpace(), infos)
        return folder

    return write


@pytest.fixture(scope="session")
def robots(write_robot, tmp_path_factory):
    """Folders of the new one and of the old one."""
    folder = tmp_path_factory.mktemp("robots")
    return write_robot(folder / "new", (250, 60, 60)), write_robot(folder / "old", (60, 60, 250))
