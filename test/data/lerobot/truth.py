"""What the dataset in made_by_lerobot holds, which LeRobot 0.4.4 itself wrote.

`python truth.py FOLDER`, with lerobot==0.4.4 installed, writes it again.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.spatial.transform import Rotation

FPS, LENGTHS, TASKS = 10, (45, 52, 47), ("open the drawer", "reach", "open the drawer")
HEIGHT, WIDTH = 32, 48
VIDEO, IMAGE = "observation.images.front", "observation.images.side"
STATE_NAMES = ["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper"]
ACTION_NAMES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]


def picture(episode: int, row: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: grey that tells the row, red that tells the episode."""
    shown = np.full((HEIGHT, WIDTH, 3), 20 + 4 * row, np.uint8)
    shown[:8] = (40 + 80 * episode, 0, 0)
    return shown


def poses(episode: int) -> tuple[np.ndarray, Rotation]:
    """Positions (N, 3) in metres, and orientations, of a hand that sways."""
    t = np.arange(LENGTHS[episode]) / FPS + episode
    position = 0.1 * np.stack([4 + np.sin(t), np.cos(0.7 * t), 2 + np.sin(0.5 * t)], axis=1)
    angles = np.stack([0.2 * np.sin(0.6 * t), 0.1 * np.cos(0.8 * t), 0.3 * np.sin(0.3 * t)], axis=1)
    return position, Rotation.from_euler("xyz", angles)


def closed(episode: int) -> np.ndarray:
    """(N,) the gripper's command, 0 open, 1 closed; it changes in the middle."""
    length = LENGTHS[episode]
    return (np.arange(length) > length // 2).astype(float)


def columns(episode: int) -> dict[str, np.ndarray]:
    """As Open X-Embodiment is converted: Euler angles, a gripper that is open at 1."""
    position, orientation = poses(episode)
    move = np.diff(position, axis=0, append=position[-1:])
    after = Rotation.concatenate([orientation[1:], orientation[-1:]])
    turn = (after * orientation.inv()).as_euler("xyz")
    gripper = 1 - closed(episode)[:, None]
    state = [position, orientation.as_euler("xyz"), np.zeros_like(gripper), gripper]
    return {
        "observation.state": np.concatenate(state, axis=1).astype(np.float32),
        "action": np.concatenate([move, turn, gripper], axis=1).astype(np.float32),
        "next.success": np.arange(LENGTHS[episode])[:, None] == LENGTHS[episode] - 1,
    }


def write(folder: str) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    camera = {"shape": (HEIGHT, WIDTH, 3), "names": ["height", "width", "channels"]}
    features = {
        VIDEO: {"dtype": "video", **camera},
        IMAGE: {"dtype": "image", **camera},
        "observation.state": {"dtype": "float32", "shape": (8,), "names": {"axes": STATE_NAMES}},
        "action": {"dtype": "float32", "shape": (7,), "names": {"axes": ACTION_NAMES}},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create("whale/test", FPS, features, root=folder)
    for episode, length in enumerate(LENGTHS):
        rows = columns(episode)
        for row in range(length):
            shown = picture(episode, row)
            frame = {name: values[row] for name, values in rows.items()}
            dataset.add_frame({VIDEO: shown, IMAGE: shown, "task": TASKS[episode], **frame})
        dataset.save_episode()
    dataset.finalize()


if __name__ == "__main__":
    write(sys.argv[1])
