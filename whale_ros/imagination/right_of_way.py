"""Who uses a model when two threads want to.

Both at once would be slower than one after the other: each gives the interpreter away at every
operation, and waits to get it back. So one waits, but not for long: judging the present has the
right of way, and imagining, which takes several times as long, lets it pass between two steps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class RightOfWay:
    """Of one urgent and one patient thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._urgent_waits = False
        self.patient_is_here = False  # has the way, or waits for it

    @contextmanager
    def urgent(self) -> Iterator[None]:
        with self._changed:
            self._urgent_waits = True
            self._changed.wait_for(lambda: not self._busy)
            self._urgent_waits, self._busy = False, True
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def patient(self) -> Iterator[None]:
        self.patient_is_here = True
        self._enter_patiently()
        try:
            yield
        finally:
            self.patient_is_here = False
            self._leave()

    def let_pass(self) -> None:
        """For the patient thread, while it has the way."""
        if self._urgent_waits:
            self._leave()
            self._enter_patiently()

    def _enter_patiently(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._busy and not self._urgent_waits)
            self._busy = True

    def _leave(self) -> None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()


class Polite:
    """A model whose steps let the urgent thread pass; everything else is the model's own."""

    def __init__(self, model: Any, way: RightOfWay) -> None:
        self._model, self._way = model, way

    def step(self, *arguments: Any) -> Any:
        self._way.let_pass()
        return self._model.step(*arguments)

    def step_together(self, *arguments: Any) -> Any:
        self._way.let_pass()
        return self._model.step_together(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
