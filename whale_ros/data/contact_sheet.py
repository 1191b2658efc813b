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
    """Frames spread over the episode, above translation, rotation and gripper over time.

    title: which episode it is; whether it succeeds is put behind.
    """
    steps, step_s = len(episode.actions), space.step_s
    shown = np.linspace(0, steps, SHOWN).round().astype(int)
    figure, axes = plt.subplots(4, figsize=(11, 7), height_ratios=(1.3, 1, 1, 0.6))
    figure.subplots_adjust(left=0.1, right=0.98, top=0.92, bottom=0.08, hspace=0.3)
    frames, *plots = axes
    frames.imshow(np.hstack(episode.frames[shown]))
    width = episode.frames.shape[2]
    frames.set_xticks(width * (np.arange(SHOWN) + 0.5), [f"{t * step_s:.1f} s" for t in shown])
    frames.set_yticks([])
    begins_s = np.arange(steps + 1) * step_s
    for axis, part, unit, limit in (
        (plots[0], POSITION, "translation [m]", space.max_translation_m),
        (plots[1], ROTATION, "rotation [rad]", space.max_rotation_rad),
        (plots[2], slice(GRIPPER, None), "closed", None),
    ):
        for numbers, name in zip(episode.actions[:, part].T, "xyz", strict=False):
            axis.stairs(numbers, begins_s, baseline=None, label=name)
        axis.set(ylabel=unit, xlim=(0, begins_s[-1]))
        if limit is None:
            axis.set(xlabel="time [s]", ylim=(-0.1, 1.1))
        else:
            axis.axhspan(-limit, limit, color="0.95", zorder=0)
            axis.legend(loc="upper right", ncols=3, fontsize=8)
    heading = f"{title}, {_label(episode)}\nactions of {step_s:g} s, grey: the action space"
    figure.suptitle(heading, fontsize=10, parse_math=False)  # a task may have dollars in its name
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _label(episode: Episode) -> str:
    if episode.success is None:
        return "not labelled"
    return "success" if episode.success.any() else "no success"
