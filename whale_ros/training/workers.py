"""The processes that train together: one, or as many as torchrun starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from whale_ros.world_model.device import find_device


@dataclass(frozen=True)
class Worker:
    """One of `count` processes, the first being the one that shows and writes."""

    device: torch.device = torch.device("cpu")
    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_fast(self) -> bool:
        """Whether bf16, compiling and fused kernels pay."""
        return self.device.type == "cuda"

    def share(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[list[Tensor], torch.Generator, float]:
        """Of a batch (each (B, ...)) that every process has drawn from the same `generator`.

        Returns this process's rows, on its device; a generator for its own noise; and what its
        loss, a mean over its rows, has to be multiplied by so that the mean over the processes
        is that over all rows. Raises ValueError if there are fewer rows than processes.
        """
        rows = len(batch[0])
        if rows < self.count:
            raise ValueError(f"{self.count} processes cannot share a batch of {rows}; start fewer")
        mine = [tensor.tensor_split(self.count)[self.rank].to(self.device) for tensor in batch]
        if self.count > 1:  # alone, it goes on with the generator that drew the batch
            seeds = torch.randint(2**62, (self.count,), generator=generator)
            generator = torch.Generator().manual_seed(int(seeds[self.rank]))
        return mine, generator, len(mine[0]) * self.count / rows

    def prepared(self, objective: nn.Module) -> nn.Module:
        """The same module, averaging gradients over the processes, and compiled where it pays."""
        if self.count > 1:
            objective = DistributedDataParallel(objective)
        if self.is_fast:
            objective.compile()
        return objective


@contextmanager
def join_workers(device: str | None) -> Iterator[Worker]:
    """As one of torchrun's processes if it has started this one, else alone.

    device: as torch names it; default: a GPU if there is one. Raises ValueError if it is absent.
    """
    place = find_device(device or "auto")
    if "WORLD_SIZE" not in os.environ:
        yield Worker(place)
        return
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Worker(place, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
