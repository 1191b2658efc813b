"""Keys and values of slots gone by, so that each frame is computed once.

A cache is a value: nothing that is done with it changes what another one holds. Yet going on from
the newest one copies nothing, because caches share a buffer with free room at its end, and whoever
goes on first from a slot takes the room behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

ROOM = 8  # slots that are added when a buffer is full


@dataclass
class _Buffer:
    layers: list[tuple[Tensor, Tensor]]  # keys (rotated) and values, (B*N, H, capacity, D/H) each
    capacity: int
    used: int  # slots that some cache holds


@dataclass(frozen=True)
class Cache:
    keep: int  # older slots than so many may be forgotten
    position: int = 0  # slots that ever were
    length: int = 0  # of them held
    buffer: _Buffer | None = None

    def extended(self, slots: int) -> Cache:
        """With room for more slots, to be filled by `put` once for each layer."""
        buffer, length = self.buffer, self.length
        if buffer is None:
            buffer = _Buffer([], slots + ROOM, 0)
        elif length < buffer.used or length + slots > buffer.capacity:
            length = min(length, self.keep)
            buffer = self._copied(slice(self.length - length, self.length), slots + ROOM)
        buffer.used = length + slots
        return Cache(self.keep, self.position + slots, length + slots, buffer)

    def put(self, layer: int, key: Tensor, value: Tensor, seen: int) -> tuple[Tensor, Tensor]:
        """Fill the newest slots of a layer; returns the last `seen` keys and values of it."""
        assert self.buffer is not None
        end = self.length
        if layer == len(self.buffer.layers):
            shape = (*key.shape[:2], self.buffer.capacity, key.shape[3])
            self.buffer.layers.append((key.new_empty(shape), value.new_empty(shape)))
        keys, values = self.buffer.layers[layer]
        keys[:, :, end - key.shape[2] : end] = key
        values[:, :, end - value.shape[2] : end] = value
        return keys[:, :, end - seen : end], values[:, :, end - seen : end]

    def rewound(self, slots: int, window: int) -> Cache:
        """As it was some slots ago. Raises ValueError if a part of its window is forgotten."""
        length, position = self.length - slots, self.position - slots
        if position < 0 or length < min(position, window - 1):
            raise ValueError(f"cannot rewind {slots} of {self.position} steps")
        return replace(self, length=length, position=position)

    def rows(self, index: Tensor) -> Cache:
        """Of the rows (B'*N,) `index`, repeats allowed."""
        if self.buffer is None:
            return self
        return replace(self, buffer=self._copied(slice(0, self.length), ROOM, index))

    def joined(self, other: Cache) -> Cache:
        """The rows of both, which hold equally many slots or at least a window of them."""
        if self.buffer is None or other.buffer is None:
            return self
        held = min(self.length, other.length)
        one = slice(self.length - held, self.length)
        two = slice(other.length - held, other.length)
        layers = [
            (
                _with_room(torch.cat([key[:, :, one], other_key[:, :, two]]), ROOM),
                _with_room(torch.cat([value[:, :, one], other_value[:, :, two]]), ROOM),
            )
            for (key, value), (other_key, other_value) in zip(
                self.buffer.layers, other.buffer.layers, strict=True
            )
        ]
        return replace(self, length=held, buffer=_Buffer(layers, held + ROOM, held))

    def _copied(self, slots: slice, room: int, rows: Tensor | slice = slice(None)) -> _Buffer:
        assert self.buffer is not None
        layers = [
            (_with_room(keys[rows, :, slots], room), _with_room(values[rows, :, slots], room))
            for keys, values in self.buffer.layers
        ]
        held = slots.stop - slots.start
        return _Buffer(layers, held + room, held)


def _with_room(tensor: Tensor, room: int) -> Tensor:
    rows, heads, slots, size = tensor.shape
    larger = tensor.new_empty(rows, heads, slots + room, size)
    larger[:, :, :slots] = tensor
    return larger
