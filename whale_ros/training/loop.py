"""One training loop for every network: AdamW, warm-up and cosine, exact resume.

All randomness of step n is drawn from (seed, n), so a resumed run goes on as if never stopped:
to the bit on a CPU, while a GPU's kernels may add in another order. Several processes share every
batch, and train as one would, but for the noise that a loss draws itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from whale_ros.training.progress import Pictures, Progress
from whale_ros.training.workers import Worker

WARM_UP_STEPS = 100
SAVE_EVERY = 200


@dataclass(frozen=True)
class Stage:
    """A network, what it learns from, and what it minimises."""

    name: str
    network: nn.Module
    batch: Callable[[torch.Generator], tuple[Tensor, ...]]  # of rows, (B, ...) each
    loss: Callable[..., tuple[Tensor, dict[str, Tensor]]]  # of rows and a generator: a mean
    pictures: Pictures | None = None


@dataclass(frozen=True)
class Schedule:
    steps: int
    learning_rate: float
    weight_decay: float = 0.01
    seed: int = 0


def train(stage: Stage, schedule: Schedule, run: Path, worker: Worker | None = None) -> None:
    """Minimise the loss over the network, which is on the worker's device.

    Resumes from the state in the folder `run`, if there is one. What is reported of a step is
    about the first process's share of the batch.
    Raises ValueError if that state is broken or of another network.
    """
    worker = worker or Worker()
    state = run / f"{stage.name}.safetensors"
    network = stage.network
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        betas=(0.9, 0.95),
        fused=worker.is_fast,
    )
    try:
        done = _resume(network, optimizer, state) if state.exists() else 0
    except (RuntimeError, SafetensorError, KeyError) as error:
        raise ValueError(
            f"{state} cannot be resumed from, choose another folder: {error}"
        ) from error
    if done < schedule.steps:
        network.train()
        _train(stage, schedule, run, worker, optimizer, done)
    network.eval()


def _train(
    stage: Stage,
    schedule: Schedule,
    run: Path,
    worker: Worker,
    optimizer: torch.optim.Optimizer,
    done: int,
) -> None:
    objective = worker.prepared(_Objective(stage))
    progress = None
    if worker.is_first:
        progress = Progress(stage.name, run, done, schedule.steps, stage.pictures)
    for step in range(done, schedule.steps):
        rate = schedule.learning_rate * _warm_cosine(step, schedule.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(schedule.seed * 10_000_019 + step)
        rows, generator, weight = worker.share(stage.batch(generator), generator)
        with torch.autocast(worker.device.type, torch.bfloat16, enabled=worker.is_fast):
            loss, metrics = objective(*rows, generator)
        optimizer.zero_grad(set_to_none=True)
        (weight * loss).backward()
        nn.utils.clip_grad_norm_(stage.network.parameters(), 1.0)
        optimizer.step()
        if progress:
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == schedule.steps:
                _save(stage.network, optimizer, run / f"{stage.name}.safetensors", step + 1)
            progress.update(step + 1, {"loss": loss.detach(), **metrics}, rate)
    if progress:
        progress.close()


class _Objective(nn.Module):
    """The loss as a module, because that is what DDP takes."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.network = stage.network
        self.loss = stage.loss

    def forward(self, *arguments: object) -> tuple[Tensor, dict[str, Tensor]]:
        return self.loss(*arguments)


def _warm_cosine(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def _save(network: nn.Module, optimizer: torch.optim.Optimizer, path: Path, step: int) -> None:
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{i}.{k}": v for k, v in moments.items()})
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, partial, {"step": str(step)})
    partial.replace(path)


def _resume(network: nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> int:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step = int(file.metadata()["step"])
    weights = {k.removeprefix("network."): v for k, v in tensors.items() if k[0] == "n"}
    network.load_state_dict(weights)
    content = optimizer.state_dict()
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, i, moment = key.split(".", 2)
            content["state"].setdefault(int(i), {})[moment] = value
    optimizer.load_state_dict(content)
    return step
