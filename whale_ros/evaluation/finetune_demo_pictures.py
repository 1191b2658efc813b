"""Pictures of a fine-tuning: what was shown to the robot, what is foretold, what the gate did."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch

from whale_ros.data.episodes import load_episode, read_manifest
from whale_ros.evaluation.demo_pictures import draw_timelines
from whale_ros.evaluation.finetune_demo_summary import (
    BASE,
    CALIBRATED,
    NOT_CALIBRATED,
    SHOWN_STEP,
    Story,
)
from whale_ros.evaluation.prediction import HORIZON, foretell
from whale_ros.evaluation.windows import windows_at
from whale_ros.imagination.live import HISTORY
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import load_checkpoint
from whale_ros.world_model.frames import to_bytes

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

SHOWN_DEMONSTRATIONS, SHOWN_FRAMES = 10, 10
OUTCOMES = ("failure", "success")
SHOWN_STEPS = (1, 2, 4, 6, 8, 11, 15)


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


def draw_before_and_after(base: Path, finetuned: Path, data: Path, path: Path) -> None:
    """A held-out demonstration: what happened, and what each of the two models imagined."""
    held_out = EpisodeSet(data, "validation")
    middle = (int(held_out.frames.lengths[0]) - HISTORY - HORIZON) // 2
    window = windows_at(held_out, torch.tensor([[0, middle]]), HISTORY, HORIZON)
    rows = {"what happened": window.future_frames}
    models = {"imagined by the base": base, "imagined after\nfine-tuning": finetuned}
    for name, folder in models.items():
        model, _ = load_checkpoint(folder)
        with torch.inference_mode():
            codes = foretell(model, window, window.actions).latents
            rows[name] = model.decode(codes, window.last)
    figure, axes = plt.subplots(
        len(rows), len(SHOWN_STEPS) + 1, figsize=(11, 4.6), layout="constrained"
    )
    seen = to_bytes(window.last[0])[0]
    for line, (name, frames) in zip(axes, rows.items(), strict=True):
        pictures = [seen, *to_bytes(frames[0])[[step - 1 for step in SHOWN_STEPS]]]
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for axis, step in zip(axes[0], (0, *SHOWN_STEPS), strict=True):
        axis.set_title(f"{step * held_out.action_space.step_s:.1f} s", fontsize=9)
    figure.savefig(path, dpi=90)
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
