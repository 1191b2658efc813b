"""A picture of an episode: what the camera saw, and the actions in between."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from whale_ros.actions.space import GRIPPER, POSITION, ROTATION, ActionSpace
from whale_ros.data.episodes import Episode

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

SHOWN = 10  # frames


def draw_episode(path: Path, episode: Episode, title: str, space: ActionSpace) -> None:
    """Frames spread over the episode, above translation, rotation and gripper over time."""
    steps = len(episode.actions)
    figure = plt.figure(figsize=(11, 6.5), layout="constrained")
    grid = figure.add_gridspec(4, SHOWN, height_ratios=(1.2, 1, 1, 0.6))
    for column, frame in enumerate(np.linspace(0, steps, SHOWN).round().astype(int)):
        axis = figure.add_subplot(grid[0, column])
        axis.imshow(episode.frames[frame])
        axis.set(xticks=[], yticks=[])
        axis.set_title(f"{frame * space.step_s:.1f} s", fontsize=9)
    begins_s = np.arange(steps + 1) * space.step_s
    for row, (part, names, label, limit) in enumerate(
        (
            (POSITION, "xyz", f"translation\n[m in {space.step_s:g} s]", space.max_translation_m),
            (ROTATION, "xyz", f"rotation\n[rad in {space.step_s:g} s]", space.max_rotation_rad),
            (slice(GRIPPER, None), "g", "gripper\n0 open, 1 closed", None),
        )
    ):
        axis = figure.add_subplot(grid[row + 1, :])
        for numbers, name in zip(episode.actions[:, part].T, names, strict=True):
            axis.stairs(numbers, begins_s, baseline=None, label=name)
        axis.set_ylabel(label, fontsize=9)
        axis.set_xlim(0, begins_s[-1])
        if limit is None:
            axis.set(xlabel="time [s]", ylim=(-0.1, 1.1))
        else:
            axis.axhspan(-limit, limit, color="0.95", zorder=0)
            axis.legend(loc="upper right", ncols=3, fontsize=8)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
