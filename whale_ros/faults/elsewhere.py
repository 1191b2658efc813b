"""What of the fault matrix `whale faults` does not inject, and where it is tried instead."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = range(1, 41)


@dataclass(frozen=True)
class Elsewhere:
    row: int
    fault: str
    why: str


ELSEWHERE = (
    Elsewhere(9, "TF missing or stale",
              "the gate uses no TF: poses come in the frame of the actions or do not count; wrong "
              "frames are tried"),
    Elsewhere(14, "memory of a real GPU runs out",
              "the errors of torch are raised in the real world model, without a GPU"),
    Elsewhere(15, "the device of a real GPU is lost", "as 14"),
    Elsewhere(22, "fine-tuning is killed",
              "no motion to stop: tests of training kill it and resume; weights that are not "
              "calibrated are tried"),
    Elsewhere(35, "a bag is truncated", "no motion to stop: tests of the bag reader"),
    Elsewhere(39, "garbage collection pauses the gate",
              "the gate collects once a second by itself; pauses are tried by a signal and by "
              "taking its processor"),
)  # fmt: skip
