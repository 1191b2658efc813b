"""Rows of different lengths, as episodes are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import torch
from torch import Tensor

Index = int | Tensor


class Sequences:
    """Tensors (T_e, ...), one after the other in memory and indexed as if they were stacked.

    rows[e] is one of them; rows[e, t] takes indices that broadcast, as a tensor (E, T, ...) would.
    """

    def __init__(self, rows: Sequence[Tensor]) -> None:
        """At least one. Raises RuntimeError if they differ in more than their length."""
        self.flat = torch.cat(list(rows))  # (sum of T_e, ...)
        self.lengths = torch.tensor([len(row) for row in rows])  # (E,)
        self.first = self.lengths.cumsum(0) - self.lengths  # (E,) where each begins in `flat`

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.flat.split(self.lengths.tolist()))

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: tuple[Index, Index]) -> Tensor: ...

    def __getitem__(self, index: int | tuple[Index, Index]) -> Tensor:
        """Raises IndexError for a row, or a time within it, that there is not."""
        row, time = index if isinstance(index, tuple) else (index, None)
        if time is None:
            first = int(self.first[row])
            return self.flat[first : first + int(self.lengths[row])]
        if bool(((time < 0) | (time >= self.lengths[row])).any()):  # else another row's would come
            raise IndexError("there is a time that its row does not have")
        return self.flat[self.first[row] + time]

    def pieces(self, length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows (B,) and starts (B,) of pieces of that length, each of them equally likely.

        Raises ValueError if no row is as long.
        """
        until = (self.lengths - length + 1).clamp(min=0).cumsum(0)
        if not until[-1]:
            raise ValueError(f"nothing is {length} long, the longest {int(self.lengths.max())}")
        drawn = torch.randint(int(until[-1]), (count,), generator=generator)
        row = torch.searchsorted(until, drawn, right=True)
        return row, drawn - (until[row] - (self.lengths[row] - length + 1))
