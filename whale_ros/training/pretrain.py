"""Train a Whale-ST from a dataset folder, a stage after the other, each on what the last one made.

The tokenizer learns to see, then the behaviour model to tell policies apart by the tokens, then
the dynamics to predict tokens given what the behaviour model makes of the past.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.loop import Schedule, Stage, train
from whale_ros.training.record import claim_run
from whale_ros.training.samples import imaginations, reconstructions
from whale_ros.training.sequences import Sequences
from whale_ros.training.workers import Worker
from whale_ros.world_model.checkpoint import load_checkpoint
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.familiarity import FIT_ON
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

TOKENIZER_BATCH = 48
BEHAVIOR_BATCH = 32
DYNAMICS_BATCH = 10
# Frames in a sequence for behaviour model and dynamics: 6 observed, 15 imagined and one more.
# That is longer than tiny's window, so that the window's sliding is trained too.
SEQUENCE = 22


@dataclass(frozen=True)
class Steps:
    """How many optimiser steps each stage takes."""

    tokenizer: int
    behavior: int
    dynamics: int


def pretrain(
    data: EpisodeSet,
    config: WhaleConfig,
    run: Path,
    steps: Steps,
    seed: int = 0,
    worker: Worker | None = None,
    tokenizer_of: Path | None = None,
) -> WhaleST:
    """Resumes from whatever the folder `run` already holds.

    tokenizer_of: a checkpoint's folder, whose tokenizer is taken as it is instead of training one.
    Raises ValueError if the episodes are too short or of another resolution, if the folder holds
    another run, or if that checkpoint's tokenizer is of another size.
    """
    data.must_fit(config)
    data.must_last(SEQUENCE, "training")
    worker = worker or Worker()
    torch.manual_seed(seed)
    model = WhaleST(config, data.action_space)
    source = take_tokenizer(model, tokenizer_of) if tokenizer_of else None
    if worker.is_first:
        claim_run(
            run,
            manifest_sha256=data.manifest_sha256,
            seed=seed,
            steps=asdict(steps),
            config=config.to_dict(),
            tokenizer_of=source,
        )
    model.to(worker.device)
    trained = partial(_train, run=run, seed=seed, worker=worker)
    if not tokenizer_of:
        trained(tokenizer_stage(model, data), steps.tokenizer, config.tokenizer.width)
        fit_familiarity(model, data)
    codes = encode_all(model, data, worker.is_first)
    trained(behavior_stage(model, data, codes), steps.behavior, config.behavior.width)
    trained(dynamics_stage(model, data, codes), steps.dynamics, config.dynamics.width)
    return model.eval()


def take_tokenizer(model: WhaleST, folder: Path) -> str:
    """Copy a checkpoint's tokenizer and familiarity; returns the checkpoint's SHA-256.

    Raises ValueError if its tokenizer has another configuration.
    """
    finished, card = load_checkpoint(folder)
    if card.config.tokenizer != model.config.tokenizer:
        raise ValueError(
            f"the tokenizer of {folder} is {card.config.tokenizer}, "
            f"the model to train has {model.config.tokenizer}"
        )
    model.tokenizer.load_state_dict(finished.tokenizer.state_dict())
    model.familiarity.load_state_dict(finished.familiarity.state_dict())
    return card.sha256


def tokenizer_stage(model: WhaleST, data: EpisodeSet) -> Stage:
    gap = model.config.dynamics.window  # a reference is at most as old as what is still seen

    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        return data.frame_pairs(TOKENIZER_BATCH, gap, generator)

    def loss(
        frames: Tensor, reference: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return model.tokenizer(frames, reference)

    pictures = partial(reconstructions, model, data, gap)
    return Stage("tokenizer", model.tokenizer, batch, loss, pictures)


def behavior_stage(model: WhaleST, data: EpisodeSet, codes: Sequences) -> Stage:
    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        return data.windows(codes, BEHAVIOR_BATCH, SEQUENCE, generator)

    def loss(
        sequence: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return model.behavior.loss(sequence, model.normalised(actions), generator)

    return Stage("behavior", model.behavior, batch, loss)


def dynamics_stage(model: WhaleST, data: EpisodeSet, codes: Sequences) -> Stage:
    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        return data.windows(codes, DYNAMICS_BATCH, SEQUENCE, generator)

    def loss(
        sequence: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        actions = model.normalised(actions)
        with torch.no_grad():
            z = model.behavior.infer(sequence, actions)
        return model.dynamics.loss(sequence, actions, z, generator)

    pictures = partial(imaginations, model, data, codes, SEQUENCE - 1)
    return Stage("dynamics", model.dynamics, batch, loss, pictures)


@torch.inference_mode()
def encode_all(model: WhaleST, data: EpisodeSet, show: bool = True) -> Sequences:
    """Codes (T_e+1, N, C) uint8 of every frame, in main memory; `show` the progress or not."""
    device = model.device
    episodes = tqdm(data.frames, "encoding", len(data), disable=not show)
    return Sequences([model.encode(to_float(e.to(device))).byte().cpu() for e in episodes])


def fit_familiarity(model: WhaleST, data: EpisodeSet) -> None:
    frames = data.frames.flat
    model.familiarity.fit(to_float(frames[:: -(-len(frames) // FIT_ON)]))


def learning_rate(width: int) -> float:
    """Wide layers want smaller steps, in proportion (arXiv 2203.03466, table 3)."""
    return 1e-3 * min(1.0, 128 / width)


def _train(stage: Stage, steps: int, width: int, run: Path, seed: int, worker: Worker) -> None:
    train(stage, Schedule(steps, learning_rate(width), seed=seed), run, worker)
