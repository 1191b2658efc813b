"""Pictures of what was foretold, beside what happened."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

from whale_ros.evaluation.prediction import HORIZON, WAYS, every_way, foretell
from whale_ros.evaluation.windows import windows_at
from whale_ros.imagination.live import HISTORY
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_bytes
from whale_ros.world_model.whale_st import WhaleST

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

SHOWN_WINDOWS = 4
SHOWN_STEPS = (1, 2, 4, 6, 8, 11, 15)
LABELS = {
    "real": "what happened",
    "model": "imagined",
    "shuffled": "imagined under\nother actions",
    "copy": "last frame",
}


def draw_windows(model: WhaleST, data: EpisodeSet, folder: Path, seed: int = 0) -> None:
    """A picture for the first window of a few episodes, spread over the split.

    Rows are what happened and what was foretold, columns are steps.
    """
    episodes = torch.linspace(0, len(data) - 1, min(SHOWN_WINDOWS, len(data))).long()
    pairs = torch.stack([episodes, torch.zeros_like(episodes)], dim=1)
    window = windows_at(data, pairs, HISTORY, HORIZON, model.device, seed)
    rows = {name: way.frames for name, way in every_way(model, window).items()}
    rows["real"] = window.future_frames
    for number, episode in enumerate(episodes.tolist()):
        info = data.infos[episode]
        figure, axes = plt.subplots(
            len(LABELS), len(SHOWN_STEPS), figsize=(11, 7), layout="constrained"
        )
        for line, (name, label) in zip(axes, LABELS.items(), strict=True):
            line[0].set_ylabel(label)
            for axis, step in zip(line, SHOWN_STEPS, strict=True):
                axis.imshow(to_bytes(rows[name][number, step - 1]).cpu().numpy())
                axis.set(xticks=[], yticks=[])
        for axis, step in zip(axes[0], SHOWN_STEPS, strict=True):
            axis.set_title(f"step {step}")
        figure.suptitle(f"{info.task}, {info.behavior}, seed {info.seed} ({info.split})")
        figure.savefig(folder / f"window_{number}.png", dpi=100)
        plt.close(figure)


@torch.inference_mode()
def draw_before_and_after(
    base: WhaleST, finetuned: WhaleST, held_out: EpisodeSet, path: Path
) -> None:
    """The middle of a held-out demonstration: what happened, and what each model imagined."""
    middle = (int(held_out.frames.lengths[0]) - HISTORY - HORIZON) // 2
    window = windows_at(held_out, torch.tensor([[0, middle]]), HISTORY, HORIZON, base.device)
    rows = {"what happened": window.future_frames}
    models = {"imagined by the base": base, "imagined after\nfine-tuning": finetuned}
    for name, model in models.items():
        codes = foretell(model, window, window.actions).latents
        rows[name] = model.decode(codes, window.last)
    figure, axes = plt.subplots(
        len(rows), len(SHOWN_STEPS) + 1, figsize=(11, 4.6), layout="constrained"
    )
    for line, (name, frames) in zip(axes, rows.items(), strict=True):
        shown = [window.last[0, 0], *(frames[0, step - 1] for step in SHOWN_STEPS)]
        for axis, frame in zip(line, shown, strict=True):
            axis.imshow(to_bytes(frame).cpu().numpy())
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for axis, step in zip(axes[0], (0, *SHOWN_STEPS), strict=True):
        axis.set_title(f"{step * held_out.action_space.step_s:.1f} s", fontsize=9)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def draw_psnr(report: dict, path: Path) -> None:
    """PSNR on moving pixels over the steps, a line for each way to foretell."""
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for name in WAYS:
        values = report["moving_pixels_psnr_db_of_every_step"][name]
        axis.plot(range(1, HORIZON + 1), values, marker=".", label=name)
    axis.set(xlabel="imagined step", ylabel="PSNR on moving pixels [dB]")
    axis.set_title(f"{report['windows']} windows of {report['episodes']} episodes")
    axis.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
