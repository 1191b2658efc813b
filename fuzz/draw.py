"""Values and files out of the bytes that a fuzzer makes up."""

from __future__ import annotations

import copy
import math
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = Path(  # to write what is to be read
    tempfile.mkdtemp(prefix="fuzz", dir="/dev/shm" if Path("/dev/shm").exists() else None)
)
EDITS = 4  # of a document, at most
NUMBERS = (0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1e38, 1e308, 0.05, 0.2)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, 10**30, 10**400, *NUMBERS,
    "", "base", "../x", "\0", "0", "nan", [], [[]], {}, {"": None}, [0] * 99,
)  # fmt: skip


class Draw:
    """Takes bytes from the front; when they have ended, zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return max(0, len(self._data) - self._at)

    def bytes(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken.ljust(count, b"\0")

    def below(self, end: int) -> int:
        return int.from_bytes(self.bytes(1 if end <= 256 else 4), "little") % end

    def one_of(self, options: Sequence) -> Any:
        return options[self.below(len(options))]

    def number(self) -> float:
        """Any float64, the awkward ones more often than others."""
        kind = self.below(4)
        if kind == 0:
            return self.one_of(NUMBERS)
        if kind == 1:
            return struct.unpack("<d", self.bytes(8))[0]
        return self.between(-1.0, 1.0)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.below(65536) / 65535


def file_of(data: bytes, valid: Any, dump: Callable[[Any], str]) -> bytes:
    """A file to read: the bytes themselves behind an R, else the valid document with edits."""
    if data[:1] == b"R":
        return data[1:]
    return dump(edited(valid, Draw(data))).encode("utf-8", "surrogatepass")


def edited(document: Any, draw: Draw) -> Any:
    """A copy in which some values are replaced, left out or made up."""
    document = copy.deepcopy(document)
    for _ in range(draw.below(EDITS + 1)):
        if not isinstance(document, (dict, list)) or not document or not draw.below(32):
            return _value(draw, document)
        above, place = document, _place(document, draw)
        while isinstance(above[place], (dict, list)) and above[place] and draw.below(4):
            above = above[place]
            place = _place(above, draw)
        _edit(above, place, draw)
    return document


def _place(above: dict | list, draw: Draw) -> Any:
    return draw.one_of(list(above) if isinstance(above, dict) else range(len(above)))


def _edit(above: dict | list, place: Any, draw: Draw) -> None:
    what = draw.below(8)
    if what == 0:
        del above[place]
    elif what == 1 and isinstance(above, dict):
        above[draw.one_of(("", "x", 1, None, *above))] = _value(draw, above[place])
    elif what == 1:
        above.append(_value(draw, above[place]))
    else:
        above[place] = _value(draw, above[place])


def _value(draw: Draw, old: Any) -> Any:
    """Another one, often nearly the old one."""
    kind = draw.below(4)
    if kind == 0 and isinstance(old, int):
        return old + draw.one_of((-1, 1, 1000, 10**9))
    if kind == 0 and isinstance(old, float):
        return old + draw.one_of((-1.0, 1.0, 1e-9, 0.5))
    if kind == 0 and isinstance(old, str):
        return old + draw.one_of((" ", "0", "\n"))
    if kind == 1:
        return [old, old]
    if kind == 2:
        return draw.number()
    return copy.deepcopy(draw.one_of(VALUES))


# ---- where to begin


def documents() -> list[bytes]:
    """Few edits, and many."""
    return [b"", bytes(range(200)), bytes(range(255, 55, -1)), bytes([3, *[5, 1, 7, 2] * 9])]


def json_files() -> list[bytes]:
    odd = [b"R" + b"[" * 2000, b"R{}", b'R{"schema": 3, "config": {}}', b"R" + b"9" * 5000]
    return [*documents(), *odd, b"R[]", b"R\xff"]


def yaml_files() -> list[bytes]:
    odd = [b"R" + b"[" * 2000, b"Rtokenizer: !!python/object:os.system {}", b"R? {a: b}\n: c"]
    return [*documents(), *odd, b"R[]", b"R\xff", b"R&a [*a]"]
