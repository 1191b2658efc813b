"""Make a finished model know another scene from a few demonstrations.

The stages of pretraining once more, from the weights of a base. The demonstrations are varied in
place and light, so that they are not learnt by heart. Each stage stops early, by demonstrations
that it does not learn from. What the base was trained on comes back in a part of every batch
(replay), so that it is not forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.loop import Outcome, Schedule, Stage, train
from whale_ros.training.low_rank import make_low_rank, merge
from whale_ros.training.pretrain import (
    SEQUENCE,
    Steps,
    behavior_stage,
    dynamics_stage,
    encode_all,
    fit_familiarity,
    learning_rate,
    tokenizer_stage,
)
from whale_ros.training.record import claim_run
from whale_ros.training.sequences import Sequences
from whale_ros.training.variations import varied
from whale_ros.training.workers import Worker
from whale_ros.world_model.checkpoint import Card, load_checkpoint
from whale_ros.world_model.whale_st import WhaleST

LOW_RANK_FROM = 100_000_000  # parameters; to train all of fewer takes at most 1.6 GB
# Of the learning rates of pretraining.
RATES, LOW_RANK_RATE = {"tokenizer": 0.3, "behavior": 0.3, "dynamics": 1.0}, 1.0
LOOKS = 6  # batches of which the held-out loss is the mean
CHECK_EVERY, PATIENCE = 50, 250  # steps
STAGES = ("tokenizer", "behavior", "dynamics")
STEPS = Steps(tokenizer=400, behavior=200, dynamics=400)  # at most
REPLAYED = 200  # episodes at most, from all over the folder


@dataclass(frozen=True)
class Demonstrations:
    """What is learnt from. share: of every batch, that is replayed."""

    new: EpisodeSet
    held_out: EpisodeSet
    replay: EpisodeSet | None = None
    share: float = 0.4

    @property
    def sets(self) -> dict[str, EpisodeSet]:
        every = {"new": self.new, "held_out": self.held_out}
        return every | {"replay": self.replay} if self.replay else every

    def must_fit(self, card: Card) -> None:
        """Raise ValueError if episodes do not fit a checkpoint, or are too short."""
        if not 0 <= self.share < 1:
            raise ValueError(f"a share of {self.share:g} cannot be replayed; give 0 .. 1")
        for episodes in self.sets.values():
            episodes.must_fit(card.config, card.action_space)
            episodes.must_last(SEQUENCE, "fine-tuning")

    def described(self, base: Card) -> dict:
        """For a checkpoint's card. What the base was fine-tuned with counts as learnt, too."""
        every = [known for episodes in self.sets.values() for known in episodes.known_by]
        learnt = set(base.training.get("episodes_sha256", ())).union(*every)
        replayed = self.replay and {
            "manifest_sha256": self.replay.manifest_sha256,
            "episodes": len(self.replay),
            "share": self.share,
        }
        return {
            "manifest_sha256": self.new.manifest_sha256,
            "episodes": len(self.new),
            "held_out_episodes": len(self.held_out),
            "episodes_sha256": sorted(learnt),
            "replay": replayed,
        }


def finetune(
    base: Path,
    data: Demonstrations,
    run: Path,
    steps: Steps,
    seed: int = 0,
    worker: Worker | None = None,
    rates: dict[str, float] = RATES,
) -> tuple[WhaleST, dict[str, Outcome]]:
    """The model, and how each stage went that has steps; a network without any stays as it is.

    base: a checkpoint's folder, which is only read. rates: of learning, see RATES.
    Resumes from whatever the folder `run` holds.
    Raises ValueError if the episodes do not fit the base or are too short, if the folder holds
    another run, or if what it holds is broken.
    """
    worker = worker or Worker()
    model, card = load_checkpoint(base)
    data.must_fit(card)
    described = data.described(card)
    described["episodes_sha256"] = sha256(
        "".join(described["episodes_sha256"]).encode()
    ).hexdigest()
    claim_run(run, base=card.sha256, **described, steps=asdict(steps), seed=seed)
    model.to(worker.device)
    recorded, data = data.new, replace(data, new=varied(data.new, seed))
    names = [name for name in STAGES if getattr(steps, name)]
    low_rank, codes = is_low_rank(model), _encoded(model, data)
    for name in names if low_rank else ():
        make_low_rank(getattr(model, name), seed)
    left_s = {
        name: getattr(steps, name) * _seconds_per_step(_stage(name, model, data, codes), worker)
        for name in names
    }
    outcomes = {}
    for name in names:
        del left_s[name]
        schedule = Schedule(
            getattr(steps, name),
            (LOW_RANK_RATE if low_rank else rates[name])
            * learning_rate(getattr(card.config, name).width),
            seed=seed,
            save_every=CHECK_EVERY,
            patience=PATIENCE,
            afterwards_s=sum(left_s.values()),
        )
        network = getattr(model, name)
        outcomes[name] = train(_stage(name, model, data, codes), schedule, run, worker)
        if low_rank:
            merge(network)
        if name == "tokenizer":
            codes = _encoded(model, data)
    fit_familiarity(model, recorded)
    return model.eval(), outcomes


def is_low_rank(model: WhaleST) -> bool:
    """Whether only what is added to its weights is trained."""
    return sum(weight.numel() for weight in model.parameters()) >= LOW_RANK_FROM


def _stage(name: str, model: WhaleST, data: Demonstrations, codes: dict[str, Sequences]) -> Stage:
    """Of the demonstrations, with replay and a held-out loss."""

    def of(which: str) -> Stage:
        episodes = data.sets[which]
        if name == "tokenizer":
            return tokenizer_stage(model, episodes)
        make = behavior_stage if name == "behavior" else dynamics_stage
        return make(model, episodes, codes[which])

    stage = of("new")
    if data.replay:
        stage = with_replay(stage, of("replay"), data.share)
    held_out = of("held_out")
    return replace(
        stage, held_out=held_out_loss(held_out, model.device), pictures=held_out.pictures
    )


def with_replay(stage: Stage, old: Stage, share: float) -> Stage:
    """Of every batch, that share of rows is of the old stage's data."""

    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        new = stage.batch(generator)
        first = len(new[0]) - round(share * len(new[0]))
        pairs = zip(new, old.batch(generator), strict=True)
        return tuple(torch.cat([mine[:first], other[first:]]) for mine, other in pairs)

    return replace(stage, batch=batch)


def held_out_loss(stage: Stage, device: torch.device) -> Callable[[], float]:
    """The mean over the same few batches each time."""

    @torch.no_grad()
    def loss() -> float:
        losses = []
        for number in range(LOOKS):
            generator = torch.Generator().manual_seed(number)
            rows = [row.to(device) for row in stage.batch(generator)]
            losses.append(stage.loss(*rows, generator)[0])
        return float(torch.stack(losses).mean())

    return loss


def _encoded(model: WhaleST, data: Demonstrations) -> dict[str, Sequences]:
    return {name: encode_all(model, episodes, show=False) for name, episodes in data.sets.items()}


def _seconds_per_step(stage: Stage, worker: Worker) -> float:
    """The second of two, because the first one is slow; nothing is learnt."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        began = time.perf_counter()
        rows = [row.to(worker.device) for row in stage.batch(generator)]
        with torch.autocast(worker.device.type, torch.bfloat16, enabled=worker.is_fast):
            loss, _ = stage.loss(*rows, generator)
        loss.backward()
        stage.network.zero_grad()
        if worker.is_fast:
            torch.cuda.synchronize(worker.device)
    return time.perf_counter() - began
