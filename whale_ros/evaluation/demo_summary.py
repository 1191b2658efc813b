"""The numbers of a demonstration, from an observer's notes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np

from whale_ros.evaluation.demo_log import DemoLog, DisturbanceNote, GateNote

CHUNKS = 10  # with no more of them, nothing was shown; a slow machine has about 20
SLOW_PLAN_S = 0.55  # of a planning_latency_s of 0.8
STILL = 1e-9  # a commanded speed above this is motion


def summarise(log: DemoLog) -> dict:
    """Counts, seconds and metres; None where nothing was seen."""
    verdicts = Counter(
        c.verdict.split(":")[0] for decision in log.decisions for c in decision.candidates
    )
    return {
        "candidates_imagined": sum(len(d.candidates) for d in log.decisions),
        "candidate_verdicts": dict(verdicts),
        "decisions": len(log.decisions),
        "chunks_approved": sum(bool(d.chosen_id) for d in log.decisions),
        "chunks_executed": max((note.chunks_executed for note in log.gate), default=0),
        "held_s_by_reason": held_seconds(log),
        "commands_while_held": commands_while_held(log),
        "pose_tracking_error_m": tracking_error_m(log),
        "camera_period_s": _rounded(camera_period_s(log)),
        "disturbance_to_hold_s": _rounded(worst_hold_delay_s(log)),
        "disturbances": [
            {
                "kind": d.kind,
                "to_hold_s": _rounded(hold_delay_s(log, d)),
                "to_motion_again_s": _rounded(motion_again_s(log, d)),
            }
            for d in log.disturbances
        ],
        "task_success": {
            task: f"{sum(e.success for e in log.episodes if e.task == task)} of {count}"
            for task, count in Counter(e.task for e in log.episodes).items()
        },
        "latency_s": {
            "plan (ask to decision)": _spread([d.latency_s for d in log.decisions]),
            "heartbeat (image to uncertainty)": _spread([h.latency_s for h in log.heartbeats]),
            "gate cycle lateness": _spread([g.lateness_s for g in log.gate]),
        },
    }


def why_failed(summary: dict) -> list[str]:
    """What is missing in a summary for the system to have worked, in words."""
    failures = []
    if summary["chunks_executed"] <= CHUNKS:
        failures.append(
            f"only {summary['chunks_executed']} chunks moved the arm{_slowness(summary)}"
        )
    if summary["commands_while_held"]:
        failures.append(f"{summary['commands_while_held']} commands to move while held")
    delay, period = summary["disturbance_to_hold_s"], summary["camera_period_s"]
    if not summary["disturbances"]:
        failures.append("the arm never moved for long enough to disturb its camera")
    elif delay is None:
        failures.append("a disturbance of the camera did not hold the arm")
    elif delay > 3 * period + 0.15:
        failures.append(f"a disturbance held the arm only after {delay:.2f} s")
    return failures


def _slowness(summary: dict) -> str:
    """Whether a machine without enough processor time is to blame, in words."""
    latency = summary["latency_s"]["plan (ask to decision)"].get("p50", 0.0)
    if latency < SLOW_PLAN_S:
        return ""
    return (
        f" (half of the plans took {latency:.2f} s or more, most of what there is: is the machine "
        "busy, or slower than two cores of 2 GHz?)"
    )


def held_seconds(log: DemoLog) -> dict[str, float]:
    """How long the gate held, by the checks that failed, else by the first words of its reason."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for now, following in zip(log.gate, log.gate[1:], strict=False):
        if not now.executing:
            seconds[kind_of_hold(now)] += following.time_s - now.time_s
    ranked = sorted(seconds.items(), key=lambda item: -item[1])
    return {reason: round(s, 2) for reason, s in ranked}


def kind_of_hold(note: GateNote) -> str:
    return " and ".join(note.failing) or re.split("[:;,]", note.reason)[0]


def commands_while_held(log: DemoLog) -> int:
    """Commands to move from a cycle in which the gate said that it holds, until it said more.

    It says so in the cycle in which that changes.
    """
    stamps = [note.time_s for note in log.gate]
    moves = [t for t, twist in log.commands if np.abs(twist).max() > STILL]
    newest = np.searchsorted(stamps, moves, side="right") - 1
    return sum(bool(i >= 0 and not log.gate[i].executing) for i in newest)


def tracking_error_m(log: DemoLog) -> float | None:
    """Mean over executed chunks: distance between commanded and measured displacement [m]."""
    if not log.commands or not log.poses:
        return None
    stamps = np.array([stamp for stamp, _ in log.commands])
    twists = np.array([twist[:3] for _, twist in log.commands])
    steps = np.diff(stamps, append=stamps[-1])[:, None]
    commanded = np.concatenate([np.zeros((1, 3)), np.cumsum(twists * steps, axis=0)])
    times = np.array([stamp for stamp, _ in log.poses])
    positions = np.array([position for _, position in log.poses])
    errors = []
    for begin, end in chunk_spans(log):
        first, last = np.searchsorted(stamps, [begin, end])
        moved = [
            np.array([np.interp(t, times, positions[:, axis]) for axis in range(3)])
            for t in (begin, end)
        ]
        errors.append(np.linalg.norm(commanded[last] - commanded[first] - (moved[1] - moved[0])))
    return round(float(np.mean(errors)), 4) if errors else None


def chunk_spans(log: DemoLog) -> list[tuple[float, float]]:
    """From when to when each chunk was executed."""
    spans: list[list] = []
    for note in log.gate:
        if note.executing and spans and spans[-1][0] == note.chunk_id:
            spans[-1][2] = note.time_s
        elif note.executing:
            spans.append([note.chunk_id, note.time_s, note.time_s])
    return [(begin, end) for _, begin, end in spans if end > begin]


def camera_period_s(log: DemoLog) -> float | None:
    """Median time between two images [s]."""
    stamps = [stamp for stamp, _ in log.images]
    return float(np.median(np.diff(stamps))) if len(stamps) > 1 else None


def hold_delay_s(log: DemoLog, disturbance: DisturbanceNote) -> float | None:
    """From the disturbance to the first cycle after which nothing moves while it lasts.

    None if the arm was not held, or not because of a check.
    """
    inside = [n for n in log.gate if disturbance.begin_s <= n.time_s <= disturbance.end_s]
    held = len(inside)
    while held and not inside[held - 1].executing:
        held -= 1
    if held == len(inside) or not any(note.failing for note in inside[held:]):
        return None
    return inside[held].time_s - disturbance.begin_s


def worst_hold_delay_s(log: DemoLog) -> float | None:
    """The slowest hold [s]; None if a disturbance held nothing, or there was none."""
    delays = [hold_delay_s(log, d) for d in log.disturbances]
    known = [delay for delay in delays if delay is not None]
    return max(known) if known and len(known) == len(delays) else None


def motion_again_s(log: DemoLog, disturbance: DisturbanceNote) -> float | None:
    """From the end of the disturbance to the first cycle in which the arm is moved again."""
    for note in log.gate:
        if note.time_s >= disturbance.end_s and note.executing:
            return note.time_s - disturbance.end_s
    return None


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {
        "p50": round(float(p50), 4),
        "p99": round(float(p99), 4),
        "max": round(float(max(values)), 4),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
