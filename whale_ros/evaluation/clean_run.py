"""What a long run in which nothing was wrong shows: false stops, and whether anything grows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

SETTLED_SHARE = 0.2  # of a run, in which caches fill and nothing counts as growth yet
KINDS = ("rss_mib", "file_descriptors", "threads")
NOTHING_PASSED = "no candidate"  # the planner trusted none


@dataclass(frozen=True)
class Stop:
    """The gate held although nothing was wrong: from the first check that failed to motion."""

    begin_s: float  # since the run began
    seconds: float
    checks: tuple[str, ...]  # that failed
    reason: str
    task: str
    seed: int


@dataclass(frozen=True)
class Usage:
    """What a process took at a moment."""

    time_s: float  # since the run began
    rss_mib: float
    file_descriptors: int
    threads: int


@dataclass
class CleanRun:
    seconds: float = 0.0  # from the first motion of each episode (or what should be) to its end
    executing_s: float = 0.0
    waiting_s: float = 0.0  # for a plan that was late, while nothing failed
    stops: list[Stop] = field(default_factory=list)
    episodes: list[tuple[str, int, bool]] = field(default_factory=list)  # task, seed, success
    usage: dict[str, list[Usage]] = field(default_factory=dict)  # by process
    _stop: Stop | None = None

    def add(
        self,
        begin_s: float,
        seconds: float,
        moves: bool,
        checks: tuple[str, ...],
        reason: str,
        scene: tuple[str, int],
    ) -> None:
        """What the gate said for so long. A stop lasts until the arm moves again: the clean
        second and the new plan that it takes are time lost to it."""
        self.seconds += seconds
        if moves:
            self.executing_s += seconds
            self.end_stop()
        elif self._stop is not None:
            known = self._stop
            more = tuple(dict.fromkeys((*known.checks, *checks)))
            self._stop = replace(known, seconds=known.seconds + seconds, checks=more)
        elif checks:
            self._stop = Stop(begin_s, seconds, checks, reason, *scene)
        else:
            self.waiting_s += seconds

    def end_stop(self) -> None:
        if self._stop is not None:
            self.stops.append(self._stop)
        self._stop = None


def read_usage(pid: int, time_s: float) -> Usage:
    """Of a process of this machine, from /proc."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return Usage(
        time_s,
        int(status["VmRSS"].split()[0]) / 1024,
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status["Threads"]),
    )


def summarise(run: CleanRun) -> dict:
    """Seconds and shares; growth is of the straight line through a process's later samples."""
    by_check: defaultdict[str, float] = defaultdict(float)
    for stop in run.stops:
        by_check[" and ".join(stop.checks)] += stop.seconds
    stopped = sum(by_check.values())
    return {
        "counted_s": round(run.seconds, 1),
        "executing_s": round(run.executing_s, 1),
        "waiting_for_a_plan_s": round(run.waiting_s, 1),
        "false_stops": len(run.stops),
        "false_stop_s": round(stopped, 1),
        "false_stop_share": round(stopped / run.seconds, 4) if run.seconds else None,
        "false_stop_s_by_check": {
            name: round(s, 1) for name, s in sorted(by_check.items(), key=lambda item: -item[1])
        },
        "episodes": len(run.episodes),
        "successes": sum(success for _, _, success in run.episodes),
        "processes": {name: _growth(samples) for name, samples in run.usage.items()},
        "stops": [
            f"{stop.begin_s:.0f} s, {stop.task} {stop.seed}: {stop.seconds:.1f} s, {stop.reason}"
            for stop in run.stops
        ],
    }


def _growth(samples: Sequence[Usage]) -> dict:
    """First, last, largest and growth per hour of each kind, once it has settled."""
    late = [s for s in samples if s.time_s >= SETTLED_SHARE * samples[-1].time_s]
    hours = np.array([s.time_s for s in late]) / 3600
    told = {}
    for kind in KINDS:
        values = np.array([getattr(s, kind) for s in late], float)
        slope = float(np.polyfit(hours, values, 1)[0]) if len(late) > 2 else float("nan")
        told[kind] = {
            "settled": round(values[0], 1),
            "last": round(values[-1], 1),
            "largest": round(max(getattr(s, kind) for s in samples), 1),
            "growth_per_hour": round(slope, 2) if np.isfinite(slope) else None,
        }
    return told


def table(summary: dict) -> str:
    """What a person wants to know first."""
    share = summary["false_stop_share"]
    lines = [
        f"{summary['episodes']} episodes, {summary['successes']} successes; executing "
        f"{summary['executing_s']:.0f} of {summary['counted_s']:.0f} s, waiting for a plan "
        f"{summary['waiting_for_a_plan_s']:.0f} s",
        "false stops: "
        + ("no motion to stop" if share is None else f"{100 * share:.2f} % of the time")
        + f", {summary['false_stops']} stops, {summary['false_stop_s']:.1f} s",
        *(f"  {name}: {s:.1f} s" for name, s in summary["false_stop_s_by_check"].items()),
        f"{'process':16}{'memory [MiB]':>24}{'file descriptors':>20}{'threads':>12}",
    ]
    for name, told in summary["processes"].items():
        memory, files, threads = (told[kind] for kind in KINDS)
        growth = memory["growth_per_hour"]
        grows = "" if growth is None else f" ({growth:+.1f} an hour)"
        memory_text = f"{memory['settled']:.0f} -> {memory['last']:.0f}{grows}"
        lines.append(
            f"{name:16}{memory_text:>24}"
            f"{files['settled']:>14.0f} -> {files['last']:.0f}"
            f"{threads['settled']:>7.0f} -> {threads['last']:.0f}"
        )
    return "\n".join(lines)


def draw(run: CleanRun, path: Path) -> None:
    """Stops over time, and memory, file descriptors and threads of each process."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # after the choice of the backend

    figure, axes = plt.subplots(4, 1, figsize=(9, 8), sharex=True, layout="constrained")
    for stop in run.stops:
        axes[0].axvspan(stop.begin_s / 60, (stop.begin_s + stop.seconds) / 60, color="#c0392b")
    axes[0].set_yticks([])
    axes[0].set_ylabel("false stops")
    titles = ("memory [MiB]", "file descriptors", "threads")
    for axis, kind, title in zip(axes[1:], KINDS, titles, strict=True):
        for name, samples in run.usage.items():
            axis.plot(
                [s.time_s / 60 for s in samples], [getattr(s, kind) for s in samples], label=name
            )
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
    axes[1].legend(ncols=5, fontsize=8)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=110)
    plt.close(figure)
