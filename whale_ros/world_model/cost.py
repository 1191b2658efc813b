"""What a model of some size costs, counted without building it: nothing here allocates weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.whale_st import State, WhaleST

FP32, BF16 = 4, 2  # bytes of a number
TRAINED = 4 * FP32  # a weight, its gradient and AdamW's two moments


@dataclass(frozen=True)
class Cost:
    """Of one model. A multiplication and an addition are two FLOPs; only those of layers count."""

    name: str
    resolution: int
    tokens: int  # of a frame
    tokenizer_parameters: int
    behavior_parameters: int
    dynamics_parameters: int
    step_flops: int  # to imagine a frame in tokens, all windows full, the past cached
    encode_flops: int  # of a frame
    decode_flops: int  # of a frame
    weights_bytes: int  # in single precision
    weights_bf16_bytes: int
    full_windows_cache_bytes: int  # of the past of one candidate, in single precision
    training_bytes: int  # without activations

    @property
    def parameters(self) -> int:
        return self.tokenizer_parameters + self.behavior_parameters + self.dynamics_parameters


@torch.no_grad()
def cost(config: WhaleConfig) -> Cost:
    with torch.device("meta"):  # shapes without numbers
        model = WhaleST(config, ActionSpace()).eval()
        frame = torch.empty(1, 3, config.tokenizer.resolution, config.tokenizer.resolution)
        codes = model.encode(frame)
        state = full_state(model)
        action = torch.empty(1, DIM)
        parameters = sum(map(_count, (model.tokenizer, model.behavior, model.dynamics)))
        return Cost(
            name=config.name,
            resolution=config.tokenizer.resolution,
            tokens=config.tokenizer.tokens,
            tokenizer_parameters=_count(model.tokenizer),
            behavior_parameters=_count(model.behavior),
            dynamics_parameters=_count(model.dynamics),
            step_flops=_flops(model.step, state, action),
            encode_flops=_flops(model.encode, frame),
            decode_flops=_flops(model.decode, codes, frame),
            weights_bytes=FP32 * parameters,
            weights_bf16_bytes=BF16 * parameters,
            full_windows_cache_bytes=FP32 * _cached(config),
            training_bytes=TRAINED * parameters,
        )


def full_state(model: WhaleST) -> State:
    """After so many frames that a step sees full windows, of one rollout."""
    config = model.config
    frames = max(config.dynamics.window, config.behavior.window)
    shape = (1, frames, config.tokenizer.tokens, config.tokenizer.code_dim)
    codes = torch.zeros(shape, dtype=torch.long)
    return model.start(codes, torch.zeros(1, frames - 1, DIM))


def _cached(config: WhaleConfig) -> int:
    """Numbers in the keys and values of full windows, for one rollout."""
    dynamics, behavior, tokens = config.dynamics, config.behavior, config.tokenizer.tokens
    return 2 * (
        dynamics.layers * dynamics.window * tokens * dynamics.width
        + behavior.layers * behavior.window * (1 + tokens) * behavior.width
    )


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _flops(work: Callable, *arguments: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        work(*arguments)
    return counter.get_total_flops()
