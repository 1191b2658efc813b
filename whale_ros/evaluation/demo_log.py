"""What an observer noted down during a demonstration. Times are ROS seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class GateNote:
    time_s: float
    executing: bool
    reason: str
    failing: tuple[str, ...]  # names of the checks that did not pass
    chunk_id: str
    chunks_executed: int
    lateness_s: float


@dataclass
class Heartbeat:
    time_s: float  # of the image
    uncertainty: float  # NaN while not ready
    threshold: float
    unfamiliarity: float
    unfamiliarity_threshold: float
    latency_s: float


@dataclass
class CandidateNote:
    id: str
    actions: np.ndarray  # (H, 7)
    uncertainty: float
    threshold: float
    score: float
    verdict: str
    frames: np.ndarray | None  # (H, R, R, 3) uint8 RGB


@dataclass
class DecisionNote:
    time_s: float
    start_s: float  # when the first action begins
    step_s: float
    observed_s: float  # stamp of the image that it was imagined from
    chosen_id: str
    reason: str
    latency_s: float
    candidates: list[CandidateNote]


@dataclass
class EpisodeNote:
    task: str
    seed: int
    begin_s: float
    end_s: float
    success: bool


@dataclass
class DisturbanceNote:
    kind: str
    begin_s: float
    end_s: float


@dataclass
class DemoLog:
    gate: list[GateNote] = field(default_factory=list)
    commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # stamp, twist (6,)
    poses: list[tuple[float, np.ndarray]] = field(default_factory=list)  # stamp, position (3,)
    heartbeats: list[Heartbeat] = field(default_factory=list)
    decisions: list[DecisionNote] = field(default_factory=list)
    images: list[tuple[float, np.ndarray]] = field(default_factory=list)  # stamp, (R, R, 3) uint8
    episodes: list[EpisodeNote] = field(default_factory=list)
    disturbances: list[DisturbanceNote] = field(default_factory=list)
