"""An episode is drawn whatever its task is called."""

import cv2
import numpy as np

from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.data.contact_sheet import draw_episode
from whale_ros.data.episodes import Episode


def test_a_task_with_dollars_is_drawn(tmp_path):
    steps = 12
    frames = np.random.default_rng(0).integers(0, 256, (steps + 1, 16, 16, 3), np.uint8)
    actions, positions = (np.zeros(shape, np.float32) for shape in ((steps, DIM), (steps + 1, 3)))
    episode = Episode(frames, actions, positions)
    draw_episode(tmp_path / "pictures" / "0.png", episode, r"pay $5 and \$_frac{", ActionSpace())
    assert cv2.imread(str(tmp_path / "pictures" / "0.png")).std() > 10
