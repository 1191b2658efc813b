"""An append-only log of decisions that never makes the gate wait."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

QUEUE = 1000  # decisions that wait for a slow disk; beyond, they are counted as lost


class AuditLog:
    """JSON lines, one a decision, written by a thread of its own.

    A full disk or a missing folder does not stop the gate: `problem` says what is wrong, `lost`
    counts what could not be written, and the next line that can be written tells of it.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        """run: what is the same for all decisions, written as the first line."""
        self.path = path
        self.problem = ""
        self.lost = 0
        self._told = 0
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="audit_log")
        self._thread.start()
        self.write([{"event": "start", **run}])

    def write(self, decisions: Iterable[dict[str, Any]]) -> None:
        """Never waits, never raises for the disk's sake."""
        for decision in decisions:
            try:
                self._queue.put_nowait(decision)
            except queue.Full:
                self.lost += 1

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is left, if the disk is quick enough."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)

    def _write_all(self) -> None:
        while (decision := self._queue.get()) is not None:
            lost = self.lost
            if lost > self._told:
                decision = {**decision, "lost_before": lost - self._told}
            try:
                line = json.dumps(_finite(decision)) + "\n"
                self.path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                try:
                    _write_line(handle, line.encode())
                finally:
                    os.close(handle)
                self.problem, self._told = "", lost
            except Exception as error:  # whatever it is, the next line may go well
                self.lost += 1
                why = error.strerror if isinstance(error, OSError) else error
                self.problem = f"cannot write {self.path}: {why}"


def _write_line(handle: int, line: bytes) -> None:
    """The whole line or, when the disk fills up in the middle, none of it."""
    size = os.fstat(handle).st_size
    written = os.write(handle, line)
    if written < len(line):
        os.ftruncate(handle, size)
        raise OSError(28, "No space left on device")


def _finite(decision: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN and no infinity: as words."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in decision.items()
    }
