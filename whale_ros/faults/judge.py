"""Judges what a running system did, from the events that its processes wrote down.

An event is a list of a time [s, the system's clock], a kind, and what belongs to it; each process
appends its own to a file of JSON lines, so that nobody waits for anybody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from whale_ros.faults.oracle import Approval, Limits, Oracle, Violation
from whale_ros.faults.trial import Trial, verdict

GAP_S = 0.4  # without commands: the arm's dead-man must have stopped it
DEAD_MAN_S = 0.3
CREEP_M = 0.005  # an arm that stands may sway by so much

# As config/robots/sim.yaml has them. Stamps are made after a cycle, by up to a late wake-up.
SYSTEM_LIMITS = Limits(acceleration=5.0, slack_s=0.02)

Event = list[Any]


class EventLog:
    """Appends events to a file; each is on disk, or at least in the system's hands, at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, time: float, kind: str, *details: Any) -> None:
        self._file.write(json.dumps([time, kind, *details]) + "\n")


def read_events(folder: Path) -> list[Event]:
    """Of all processes, in order. The last line of one that was killed may be cut off.

    A command that several wrote down is there once, as it came to the first of them.
    """
    events: list[Event] = []
    commands: dict[tuple, Event] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if event[1] == "command":
                time, _, twist, stamp, arrived = event
                first = commands.setdefault((time, stamp, *twist), event)
                first[4] = min(first[4], arrived)
                if first is not event:
                    continue
            events.append(event)
    return sorted(events, key=lambda event: event[0])


def judge(events: Iterable[Event], limits: Limits) -> Iterator[Trial]:
    """One trial for each pair of the events `fault` and `done`."""
    oracle = Oracle(limits)
    arm = _Arm()
    waiting: dict[str, Any] | None = None  # a demand that begins with the planner's next chunk
    demands = unsafe = written = 0
    starting = False  # the gate, which can notice nothing until its first command
    estop = math.nan  # when it was last heard of
    unmet: list[str] = []
    told: list[str] = []  # by the gate, on /diagnostics
    noted: list[str] = []  # by the gate, in its audit log
    for time, kind, *details in events:
        if kind == "position":
            arm.moved(time, np.array(details[0]))
        elif kind == "command":
            twist, ros, arrived = np.array(details[0], float), details[1], details[2]
            for words in arm.commanded(time):
                oracle.violations.append(Violation(time, oracle.fault, "dead-man", words))
                oracle.unsafe += 1
            if starting:
                oracle.slept(time)
                starting = False
            oracle.command(time, ros, twist, arm.position, arrived)
        elif kind == "heard":
            oracle.heard(time, details[0])
        elif kind == "approved":
            twists = np.array(details[0]["twists"], float)
            start, expiry, step_s = (details[0][name] for name in ("start", "expiry", "step_s"))
            oracle.approved(Approval(time, start, expiry, step_s, twists))
            if waiting is not None and details[0]["source"] == "planner":
                oracle.must_hold(time, **waiting)
                waiting = None
        elif kind == "demand":
            since, briefly = time + details[0].pop("after", 0.0), details[0].pop("briefly", False)
            demand = oracle.must_hold(since, **details[0])
            demand.over = since if briefly else None
        elif kind == "demand at next plan":
            waiting = details[0]
        elif kind == "estop":
            estop = time
        elif kind == "estop lost":
            oracle.must_hold(estop, latches=True, within_s=0.15)
        elif kind == "well again":
            oracle.well_again(time, *details)
        elif kind == "reset":
            oracle.reset(time)
        elif kind == "gate started":
            oracle.restarted()
            starting = True
        elif kind == "gate slept":
            oracle.slept(time)
        elif kind == "cut off":
            arm.cut_off = details[0]
        elif kind == "unmet":
            unmet.append(details[0])
        elif kind == "told":
            told += details[0]
        elif kind == "noted":
            noted += details[0]
        elif kind == "fault":
            oracle.fault = details[0]
            demands, unsafe = len(oracle.demands), oracle.unsafe
            written = len(oracle.violations)
            unmet, told, noted = [], [], []
        elif kind == "done":
            unmet += _unsaid(details[0], told, noted)
            yield verdict(oracle, details[0], demands, unsafe, written, tuple(unmet))


def _unsaid(what: dict[str, Any], told: list[str], noted: list[str]) -> Iterator[str]:
    """Where the gate gave no reason: /diagnostics tell once a second of what lasts."""
    if what["says"] and what["audited"] and not any(what["says"] in words for words in noted):
        yield f"the audit log does not say {what['says']!r}"
    if what["says"] and what["holds"] and not any(what["says"] in words for words in told):
        yield f"/diagnostics do not say {what['says']!r}"


def audited(path: Path) -> list[Event]:
    """The decisions of a gate's audit log as events."""
    if not path.exists():
        return []
    decisions = [json.loads(line) for line in path.read_text().splitlines()]
    return [[d["time"], "noted", [d["reason"], *d["failing"]]] for d in decisions if "reason" in d]


class _Arm:
    """Where it is, and whether it stands where no commands come."""

    def __init__(self) -> None:
        self.position = np.full(3, math.nan)
        self._commanded = math.inf
        self._stood: np.ndarray | None = None  # where it was when its dead-man had to have stopped
        self._crept = 0.0
        self.cut_off = False  # whether commands are told that do not reach it

    def moved(self, time: float, position: np.ndarray) -> None:
        self.position = position
        if time > self._commanded + DEAD_MAN_S:
            self._stood = position if self._stood is None else self._stood
            self._crept = max(self._crept, float(np.linalg.norm(position - self._stood)))

    def commanded(self, time: float) -> Iterator[str]:
        if self.cut_off:
            return
        if time > self._commanded + GAP_S and self._crept > CREEP_M:
            gap = time - self._commanded
            yield f"the arm moved {self._crept:.3f} m in {gap:.2f} s without commands"
        self._commanded, self._stood, self._crept = time, None, 0.0
