"""Pictures of a demonstration, from an observer's notes."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np

from whale_ros.actions.space import POSITION
from whale_ros.evaluation.demo_log import DecisionNote, DemoLog, Heartbeat
from whale_ros.imagination.mosaic import mosaic

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of the backend
from matplotlib.axes import Axes

GREEN, RED, GREY = "#2a7f3f", "#c0392b", "#b0b0b0"
SHOWN_CANDIDATES = 6
GAP_S = 0.5


def draw_timeline(log: DemoLog, path: Path) -> None:
    """Uncertainty, threshold, candidates and gate state over time."""
    draw_timelines({"": log}, path)


def draw_timelines(logs: dict[str, DemoLog], path: Path) -> None:
    """The same of several, side by side, each under its name."""
    lengths = [log.gate[-1].time_s - log.gate[0].time_s for log in logs.values()]
    figure, axes = plt.subplots(
        3, len(logs), figsize=(14, 8), sharex="col", sharey="row", height_ratios=[4, 3, 1.2],
        width_ratios=lengths, layout="constrained", squeeze=False,
    )  # fmt: skip
    for (name, log), (top, middle, bottom) in zip(logs.items(), axes.T, strict=True):
        _draw_timeline(log, top, middle, bottom)
        top.set_title(name, fontsize=9, pad=18)
    top, middle, bottom = axes[:, 0]
    top.set_ylabel("uncertainty")
    top.set_yscale("log")
    middle.set_ylabel("unfamiliarity\nof the image")
    bottom.set_yticks([])
    bottom.set_ylabel("gate\n(red: hold)")
    # Of the last one, which has most to show.
    handles = axes[0, -1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", fontsize=8, ncols=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_decision(log: DemoLog, decision: DecisionNote, path: Path) -> None:
    """What really happened in the first row; below, what each candidate was imagined to do."""
    horizon = len(decision.candidates[0].actions)
    shown = _shown(decision)
    rows = [np.stack([c.frames for c in shown])] if shown else []
    if not rows:
        return
    size = rows[0].shape[2]
    real = [
        _image_at(log, decision.observed_s + (i + 1) * decision.step_s, size)
        for i in range(horizon)
    ]
    picture = mosaic(
        np.concatenate([np.stack(real)[None], rows[0]]),
        ["what happened", *(f"{c.id}  U {c.uncertainty:.4f}  {c.verdict}"[:90] for c in shown)],
        [True, *(c.verdict.startswith(("chosen", "passed")) for c in shown)],
    )
    cv2.imwrite(str(path), picture[..., ::-1])


def interesting_decisions(log: DemoLog, count: int) -> list[DecisionNote]:
    """Executed decisions with frames, one an episode, if possible with a rejected candidate."""
    executed = {note.chunk_id for note in log.gate if note.executing}
    with_frames = [
        d for d in log.decisions if d.chosen_id in executed and d.candidates[0].frames is not None
    ]
    chosen = []
    for episode in log.episodes:
        inside = [d for d in with_frames if episode.begin_s <= d.time_s <= episode.end_s]
        inside.sort(key=lambda d: -_variety(d))
        chosen += inside[:1]
    return chosen[:count]


def _draw_timeline(log: DemoLog, top: Axes, middle: Axes, bottom: Axes) -> None:
    zero = log.gate[0].time_s
    beats = _with_gaps(log.heartbeats)
    times = [h.time_s - zero for h in beats]
    top.plot(times, [h.uncertainty for h in beats], color="#1f4e79", lw=1.2,
             label="live, retracing once a step")  # fmt: skip
    top.plot(times, [h.threshold for h in beats], color="#1f4e79", ls="--", lw=1,
             label="its threshold")  # fmt: skip
    for good, colour, label in ((True, GREEN, "candidates kept"), (False, RED, "rejected")):
        points = [
            (d.time_s - zero, c.uncertainty)
            for d in log.decisions
            for c in d.candidates
            if c.verdict.startswith(("chosen", "passed")) == good
        ]
        if points:
            x, y = zip(*points, strict=True)
            top.scatter(x, y, s=9, color=colour, label=label, zorder=3)
    thresholds = [c.threshold for d in log.decisions for c in d.candidates]
    if thresholds:
        top.axhline(thresholds[0], color=GREEN, ls=":", lw=1, label="threshold of candidates")
    middle.plot(times, [h.unfamiliarity for h in beats], color="#7a4b9a", lw=1.2)
    middle.plot(times, [h.unfamiliarity_threshold for h in beats], color="#7a4b9a",
                ls="--", lw=1)  # fmt: skip
    for begin, end, executing in _state_spans(log):
        bottom.axvspan(begin - zero, end - zero, color=GREEN if executing else RED, lw=0)
    bottom.set_xlabel("time [s]")
    for axis in (top, middle):
        for d in log.disturbances:
            axis.axvspan(d.begin_s - zero, d.end_s - zero, color="#f5c542", alpha=0.4, lw=0,
                         label=d.kind if axis is top else None)  # fmt: skip
    for episode in log.episodes:
        for axis in (top, middle, bottom):
            axis.axvline(episode.begin_s - zero, color=GREY, lw=0.8)
        outcome = "done" if episode.success else "not done"
        task = episode.task.removesuffix("-v3")
        top.text(episode.begin_s - zero, 1.01, f" {task}: {outcome}", fontsize=8,
                 transform=top.get_xaxis_transform())  # fmt: skip


def _with_gaps(beats: list[Heartbeat]) -> list[Heartbeat]:
    """Put one without numbers where the model was not ready, so that lines break there."""
    result: list[Heartbeat] = []
    for beat in beats:
        if result and beat.time_s - result[-1].time_s > GAP_S:
            result.append(Heartbeat(beat.time_s, *[float("nan")] * 5))
        result.append(beat)
    return result


def _variety(decision: DecisionNote) -> float:
    """Kinds of verdicts, then how much the chosen candidate moves [m]."""
    chosen = next(c for c in decision.candidates if c.id == decision.chosen_id)
    moved = float(np.abs(chosen.actions[:, POSITION]).sum())
    return len({c.verdict.split(":")[0] for c in decision.candidates}) + min(moved, 0.99)


def _shown(decision: DecisionNote) -> list:
    """The chosen candidate, then the others from trusted to untrusted, evenly thinned out."""
    framed = [c for c in decision.candidates if c.frames is not None]
    framed.sort(key=lambda c: (c.id != decision.chosen_id, c.uncertainty))
    if len(framed) <= SHOWN_CANDIDATES:
        return framed
    keep = np.linspace(0, len(framed) - 1, SHOWN_CANDIDATES).round().astype(int)
    return [framed[i] for i in keep]


def _image_at(log: DemoLog, time_s: float, size: int) -> np.ndarray:
    stamps = np.array([stamp for stamp, _ in log.images])
    image = log.images[int(np.abs(stamps - time_s).argmin())][1]
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def _state_spans(log: DemoLog) -> list[tuple[float, float, bool]]:
    spans: list[tuple[float, float, bool]] = []
    for note in log.gate:
        if spans and spans[-1][2] == note.executing:
            spans[-1] = (spans[-1][0], note.time_s, note.executing)
        else:
            begin = spans[-1][1] if spans else note.time_s
            spans.append((begin, note.time_s, note.executing))
    return spans
