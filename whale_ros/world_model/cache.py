"""Keys and values of slots gone by, so that each frame is computed once.

A cache is a value: nothing that is done with it changes what another one holds. Yet little is
copied. Going on from the newest slot takes free room at the end of a buffer that caches share.
Candidates that continue one past share it as it is, in `common`, however many they are; and what
goes back and then another way shares what was before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

ROOM = 8  # slots that are added when a buffer is full

# Keys (rotated) and values, (slots, B*N, H, D/H) each. Slots come first, so that room that is not
# used yet lies at the end, where it costs nothing.
KeyValue = tuple[Tensor, Tensor]


@dataclass
class _Buffer:
    layers: list[KeyValue]
    capacity: int
    used: int  # slots that some cache holds


@dataclass(frozen=True)
class Cache:
    """Of B sequences."""

    keep: int  # older slots than so many may be forgotten
    batch: int  # sequences
    position: int = 0  # slots that ever were
    length: int = 0  # of them in the buffer
    buffer: _Buffer | None = None
    common: Cache | None = None  # what was before; sequence i continues i % common.batch of it

    @property
    def held(self) -> int:
        return self.length + (self.common.held if self.common else 0)

    def extended(self, slots: int) -> Cache:
        """With room for more slots, to be filled by `put` once for each layer."""
        length, buffer, common = self.length, self.buffer, self.common
        if length + slots > self.keep:
            common = None
        if buffer and 0 < length < buffer.used and not (common and common.common):
            # Two pasts, observed and imagined, are what retracing needs; a third one is copied.
            length, buffer, common = 0, None, self
        if buffer is None or length == 0:
            length, buffer = 0, _Buffer([], slots + ROOM, 0)
        elif length < buffer.used or length + slots > buffer.capacity:
            length = min(length, self.keep)
            buffer = _copied(buffer, slice(self.length - length, self.length), slots + ROOM)
        buffer.used = length + slots
        position, length = self.position + slots, length + slots
        return Cache(self.keep, self.batch, position, length, buffer, common)

    def put(self, layer: int, key: Tensor, value: Tensor, seen: int) -> KeyValue:
        """Fill the newest slots of a layer; returns those of the last `seen` not common."""
        assert self.buffer is not None
        end = self.length
        if layer == len(self.buffer.layers):
            shape = (self.buffer.capacity, *key.shape[:2], key.shape[3])
            self.buffer.layers.append((key.new_empty(shape), value.new_empty(shape)))
        keys, values = self.buffer.layers[layer]
        keys[end - key.shape[2] : end] = key.permute(2, 0, 1, 3)
        values[end - value.shape[2] : end] = value.permute(2, 0, 1, 3)
        begin = max(0, end - seen)
        return keys[begin:end], values[begin:end]

    def put_before(self, layer: int, seen: int) -> list[KeyValue]:
        """Those of the last `seen` slots that are common, of one past after the other."""
        older = seen - self.length
        if older <= 0 or self.common is None or self.common.buffer is None:
            return []
        end = self.common.length
        keys, values = self.common.buffer.layers[layer]
        slots = slice(max(0, end - older), end)
        newest = [(keys[slots], values[slots])] if end else []
        return self.common.put_before(layer, older) + newest

    def rewound(self, slots: int, window: int) -> Cache:
        """As it was some slots ago. Raises ValueError if a part of its window is forgotten."""
        position = self.position - slots
        if position < 0 or self.held - slots < min(position, window - 1):
            raise ValueError(f"cannot rewind {slots} of {self.position} steps")
        if slots <= self.length or self.common is None:
            return replace(self, position=position, length=self.length - slots)
        common = self.common.rewound(slots - self.length, window)
        return Cache(self.keep, self.batch, position, common=common)

    def fork(self, index: Tensor) -> Cache:
        """Of the sequences `index`, repeats allowed."""
        if self.batch == 1 and self.common is None:
            return Cache(self.keep, len(index), self.position, common=self)
        if self.common and self.common.batch > 1:  # not all continue the same one
            past = self.common.common
            alone = self._since(past.position if past else 0)
            return replace(alone, common=past).fork(index)
        if self.buffer is None:
            return replace(self, batch=len(index))
        tokens = self.buffer.layers[0][0].shape[1] // self.batch
        rows = (tokens * index.unsqueeze(1) + torch.arange(tokens, device=index.device)).flatten()
        buffer = _copied(self.buffer, slice(0, self.length), ROOM, rows)
        return replace(self, batch=len(index), buffer=buffer)

    def apart(self) -> Cache:
        """The same with nothing common: every sequence has a past of its own."""
        return self._since(0)

    def _since(self, position: int) -> Cache:
        """Common slots only before this position; the later ones are repeated."""
        if self.common is None or self.common.position <= position:
            return self
        past = self.common._since(position)
        slots = slice(max(0, past.length - (past.position - position)), past.length)
        if past.buffer is None:
            return replace(self, common=None)
        layers = []
        for i, pair in enumerate(past.buffer.layers):
            parts = [tensor[slots].repeat(1, self.batch // past.batch, 1, 1) for tensor in pair]
            if self.buffer is not None:
                own = self.buffer.layers[i]
                parts = [
                    torch.cat([part, tensor[: self.length]])
                    for part, tensor in zip(parts, own, strict=True)
                ]
            layers.append((_with_room(ROOM, parts[0]), _with_room(ROOM, parts[1])))
        held = slots.stop - slots.start + self.length
        return replace(self, length=held, buffer=_Buffer(layers, held + ROOM, held), common=None)


def _copied(buffer: _Buffer, slots: slice, room: int, rows: Tensor | None = None) -> _Buffer:
    layers = []
    for key, value in buffer.layers:
        key, value = key[slots], value[slots]
        if rows is not None:
            key, value = key[:, rows], value[:, rows]
        layers.append((_with_room(room, key), _with_room(room, value)))
    held = slots.stop - slots.start
    return _Buffer(layers, held + room, held)


def _with_room(room: int, tensor: Tensor) -> Tensor:
    """(slots, rows, H, size) with empty slots behind."""
    slots, *shape = tensor.shape
    larger = tensor.new_empty(slots + room, *shape)
    larger[:slots] = tensor
    return larger
