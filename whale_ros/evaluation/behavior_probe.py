"""What does z know? Read from it with a linear probe, and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from whale_ros.imagination.live import HISTORY
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.pretrain import SEQUENCE
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

TRAINED_ON = 300  # episodes: the first, which hold all behaviours of all tasks equally often
DECAY = 1e-2  # of the probe's weights


@dataclass
class Embedded:
    """z (E, Z) of each episode, read from its first SEQUENCE frames: as many as in training."""

    posterior: Tensor  # from all of them
    prior_at_the_end: Tensor  # at the last of them
    prior_after_history: Tensor  # after so many frames as are observed before imagining


@torch.inference_mode()
def embed(model: WhaleST, data: EpisodeSet, episodes: int | None = None) -> Embedded:
    """Of the first episodes, or of all."""
    rows: list[tuple[Tensor, ...]] = []
    device = model.device
    for frames, actions in islice(zip(data.frames, data.actions, strict=True), episodes):
        codes = model.encode(to_float(frames[:SEQUENCE].to(device)))[None]
        taken = model.normalised(actions[: SEQUENCE - 1].to(device))[None]
        prior = model.behavior.infer(codes, taken)[0]
        rows.append((model.behavior.posterior(codes, taken)[0], prior[-1], prior[HISTORY - 1]))
    return Embedded(*(torch.stack(column).cpu() for column in zip(*rows, strict=True)))


def probe_behavior(model: WhaleST, train: EpisodeSet, held_out: EpisodeSet) -> dict:
    """Share of held-out episodes whose behaviour or task a linear probe tells from z.

    Beside it the chance level: the share of the most frequent label.
    """
    known, unknown = embed(model, train, TRAINED_ON), embed(model, held_out)
    report: dict = {}
    for label in ("behavior", "task"):
        names = [getattr(info, label) for info in train.infos[:TRAINED_ON]]
        truth = [getattr(info, label) for info in held_out.infos]
        shares = {
            kind: linear_accuracy(getattr(known, kind), names, getattr(unknown, kind), truth)
            for kind in Embedded.__dataclass_fields__
        }
        shares["chance"] = max(truth.count(name) for name in truth) / len(truth)
        report[label] = {kind: round(share, 3) for kind, share in shares.items()}
    return report


def linear_accuracy(z: Tensor, names: list[str], unknown: Tensor, truth: list[str]) -> float:
    """Multinomial logistic regression on z (E, Z), by its own standard deviations."""
    classes = sorted(set(names))
    labels = torch.tensor([classes.index(name) for name in names])
    mean, spread = z.mean(0), z.std(0).clamp(min=1e-6)
    x = (z - mean) / spread
    weight = torch.zeros(z.shape[1], len(classes), requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, labels) + DECAY * weight.square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        guess = (((unknown - mean) / spread) @ weight + bias).argmax(-1).tolist()
    return sum(classes[g] == name for g, name in zip(guess, truth, strict=True)) / len(truth)
