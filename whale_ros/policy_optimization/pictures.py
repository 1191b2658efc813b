"""A picture of what the uncertainty is worth to a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

LABELS = {
    "recorded": "recorded\nepisodes",
    "cloned": "cloned",
    "off": "SAC,\nno penalty",
    "shuffled": "SAC,\nshuffled\npenalty",
    "on": "SAC,\nuncertainty\nas penalty",
}
COLOURS = {"recorded": "0.7", "cloned": "0.5", "off": "C3", "shuffled": "C1", "on": "C0"}


def draw_study(report: dict[str, Any], path: Path) -> None:
    """Bars of what `whale optimize` reports; a dot is a seed, a line the 95 % interval."""
    table = report["policies"]
    names = [name for name in LABELS if name in table]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for axis, measure, label in (
        (axes[0], "return", "return: mean progress in the episode"),
        (axes[1], "success", "share of episodes that succeed"),
    ):
        for x, name in enumerate(names):
            numbers = table[name][measure]
            low, high = numbers["interval"]
            axis.bar(x, numbers["mean"], color=COLOURS[name], width=0.7)
            axis.plot([x, x], [low, high], color="black", linewidth=1.5)
            seeds = numbers["of_seeds"] if name != "recorded" else []
            axis.scatter([x + 0.12] * len(seeds), seeds, color="black", s=14, zorder=3)
            axis.text(x, 0.02, f"{numbers['mean']:.2f}", ha="center", color="white")
        axis.set_xticks(range(len(names)), [LABELS[name] for name in names])
        axis.set_ylabel(label)
        axis.set_ylim(0, 1)
    figure.suptitle(
        f"{report['task']}, learnt from {report['recorded_episodes']} episodes "
        f"({', '.join(report['behaviors'])}); {report['episodes']} scenes in the simulator"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
