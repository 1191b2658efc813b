"""A picture of z: what the behaviour model tells apart."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from whale_ros.evaluation.behavior_probe import embed
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.pretrain import SEQUENCE
from whale_ros.world_model.whale_st import WhaleST

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

COLOURS = [f"C{i}" for i in range(10)]
MARKERS = "osv^Dx*"


def draw_z(model: WhaleST, splits: list[EpisodeSet], path: Path) -> None:
    """Every episode's z on its first two principal components; a colour a behaviour."""
    infos = [info for data in splits for info in data.infos]
    embedded = [embed(model, data) for data in splits]
    behaviors = list(dict.fromkeys(info.behavior for info in infos))
    tasks = list(dict.fromkeys(info.task for info in infos))
    figure, axes = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
    for axis, kind, title in (
        (axes[0], "posterior", f"posterior, from the first {SEQUENCE} frames"),
        (axes[1], "prior_at_the_end", f"prior, at frame {SEQUENCE}"),
    ):
        points, shares = principal(torch.cat([getattr(e, kind) for e in embedded]))
        for point, info in zip(points.tolist(), infos, strict=True):
            axis.scatter(
                *point,
                s=22,
                color=COLOURS[behaviors.index(info.behavior) % len(COLOURS)],
                marker=MARKERS[tasks.index(info.task) % len(MARKERS)],
                linewidths=1,
            )
        axis.set_title(f"z, {title}")
        axis.set_xlabel(f"first component ({100 * shares[0]:.0f} % of the variance)")
        axis.set_ylabel(f"second component ({100 * shares[1]:.0f} %)")
    for name, colour in zip(behaviors, COLOURS, strict=False):
        axes[0].scatter([], [], color=colour, label=name)
    for name, marker in zip(tasks, MARKERS, strict=False):
        axes[0].scatter([], [], color="grey", marker=marker, label=name.removesuffix("-v3"))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def principal(z: Tensor) -> tuple[Tensor, list[float]]:
    """The first two principal components (E, 2) of z (E, Z), and their shares of the variance."""
    centred = (z - z.mean(0)).double()
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    shares = (singular.square() / singular.square().sum().clamp(min=1e-12))[:2]
    return (centred @ directions[:2].T).float(), shares.tolist()
