"""The table of faults that were tried, for people and for programs."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from whale_ros.faults.fault import Fault
from whale_ros.faults.oracle import LATCH
from whale_ros.faults.trial import Trial

WRITTEN_VIOLATIONS = 100
HOLD_P99_MS = 150.0
ENOUGH = 10  # trials, for their p99 to be worth the name
SIZES = {2: "pairs", 3: "triples"}


@dataclass(frozen=True)
class Latency:
    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Row:
    """Latencies run from the moment at which a fault could be noticed until the arm is told to
    stand; recovery is the median, from its end or the reset to motion. NaN: none."""

    row: int | str
    fault: str
    required: str
    seen: str
    detection_to_zero_ms: Latency
    recovery_s: float
    n: int
    unsafe: int


def rows(faults: Sequence[Fault], trials: Iterable[Trial]) -> list[Row]:
    """One for each fault that was tried, in the faults' order."""
    tried = list(trials)
    return [
        _row(fault, own)
        for fault in faults
        if (own := [trial for trial in tried if trial.fault == fault.name])
    ]


def _row(fault: Fault, trials: list[Trial]) -> Row:
    # Of a rejected chunk the arm need not stop: if it did, that was the machine.
    stopped = [t for t in trials if t.latency_s is not None and fault.required != "X"]
    latencies = [1000 * t.latency_s for t in stopped if t.latency_s is not None]
    recoveries = [t.recovery_s for t in stopped if t.recovery_s is not None]
    unsafe = sum(t.unsafe for t in trials)
    percentiles = np.percentile(latencies, [50, 99, 100]) if latencies else [math.nan] * 3
    return Row(
        fault.row,
        fault.name,
        fault.demand,
        _seen(fault, trials),
        Latency(*(round(float(each), 1) for each in percentiles)),
        round(float(np.median(recoveries)), 2) if recoveries else math.nan,
        len(trials),
        unsafe,
    )


def _seen(fault: Fault, trials: list[Trial]) -> str:
    n = len(trials)
    held, recovered = sum(t.held for t in trials), sum(t.recovered for t in trials)
    if fault.required == "H":
        after = "after reset" if fault.latches else "by itself"
        after = "" if fault.row in SIZES.values() else f" {after}"
        return f"held {held}/{n}, moved again{after} {recovered}/{n}"
    word = {"X": "no motion by it", "-": "within limits"}[fault.required]
    safe = sum(not t.unsafe for t in trials)
    return f"{word} {safe}/{n}, goes on {recovered}/{n}"


def missed(faults: Sequence[Fault], trials: Sequence[Trial]) -> list[str]:
    """What did not happen as the contract demands, in words; empty if all did."""
    wrong = []
    for row in rows(faults, trials):
        own = [trial for trial in trials if trial.fault == row.fault]
        for count, what in (
            (row.unsafe, "unsafe commands"),
            (
                sum(not trial.held for trial in own),
                "times not held in time, or not tried while moving",
            ),
            (sum(not trial.recovered for trial in own), "times not moving again"),
            (int(_is_slow(row)), f"time(s) a p99 over {HOLD_P99_MS:g} ms"),
        ):
            if count:
                wrong.append(f"{row.fault}: {count} {what}")
        unmet = {words: None for trial in own for words in trial.unmet}
        wrong += [f"{row.fault}: {words}" for words in unmet]
    return wrong


def _is_slow(row: Row) -> bool:
    """The largest value is judged by the oracle."""
    return row.n >= ENOUGH and row.detection_to_zero_ms.p99 > HOLD_P99_MS


def by_size(tried: Sequence[tuple[Fault, Trial]]) -> tuple[list[Fault], list[Trial]]:
    """Pairs and triples, all that demand the same as if they were one fault."""
    faults, trials = {}, []
    for fault, trial in tried:
        size = SIZES[trial.fault.count(" + ") + 1]
        name = f"{size} that demand {fault.demand}"
        faults[name] = replace(fault, row=size, name=name)
        trials.append(replace(trial, fault=name))
    order = sorted(faults.values(), key=lambda fault: fault.name)
    return order, trials


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = (
        "| row | fault | required | seen | to zero p50 / p99 / max [ms] "
        "| recovery [s] | n | unsafe |\n|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {r.row} | {r.fault} | {r.required} | {r.seen} | "
        f"{' / '.join(_number(ms) for ms in astuple(r.detection_to_zero_ms))} | "
        f"{_number(r.recovery_s)} | {r.n} | {r.unsafe} |"
        for r in rows
    )


def write(path: Path, parts: dict[str, Any]) -> None:
    """JSON with what it was measured on. parts: of each half of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"hardware": processor(), **parts}
    path.write_text(json.dumps(_plain(report), indent=1) + "\n")


def part(faults: Sequence[Fault], trials: Sequence[Trial], **about: Any) -> dict[str, Any]:
    violations = [v for trial in trials for v in trial.violations]
    return {
        **about,
        "injections": len(trials),
        "unsafe_commands": sum(trial.unsafe for trial in trials),
        "motions_after_latch": sum(v.rule == LATCH for v in violations),
        "missed": missed(faults, trials),
        "rows": rows(faults, trials),
        "violations": [asdict(v) for v in violations[:WRITTEN_VIOLATIONS]],
    }


def combined_part(tried: Sequence[tuple[Fault, Trial]], **about: Any) -> dict[str, Any]:
    """Rows by size and demand; what was missed by the names of the faults."""
    named = {fault.name: fault for fault, _ in tried}
    said = missed(list(named.values()), [trial for _, trial in tried])
    return part(*by_size(tried), **about) | {"missed": said}


def processor() -> str:
    """Its name and its cores."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def _number(value: float) -> str:
    return f"{value:g}" if math.isfinite(value) else "–"


def _plain(value: Any) -> Any:
    """JSON knows no NaN: null."""
    if isinstance(value, Row):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
