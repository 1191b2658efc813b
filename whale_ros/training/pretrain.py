"""Train a Whale-ST from a dataset folder: first the tokenizer, then the dynamics on its tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.loop import Schedule, train
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.familiarity import FIT_ON
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

TOKENIZER_BATCH = 48
DYNAMICS_BATCH = 16


def pretrain(
    data: EpisodeSet,
    config: WhaleConfig,
    run: Path,
    tokenizer: Schedule,
    dynamics: Schedule,
) -> WhaleST:
    """Resumes from whatever the folder `run` already holds.

    Raises ValueError if the episodes are too short, or if the folder holds another model's run.
    """
    if data.frames.shape[1] < config.dynamics.window:
        raise ValueError(
            f"the episodes have {data.frames.shape[1]} frames, "
            f"training needs at least {config.dynamics.window}"
        )
    torch.manual_seed(tokenizer.seed)
    model = WhaleST(config, data.action_space)
    window = config.dynamics.window

    def tokenizer_loss(generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames, reference = data.frame_pairs(TOKENIZER_BATCH, window, generator)
        return model.tokenizer(frames, reference)

    state = run / "tokenizer.safetensors"
    train("tokenizer", model.tokenizer, tokenizer_loss, tokenizer, state)
    codes = encode_all(model, data)
    frames = data.frames.flatten(0, 1)
    model.familiarity.fit(to_float(frames[:: max(1, len(frames) // FIT_ON)]))

    def dynamics_loss(generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        sequence, actions = data.windows(codes, DYNAMICS_BATCH, window, generator)
        return model.dynamics.loss(sequence, model.normalised(actions), generator)

    train("dynamics", model.dynamics, dynamics_loss, dynamics, run / "dynamics.safetensors")
    return model.eval()


@torch.inference_mode()
def encode_all(model: WhaleST, data: EpisodeSet) -> Tensor:
    """Codes (E, T+1, N, C) uint8 of every frame."""
    return torch.stack(
        [model.encode(to_float(frames)).byte() for frames in tqdm(data.frames, "encoding")]
    )
