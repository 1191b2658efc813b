"""What the gate buys: successes, failures, stops and harmful contacts with the gate on and off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np
from scipy.stats import binomtest

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend

OUTCOMES = {  # and their colours
    "success": "#2a7f3f",
    "stopped": "#d9a441",
    "failure": "#8c8c8c",
    "harmful contact": "#c0392b",
}
CONFIDENCE = 0.95
NONE = "none"  # the disturbance of nominal scenes


@dataclass(frozen=True)
class GatedEpisode:
    """How an episode went. Episodes of equal task, seed and disturbance are compared as pairs."""

    gate: str  # "on" or "off"
    disturbance: str  # NONE, "intruder" or what else was done while the arm moved
    disturbed: bool  # whether it was done: else the arm never moved for long enough
    task: str
    seed: int
    success: bool
    contact_n: float  # largest force on the surroundings [N]
    held_at_end: bool  # the gate had not let the arm move for a while
    held_because: str  # what it said then, else empty
    held_s: float  # since the arm first moved, in all
    seconds: float

    def outcome(self, harmful_n: float) -> str:
        """One of OUTCOMES; a harmful contact counts even if the task was done."""
        if self.contact_n > harmful_n:
            return "harmful contact"
        if self.success:
            return "success"
        return "stopped" if self.held_at_end else "failure"

    @property
    def scene(self) -> str:
        return "nominal" if self.disturbance == NONE else "disturbed"


def summarise(episodes: list[GatedEpisode], harmful_n: float) -> dict:
    """Rates of each cell with exact (Clopper-Pearson) intervals, and what changed pair by pair.

    Episodes that ended before they were disturbed tell nothing of a disturbance: they count apart.
    """
    played = episodes
    episodes = [e for e in played if e.scene == "nominal" or e.disturbed]
    cells = [
        _cell(scene, gate, [e for e in episodes if (e.scene, e.gate) == (scene, gate)], harmful_n)
        for scene in ("nominal", "disturbed")
        for gate in ("on", "off")
    ]
    kinds = sorted({e.disturbance for e in episodes if e.scene == "disturbed"})
    return {
        "episodes": len(played),
        "never_disturbed": {
            gate: sum(e.gate == gate for e in played if e not in episodes) for gate in ("on", "off")
        },
        "harmful_above_n": harmful_n,
        "confidence": CONFIDENCE,
        "cells": cells,
        "disturbances": [
            _cell(
                kind,
                gate,
                [e for e in episodes if (e.disturbance, e.gate) == (kind, gate)],
                harmful_n,
            )
            for kind in kinds
            for gate in ("on", "off")
        ],
        "pairs": {
            scene: {outcome: _paired(episodes, scene, outcome, harmful_n) for outcome in OUTCOMES}
            for scene in ("nominal", "disturbed")
        },
        "each": [asdict(e) | {"outcome": e.outcome(harmful_n)} for e in played],
    }


def table(summary: dict) -> str:
    """The summary's rates in percent, for people."""
    lines = [
        f"{summary['episodes']} episodes; harmful: more than {summary['harmful_above_n']:g} N on "
        f"table, walls or box; in brackets {100 * summary['confidence']:g} % intervals (exact)",
        "",
        f"{'scenes':12}{'gate':6}{'n':>4}  "
        + "".join(f"{outcome:>24}" for outcome in OUTCOMES)
        + f"{'held':>9}",
    ]
    for cell in summary["cells"] + summary["disturbances"]:
        rates = "".join(f"{_percent(cell['rates'][outcome]):>24}" for outcome in OUTCOMES)
        held = "-" if cell["held_s"] is None else f"{cell['held_s']:.1f} s"
        lines.append(f"{cell['scenes']:12}{cell['gate']:6}{cell['episodes']:>4}  {rates}{held:>9}")
    never = summary["never_disturbed"]
    lines.append(
        f"not counted, because they ended before they were disturbed: {never['on']} with the gate "
        f"on, {never['off']} off"
    )
    lines += ["", "pairs of the same task, seed and disturbance (p: exact McNemar test)"]
    for scene, outcomes in summary["pairs"].items():
        for outcome, pair in outcomes.items():
            lines.append(
                f"  {scene}, {outcome}: {pair['only_on']} with the gate on only, "
                f"{pair['only_off']} off only, of {pair['pairs']} (p {pair['p']:.3g})"
            )
    return "\n".join(lines)


def draw(summary: dict, path: Path) -> None:
    """The share of each outcome in each cell, with the interval of the harmful contacts."""
    cells = [c for c in summary["cells"] + summary["disturbances"] if c["episodes"]]
    figure, axes = plt.subplots(figsize=(9, 0.6 * len(cells) + 1.6), layout="constrained")
    left = np.zeros(len(cells))
    for outcome, colour in OUTCOMES.items():
        shares = np.array([c["rates"][outcome]["share"] for c in cells])
        axes.barh(range(len(cells)), shares, left=left, color=colour, label=outcome)
        left += shares
    for row, cell in enumerate(cells):
        rate = cell["rates"]["harmful contact"]
        axes.plot([1 - rate["from"], 1 - rate["to"]], [row, row], color="black", lw=1.5)
    axes.set_yticks(
        range(len(cells)), [f"{c['scenes']}, gate {c['gate']} ({c['episodes']})" for c in cells]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(
        f"share of episodes; black: {100 * summary['confidence']:g} % interval of harmful contacts"
    )
    figure.legend(loc="outside upper center", ncols=len(OUTCOMES))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _cell(scenes: str, gate: str, episodes: list[GatedEpisode], harmful_n: float) -> dict:
    outcomes = [e.outcome(harmful_n) for e in episodes]
    forces = [e.contact_n for e in episodes]
    return {
        "scenes": scenes,
        "gate": gate,
        "episodes": len(episodes),
        "rates": {name: _rate(outcomes.count(name), len(outcomes)) for name in OUTCOMES},
        "held_s": round(float(np.mean([e.held_s for e in episodes])), 2) if episodes else None,
        "contact_n_median": round(float(np.median(forces)), 1) if episodes else None,
        "contact_n_largest": round(max(forces), 1) if episodes else None,
    }


def _rate(count: int, total: int) -> dict:
    if not total:
        return {"count": 0, "share": None, "from": 0.0, "to": 1.0}
    interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return {
        "count": count,
        "share": round(count / total, 4),
        "from": round(float(interval.low), 4),
        "to": round(float(interval.high), 4),
    }


def _paired(episodes: list[GatedEpisode], scene: str, outcome: str, harmful_n: float) -> dict:
    """In how many pairs the outcome was this one with the gate on only, and off only."""
    on, off = (
        {
            (e.task, e.seed, e.disturbance): e.outcome(harmful_n) == outcome
            for e in episodes
            if (e.scene, e.gate) == (scene, gate)
        }
        for gate in ("on", "off")
    )
    both = on.keys() & off.keys()
    only_on = sum(on[key] and not off[key] for key in both)
    only_off = sum(off[key] and not on[key] for key in both)
    changed = only_on + only_off
    p = float(binomtest(only_on, changed).pvalue) if changed else 1.0
    return {"pairs": len(both), "only_on": only_on, "only_off": only_off, "p": round(p, 6)}


def _percent(rate: dict) -> str:
    if rate["share"] is None:
        return "-"
    return f"{100 * rate['share']:.0f} ({100 * rate['from']:.0f}..{100 * rate['to']:.0f}) %"
