"""One training loop for every network: AdamW, warm-up and cosine, progress, exact resume.

All randomness of step n is drawn from (seed, n), so a resumed run goes on as if never stopped.
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
from tqdm import tqdm

WARM_UP_STEPS = 100
SAVE_EVERY = 200

Loss = Callable[[torch.Generator], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Schedule:
    steps: int
    learning_rate: float
    weight_decay: float = 0.01
    seed: int = 0


def train(name: str, network: nn.Module, loss: Loss, schedule: Schedule, state: Path) -> None:
    """Minimise `loss(generator)` over `network`; resumes from `state` if that file exists.

    Raises ValueError if that file is broken or of another network.
    """
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        betas=(0.9, 0.95),
    )
    try:
        done = _resume(network, optimizer, state) if state.exists() else 0
    except (RuntimeError, SafetensorError, KeyError) as error:
        raise ValueError(
            f"{state} cannot be resumed from, choose another folder: {error}"
        ) from error
    network.train()
    smooth: dict[str, float] = {}
    progress = tqdm(range(done, schedule.steps), name, initial=done, total=schedule.steps)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _warm_cosine(step, schedule.steps)
        generator = torch.Generator().manual_seed(schedule.seed * 10_000_019 + step)
        value, metrics = loss(generator)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        for key, number in {"loss": value.detach(), **metrics}.items():
            smooth[key] = 0.98 * smooth.get(key, float(number)) + 0.02 * float(number)
        if step % 20 == 0:
            progress.set_postfix({k: f"{v:.4f}" for k, v in smooth.items()})
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == schedule.steps:
            _save(network, optimizer, state, step + 1)
    network.eval()


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
