"""A check of the gate, and the two clocks it is made by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Now:
    """One moment on two clocks [s]: `steady` measures time outs, `ros` judges stamps."""

    steady: float
    ros: float


@dataclass(frozen=True)
class Check:
    """A measured value beside its threshold; `message` says in words, with units, what it means.

    urgent: the arm is held at the first bad cycle.
    """

    name: str
    ok: bool
    value: float
    threshold: float
    message: str
    urgent: bool = False
