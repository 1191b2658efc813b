"""Pictures of what fine-tuning is worth."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

from whale_ros.evaluation.finetuning.outcome import sequences
from whale_ros.evaluation.finetuning.summary import GATE, NUMBERS, TITLES
from whale_ros.evaluation.prediction import foretell
from whale_ros.evaluation.windows import windows_at
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import load_checkpoint
from whale_ros.world_model.frames import to_bytes

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

# Of Okabe and Ito: told apart by the colour-blind too.
STYLES = {
    "real": ("black", ":"),
    "copy": ("#e69f00", "-."),
    "base": ("#cc79a7", "--"),
    "finetuned": ("#0072b2", "-"),
    "scratch": ("#d55e00", "-"),
}
SHOWN_STEPS = (2, 4, 6, 8)


def draw_table(summary: dict, done: list[dict], path: Path) -> None:
    """Every number against the demonstrations; a dot is a seed, a line their mean."""
    panels = [("new", name, title) for name, (title, *_) in NUMBERS.items()]
    panels += [("gate", name, title) for name, (title, *_) in GATE.items()]
    panels.append(("old", "moving_pixels_psnr_db", "old robot: PSNR [dB]"))
    figure, axes = plt.subplots(2, 4, figsize=(14, 6), layout="constrained")
    counts = sorted({c["demonstrations"] for c in done if c["demonstrations"]}) or [0]
    for axis, (part, name, title) in zip(axes.flat, panels, strict=True):
        for method, (colour, dashes) in STYLES.items():
            rows = [row for row in summary["rows"] if row["method"] == method]
            means = [row[part][name]["mean"] for row in rows]
            if None in means or not means:
                continue
            style = {"color": colour, "ls": dashes, "label": TITLES[method]}
            if rows[0]["demonstrations"] is None:
                axis.axhline(means[0], lw=1.3, **style)
                continue
            axis.plot([row["demonstrations"] for row in rows], means, lw=2, **style)
            dots = [
                (c["demonstrations"], c[part][name])
                for c in done
                if c["method"] == method and c[part].get(name) is not None
            ]
            axis.scatter(*zip(*dots, strict=True), color=colour, s=14, zorder=3)
        axis.set(title=title, xticks=counts, xlabel="demonstrations")
        axis.grid(alpha=0.3)
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=90)
    plt.close(figure)


@torch.inference_mode()
def draw_strip(checkpoints: dict[str, Path], data: EpisodeSet, path: Path) -> None:
    """A sequence that comes to success and one that does not: real, and as each imagines it."""
    pairs, outcomes = sequences(data)
    chosen = [int(torch.nonzero(outcomes == kind)[0]) for kind in (True, False)]
    window = windows_at(data, pairs[chosen], HISTORY, MAX_HORIZON)
    rows = {"what happened": window.future_frames}
    for name, folder in checkpoints.items():
        model, _ = load_checkpoint(folder)
        method = name.partition("_")[0]
        latents = foretell(model, window, window.actions).latents
        rows[TITLES[method].partition(",")[0]] = model.decode(latents, window.last)
    columns = 1 + len(SHOWN_STEPS)
    figure, axes = plt.subplots(
        len(rows), 2 * columns, figsize=(2.6 * columns, 1.35 * len(rows)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for line, (label, frames) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label, fontsize=8)
        for number in range(2):
            last = window.last[number, 0]
            shown = [last, *(frames[number, step - 1] for step in SHOWN_STEPS)]
            titles = ["last seen", *(f"step {step}" for step in SHOWN_STEPS)]
            for column, (picture, title) in enumerate(zip(shown, titles, strict=True)):
                axis = line[number * columns + column]
                axis.imshow(to_bytes(picture).numpy())
                axis.set(xticks=[], yticks=[])
                if line is axes[0]:
                    axis.set_title(title, fontsize=8)
    figure.savefig(path, dpi=90)
    plt.close(figure)
