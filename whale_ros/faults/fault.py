"""What a fault is, and which of them can be tried at once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

Steps = Iterator[float]  # an injection: it does something, and says how long to wait [s]

FAULTS: list[Fault] = []


@dataclass(frozen=True)
class Fault:
    """required: H hold, X rejected, - nothing but the limits; latches: until a person resets.

    touches: what it takes hold of; two that touch the same hide one another. together: whether it
    may be tried beside others. estop: whether it needs a world with or without an e-stop, None
    where it does not matter. says: what a running gate must say of it.
    """

    row: int | str  # of the matrix, or an item of the contract above it
    name: str
    required: str
    latches: bool
    inject: Callable[..., Steps]  # of a core.Case, or of a case on a running system
    touches: tuple[str, ...] = ()
    together: bool = True
    estop: bool | None = None
    says: str = ""

    @property
    def demand(self) -> str:
        return self.required + {"H": ", L" if self.latches else ", A"}.get(self.required, "")


def fault(row: int | str, name: str, required: str, *touches: str, **more: Any):
    """Registers an injection. required: "H, A", "H, L", "X" or "-"."""

    def register(inject: Callable[..., Steps]) -> Callable[..., Steps]:
        kind, _, ends = required.partition(", ")
        FAULTS.append(Fault(row, name, kind, ends == "L", inject, touches, **more))
        return inject

    return register


class Injection(Protocol):
    def go_on(self) -> float | None:
        """Seconds until it wants to go on; None when it is over."""


def run_together(
    injections: Sequence[Injection],
    starts_s: Sequence[float],
    now: Callable[[], float],
    pause: Callable[[float], None],
) -> None:
    """Until all are over; each starts so many seconds from now, and goes on when it wants to."""
    due = [(now() + starts_s[i], i) for i in range(len(injections))]
    heapq.heapify(due)
    while due:
        at, i = heapq.heappop(due)
        pause(at - now())
        wait = injections[i].go_on()
        if wait is not None:
            heapq.heappush(due, (now() + wait, i))


def draw(faults: Sequence[Fault], count: int, rng: Random) -> list[Fault]:
    """So many faults as far as there are, none of which hides another one."""
    drawn: list[Fault] = []
    for fault in rng.sample(faults, len(faults)):
        touched = {what for other in drawn for what in other.touches}
        if fault.together and len(drawn) < count and touched.isdisjoint(fault.touches):
            drawn.append(fault)
    return drawn


def union(faults: Sequence[Fault]) -> Fault:
    """What is required of several at once: the strictest of each."""
    if len(faults) == 1:
        return faults[0]
    required = min((fault.required for fault in faults), key="HX-".index)
    name = " + ".join(fault.name for fault in faults)
    latches = any(fault.latches for fault in faults)
    return Fault("+".join(str(f.row) for f in faults), name, required, latches, _never)


def _never(_case: Any) -> Steps:
    raise ValueError("a union is not injected itself: each of its faults is")
