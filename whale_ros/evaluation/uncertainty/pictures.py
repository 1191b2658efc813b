"""Pictures of how far scores can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from whale_ros.evaluation.uncertainty.metrics import untrusted
from whale_ros.evaluation.uncertainty.summary import ALL, BEST, MAIN_DEPTH, MAIN_ERROR, known
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials
from whale_ros.evaluation.uncertainty.wording import ERRORS, condition_name

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Of Okabe and Ito: told apart by the colour-blind too.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9",
)  # fmt: skip
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
MARKERS = "osv^DPX*"
LINES = ("-", "--", ":")
BINS = 10
SHOWN_FRAMES = 8


@dataclass
class Story:
    """An episode, window by window."""

    title: str
    times: np.ndarray  # (T,) [s], of the newest observed frame
    score: np.ndarray  # (T,)
    threshold: float
    error: np.ndarray  # (T,) of MAIN_ERROR at MAIN_DEPTH; NaN where it is not known
    frames: np.ndarray  # (T, R, R, 3) uint8, the newest observed ones


def draw_reliability(
    trials: Trials, scores: list[str], bounds: dict[str, float], path: Path
) -> None:
    """Error, and share of bad predictions, where a score is so large: a tenth of a task a point.

    Windows that could not be judged are left out.
    """
    figure, axes = plt.subplots(
        len(scores), 2, figsize=(11, 4 * len(scores)), layout="constrained", squeeze=False
    )
    part, error = known(trials, MAIN_ERROR, MAIN_DEPTH)
    bad = error > bounds[MAIN_ERROR]
    for row, name in zip(axes, scores, strict=True):
        score = part.scores[name][:, MAIN_DEPTH - 1]
        for number, task in enumerate(np.unique(part.task)):
            here = np.flatnonzero((part.task == task) & np.isfinite(score))
            bins = np.array_split(here[np.argsort(score[here])], BINS)
            bins = [windows for windows in bins if len(windows)]
            middle = [np.median(score[windows]) for windows in bins]
            for axis, truth in zip(row, (error, 100 * bad), strict=True):
                axis.plot(
                    middle,
                    [truth[windows].mean() for windows in bins],
                    color=COLOURS[number % len(COLOURS)],
                    marker=MARKERS[number % len(MARKERS)],
                    ms=5,
                    lw=1.2,
                    label=f"{task} ({len(here)} windows)",
                )
        for axis in row:
            _logarithmic(axis)
            axis.set(xlabel=f"score: {name}", ylim=(0, None))
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"mean {ERRORS[MAIN_ERROR]}")
        row[1].set(ylabel=f"bad predictions [%]\n(over {bounds[MAIN_ERROR]:g})", ylim=(-3, 103))
    axes[0, 0].legend(fontsize=8)
    figure.suptitle(
        f"Reliability at {MAIN_DEPTH} steps, all conditions; a point is a tenth of a task's windows"
    )
    _save(figure, path)


def draw_risk_coverage(summary: dict, path: Path) -> None:
    """Mean error of the most trusted share, for every score."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    coverage = 100 * np.array(summary["risk_coverage"]["coverage"])
    first = [summary["main_score"], summary["rival"]]
    for axis, scope in zip(axes, (ALL, NOMINAL), strict=True):
        curves = summary["risk_coverage"][scope]
        names = [n for n in first if n in curves]
        names += [n for n in curves if n not in (*first, BEST)]
        for number, name in enumerate(names):
            important = name in first
            axis.plot(
                coverage,
                np.array(curves[name], float),
                color=COLOURS[number % len(COLOURS)],
                ls=LINES[number // len(COLOURS) % len(LINES)],
                lw=2.8 if important else 1.3,
                zorder=3 if important else 2,
                label=name,
            )
        axis.plot(coverage, curves[BEST], color="black", lw=1.3, ls="-.", label=BEST)
        axis.set(title=scope, xlabel="most trusted share of windows [%]", xlim=(0, 100))
        axis.set_ylabel(f"their mean {ERRORS[MAIN_ERROR]} at {MAIN_DEPTH} steps")
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    _save(figure, path)


def draw_stories(stories: list[Story], path: Path) -> None:
    """Uncertainty and error over time, above them what the camera showed."""
    highest = _highest([[*story.score, story.threshold] for story in stories])
    largest = _highest([story.error for story in stories])
    figure = plt.figure(figsize=(13, 5.4 * len(stories)), layout="constrained")
    parts = figure.subfigures(len(stories), 1, squeeze=False)[:, 0]
    for part, story in zip(parts, stories, strict=True):
        grid = part.add_gridspec(3, SHOWN_FRAMES, height_ratios=[1.2, 1.3, 1.1])
        shown = np.linspace(0, len(story.times) - 1, SHOWN_FRAMES).round().astype(int)
        for column, index in enumerate(shown):
            axis = part.add_subplot(grid[0, column])
            axis.imshow(story.frames[index])
            axis.set(xticks=[], yticks=[], title=f"{story.times[index]:.1f} s")
        top = part.add_subplot(grid[1, :])
        bottom = part.add_subplot(grid[2, :], sharex=top)
        alarm = untrusted(story.score) > story.threshold
        height = np.where(np.isfinite(story.score), story.score, highest)
        top.plot(story.times, story.score, color=BLUE, marker="o", ms=4, label="uncertainty")
        top.scatter(story.times[alarm], height[alarm], color=RED, marker="X", s=60, zorder=3,
                    label="alarm")  # fmt: skip
        top.axhline(story.threshold, color="black", ls="--", lw=1, label="alarm threshold")
        top.set(ylabel="uncertainty", ylim=(0, 1.1 * highest))
        top.tick_params(labelbottom=False)
        top.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
        bottom.plot(story.times, story.error, color=GREEN, marker="s", ms=4)
        bottom.set(ylabel=f"{ERRORS[MAIN_ERROR]},\n{MAIN_DEPTH} steps on", ylim=(0, 1.1 * largest))
        bottom.set_xlabel("time of the newest observed frame [s]")
        for axis in (top, bottom):
            axis.grid(alpha=0.3)
            axis.get_yaxis().set_label_coords(-0.05, 0.5)
        part.suptitle(story.title)
    _save(figure, path)


def draw_conditions(trials: Trials, score: str, path: Path) -> None:
    """Score and error of all windows, a box (quartiles; whiskers 5 and 95 %) a condition."""
    kinds = trials.kinds()
    figure, axes = plt.subplots(
        1, 2, figsize=(12, 1.5 + 0.33 * len(kinds)), layout="constrained", sharey=True
    )
    titles = (f"score: {score}", ERRORS[MAIN_ERROR])
    columns = (trials.scores[score], trials.errors[MAIN_ERROR])
    for axis, title, values in zip(axes, titles, columns, strict=True):
        groups = [values[trials.of_kind(*kind), MAIN_DEPTH - 1] for kind in kinds]
        groups = [group[np.isfinite(group)] for group in groups]
        nominal = np.concatenate(
            [g for g, (name, _) in zip(groups, kinds, strict=True) if name == NOMINAL]
        )
        _boxes(axis, groups, kinds)
        axis.axvline(np.quantile(nominal, 0.95), color="black", ls="--", lw=1,
                     label="95 % of nominal windows are left of it")  # fmt: skip
        _logarithmic(axis)
        axis.set_xlabel(f"{title}, at {MAIN_DEPTH} steps")
        axis.grid(alpha=0.3, axis="x")
    names = [f"{condition_name(*kind)}  (n={trials.of_kind(*kind).sum()})" for kind in kinds]
    axes[0].set_yticks(range(1, len(kinds) + 1), names)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    figure.suptitle("All tasks; boxes are quartiles, whiskers reach from 5 to 95 % of the windows")
    _save(figure, path)


def _boxes(axis: Axes, groups: list[np.ndarray], kinds: list[tuple[str, float]]) -> None:
    drawn = axis.boxplot(
        groups, orientation="horizontal", whis=(5, 95), sym="", widths=0.65, patch_artist=True
    )
    names = list(dict.fromkeys(name for name, _ in kinds))
    for box, (name, _) in zip(drawn["boxes"], kinds, strict=True):
        box.set(facecolor=COLOURS[names.index(name) % len(COLOURS)], alpha=0.75)
    for line in drawn["medians"]:
        line.set_color("black")


def _logarithmic(axis: Axes) -> None:
    """With readable labels, which matplotlib's own are not within a decade."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _highest(lines: list) -> float:
    values = np.concatenate(lines)
    return float(values[np.isfinite(values)].max(initial=1e-6))


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)
