"""Who uses a model when several threads want to.

At once would be slower than one after the other: each gives the interpreter away at every
operation, and waits to get it back. So one waits, but not for long: judging the present goes before
imagining for a plan, and that before imagining for whoever is patient. What takes long lets those
pass between two steps that go before it.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Rank(enum.IntEnum):
    """The lower goes first."""

    JUDGE = 0
    PLAN = 1
    PATIENT = 2


class RightOfWay:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._waiting: list[Rank] = []
        self._present: list[Rank] = []  # have the way, or wait for it

    @property
    def is_imagining(self) -> bool:
        """Whether anybody is here who needs longer than a judgement takes."""
        return any(rank > Rank.JUDGE for rank in list(self._present))

    @contextmanager
    def at(self, rank: Rank) -> Iterator[None]:
        self._present.append(rank)
        self._enter(rank)
        try:
            yield
        finally:
            self._leave()
            self._present.remove(rank)

    def let_pass(self, rank: Rank) -> None:
        """Of who has the way at this rank: let those go first who wait and go before it."""
        if any(other < rank for other in list(self._waiting)):
            self._leave()
            self._enter(rank)

    def _enter(self, rank: Rank) -> None:
        with self._changed:
            self._waiting.append(rank)
            self._changed.wait_for(lambda: not self._busy and rank == min(self._waiting))
            self._waiting.remove(rank)
            self._busy = True

    def _leave(self) -> None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()


class Polite:
    """A model whose steps let others pass; everything else is the model's own."""

    def __init__(self, model: Any, way: RightOfWay, rank: Rank) -> None:
        self._model, self._way, self._rank = model, way, rank

    def step(self, *arguments: Any) -> Any:
        self._way.let_pass(self._rank)
        return self._model.step(*arguments)

    def step_together(self, *arguments: Any) -> Any:
        self._way.let_pass(self._rank)
        return self._model.step_together(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
