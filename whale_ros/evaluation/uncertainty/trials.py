"""Imagined windows, how wrong each was, and how far each way to tell uncertainty trusted it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from whale_ros.actions.space import ActionSpace
from whale_ros.imagination.live import HISTORY

NOMINAL = "nominal"  # the condition that the others are compared with


@dataclass
class Trials:
    """W windows of HISTORY observed frames and H imagined ones.

    An episode keeps its number where its pictures are spoiled, so that it is resampled as one.
    """

    condition: np.ndarray  # (W,) str
    severity: np.ndarray  # (W,) float
    task: np.ndarray  # (W,) str
    behavior: np.ndarray  # (W,) str
    episode: np.ndarray  # (W,) int
    start: np.ndarray  # (W,) int, frame of the episode at which the window begins
    failed: np.ndarray  # (W,) bool, whether the episode ended without success
    errors: dict[str, np.ndarray]  # (W, H) float each; NaN where it is not defined
    scores: dict[str, np.ndarray]  # (W, H) float each, more for less trust; NaN: could not judge
    last_frame: int = 32  # of every episode

    def __len__(self) -> int:
        return len(self.condition)

    @property
    def seconds_left(self) -> np.ndarray:
        """(W,) from the newest observed frame to the end of the episode."""
        return (self.last_frame - (self.start + HISTORY - 1)) * ActionSpace().step_s

    def select(self, windows: np.ndarray) -> Trials:
        """Those of a mask (W,) or of indices."""
        chosen: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict):
                chosen[field.name] = {name: column[windows] for name, column in value.items()}
            else:
                chosen[field.name] = value[windows] if isinstance(value, np.ndarray) else value
        return Trials(**chosen)

    def kinds(self) -> list[tuple[str, float]]:
        """Conditions with their severities, in the order of appearance."""
        pairs = zip(self.condition.tolist(), self.severity.tolist(), strict=True)
        return list(dict.fromkeys(pairs))

    def of_kind(self, condition: str, severity: float) -> np.ndarray:
        """(W,) bool."""
        return (self.condition == condition) & (self.severity == severity)

    def runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Episodes under a condition and severity: a window (R,) of each; of each window its run.

        Both are indices, the second (W,) into the first.
        """
        keys = np.rec.fromarrays([self.condition, self.severity, self.episode])
        _, first, run = np.unique(keys, return_index=True, return_inverse=True)
        return first, run
