"""One training loop for every network: AdamW, warm-up and cosine, exact resume.

All randomness of step n is drawn from (seed, n), so a resumed run goes on as if never stopped:
to the bit on a CPU, while a GPU's kernels may add in another order. Several processes share every
batch, and train as one would, but for the noise that a loss draws itself. Where there is held-out
data, training stops when that gets no better, and the weights that did best on it are kept.
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

from whale_ros.training.best import Best, put, trained
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
    held_out: Callable[[], float] | None = None  # a loss on other data


@dataclass(frozen=True)
class Schedule:
    steps: int
    learning_rate: float
    weight_decay: float = 0.01
    seed: int = 0
    save_every: int = SAVE_EVERY  # steps; then the held-out loss is looked at too
    patience: int = 5 * SAVE_EVERY  # steps without a better held-out loss, after which it is over
    afterwards_s: float = 0.0  # how long about what comes after this stage takes, to be told


@dataclass(frozen=True)
class Outcome:
    """Of a stage. The weights are those of the best step: the last one without held-out data."""

    steps: int
    best_step: int
    held_out_loss: float | None


def train(stage: Stage, schedule: Schedule, run: Path, worker: Worker | None = None) -> Outcome:
    """Minimise the loss over what is trained of the network, which is on the worker's device.

    Resumes from the state in the folder `run`, if there is one. What is reported of a step is
    about the first process's share of the batch. With held-out data there is one process only.
    Raises ValueError if that state is broken or of another network.
    """
    worker = worker or Worker()
    state = run / f"{stage.name}.safetensors"
    optimizer = torch.optim.AdamW(
        trained(stage.network).values(),
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        betas=(0.9, 0.95),
        fused=worker.is_fast,
    )
    best = Best(stage.network, stage.held_out) if stage.held_out else None
    done = 0
    try:
        if resumes := state.exists():
            done = _resume(stage.network, optimizer, best, state)
    except (RuntimeError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{state} cannot be resumed from, choose another folder: {error}"
        ) from error
    if best and not resumes:
        best.look(0)
    if not _is_over(done, schedule, best):
        stage.network.train()
        done = _train(stage, schedule, run, worker, optimizer, best, done)
    stage.network.eval()
    if best is None:
        return Outcome(done, done, None)
    best.take()
    return Outcome(done, best.step, best.loss)


def _is_over(done: int, schedule: Schedule, best: Best | None) -> bool:
    return done >= schedule.steps or bool(best and done - best.step >= schedule.patience)


def _train(
    stage: Stage,
    schedule: Schedule,
    run: Path,
    worker: Worker,
    optimizer: torch.optim.Optimizer,
    best: Best | None,
    done: int,
) -> int:
    """Returns how many steps were done when it was over."""
    objective = worker.prepared(_Objective(stage))
    weights = trained(stage.network).values()
    progress = None
    if worker.is_first:
        steps, afterwards_s = schedule.steps, schedule.afterwards_s
        progress = Progress(stage.name, run, done, steps, stage.pictures, afterwards_s)
    while not _is_over(done, schedule, best):
        rate = schedule.learning_rate * _warm_cosine(done, schedule.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(schedule.seed * 10_000_019 + done)
        rows, generator, weight = worker.share(stage.batch(generator), generator)
        with torch.autocast(worker.device.type, torch.bfloat16, enabled=worker.is_fast):
            loss, metrics = objective(*rows, generator)
        optimizer.zero_grad(set_to_none=True)
        (weight * loss).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        done += 1
        numbers = {"loss": loss.detach(), **metrics}
        if progress and (done % schedule.save_every == 0 or done == schedule.steps):
            if best:
                progress.held_out(done, best.look(done))
            _save(stage.network, optimizer, best, run / f"{stage.name}.safetensors", done)
        if progress:
            progress.update(done, numbers, rate)
    if progress:
        progress.close()
    return done


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


def _save(
    network: nn.Module, optimizer: torch.optim.Optimizer, best: Best | None, path: Path, step: int
) -> None:
    tensors = {f"network.{name}": weight.detach() for name, weight in trained(network).items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{i}.{k}": v for k, v in moments.items()})
    kept, words = best.state() if best else ({}, {})
    tensors |= kept
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(content, partial, {"step": str(step), **words})
    partial.replace(path)


def _resume(
    network: nn.Module, optimizer: torch.optim.Optimizer, best: Best | None, path: Path
) -> int:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        words = file.metadata()
    weights = {k.removeprefix("network."): v for k, v in tensors.items() if k[0] == "n"}
    put(network, weights)
    content = optimizer.state_dict()
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, i, moment = key.split(".", 2)
            content["state"].setdefault(int(i), {})[moment] = value
    optimizer.load_state_dict(content)
    if best:
        best.restore(tensors, words)
    return int(words["step"])
