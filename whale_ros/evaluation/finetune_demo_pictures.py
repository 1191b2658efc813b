"""Pictures of a fine-tuning: what was shown to the robot, what is foretold, what the gate did."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from whale_ros.data.episodes import load_episode, read_manifest
from whale_ros.evaluation.demo_pictures import draw_timelines
from whale_ros.evaluation.finetune_demo_summary import (
    BASE,
    CALIBRATED,
    NOT_CALIBRATED,
    SHOWN_STEP,
    Story,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

SHOWN_DEMONSTRATIONS, SHOWN_FRAMES = 10, 10
OUTCOMES = ("failure", "success")


def draw_demonstrations(data: Path, path: Path) -> None:
    """A line of pictures for each demonstration, from its beginning to its end."""
    space, infos = read_manifest(data)
    infos = infos[:SHOWN_DEMONSTRATIONS]
    figure, axes = plt.subplots(
        len(infos), 1, figsize=(9, 0.92 * len(infos)), layout="constrained", squeeze=False
    )
    for axis, info in zip(axes[:, 0], infos, strict=True):
        episode = load_episode(data / info.file)
        shown = np.linspace(0, len(episode.frames) - 1, SHOWN_FRAMES).round().astype(int)
        axis.imshow(np.hstack(episode.frames[shown]))
        axis.set(xticks=[], yticks=[])
        how = "no label" if episode.success is None else OUTCOMES[int(episode.success[-1])]
        text = f"{info.seed}: {len(episode.actions) * space.step_s:.1f} s\n{how}\n{info.split}"
        axis.set_ylabel(text, fontsize=7, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=80, bbox_inches="tight")  # else the words are cut off
    plt.close(figure)


def draw_gate(story: Story, path: Path) -> None:
    """What the gate saw and did with the base, with the new model, and with its calibration."""
    draw_timelines({name: story.gate[name] for name in (BASE, NOT_CALIBRATED, CALIBRATED)}, path)


def draw_stories(summaries: dict[str, dict], path: Path) -> None:
    """What more demonstrations bring: how well held-out ones are foretold, and what it takes."""
    figure, (quality, time) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    counts = list(summaries)
    psnr = [summary["held_out_moving_pixels_psnr_db"] for summary in summaries.values()]
    for name, label in (
        ("copy of the last frame", "last frame copied"),
        ("before", "shipped base"),
        ("after", "fine-tuned"),
    ):
        quality.plot(counts, [of[name][SHOWN_STEP] for of in psnr], "o-", label=label)
    quality.set(
        xlabel="demonstrations", ylabel=f"PSNR of moving pixels,\n{SHOWN_STEP} steps on [dB]"
    )
    quality.legend(fontsize=8)
    below = np.zeros(len(counts))
    for part in next(iter(summaries.values()))["seconds"]:
        if part != "all":
            minutes = np.array([summary["seconds"][part] / 60 for summary in summaries.values()])
            time.bar(counts, minutes, bottom=below, label=part)
            below += minutes
    time.set(xlabel="demonstrations", ylabel="minutes")
    time.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=90)
    plt.close(figure)
