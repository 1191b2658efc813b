"""Whale-ST: tokenizer and dynamics joined into a world model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from whale_ros.actions.space import ActionSpace
from whale_ros.world_model.blocks import KeyValues
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.dynamics import Dynamics
from whale_ros.world_model.familiarity import Familiarity
from whale_ros.world_model.interface import StepOutput
from whale_ros.world_model.tokenizer import Tokenizer


@dataclass
class State:
    """T frames of B rollouts, observed or imagined, and all but the newest in the cache."""

    codes: Tensor  # (B, T, N, C) long
    actions: Tensor  # (B, T-1, 7) float, physical units
    cache: list[KeyValues]  # one entry a layer, of the last of the T-1 slots


class WhaleST(nn.Module):
    """Implements `interface.WorldModel`; its latents are token codes (..., N, C) long."""

    action_scale: Tensor  # (7,)
    action_offset: Tensor  # (7,)

    def __init__(self, config: WhaleConfig, action_space: ActionSpace) -> None:
        super().__init__()
        self.config = config
        self.action_space = action_space
        self.tokenizer = Tokenizer(config.tokenizer)
        self.dynamics = Dynamics(config.dynamics, config.tokenizer)
        self.familiarity = Familiarity()
        scale, offset = _normalisation(action_space)
        self.register_buffer("action_scale", scale, persistent=False)
        self.register_buffer("action_offset", offset, persistent=False)

    def encode(self, frames: Tensor) -> Tensor:
        return self.tokenizer.encode(frames)

    def start(self, latents: Tensor, actions: Tensor) -> State:
        """latents: (B, T, N, C) long; actions: (B, T-1, 7). T >= 1; only the last `window` count.

        Raises ValueError if their lengths do not fit together.
        """
        if latents.shape[1] != actions.shape[1] + 1:
            raise ValueError(
                f"{latents.shape[1]} frames need {latents.shape[1] - 1} actions between them, "
                f"got {actions.shape[1]}"
            )
        keep = self.config.dynamics.window
        latents, actions = latents[:, -keep:], actions[:, max(0, actions.shape[1] - keep + 1) :]
        if actions.shape[1] == 0:
            return State(latents, actions, [])
        _, cache = self.dynamics(latents[:, :-1], self.normalised(actions))
        return State(latents, actions, cache)

    def step(self, state: State, action: Tensor) -> tuple[State, StepOutput]:
        """Greedy decoding, all tokens of the frame in one pass."""
        logits, cache = self.dynamics(
            state.codes[:, -1:],
            self.normalised(action).unsqueeze(1),
            past=state.cache or None,
            position=state.actions.shape[1],
        )
        keep = self.config.dynamics.window - 1
        cache = [(keys[:, :, -keep:], values[:, :, -keep:]) for keys, values in cache]
        logits = logits[:, 0]
        codes = logits.argmax(-1)
        after = State(
            torch.cat([state.codes, codes.unsqueeze(1)], dim=1),
            torch.cat([state.actions, action.unsqueeze(1)], dim=1),
            cache,
        )
        log_probability = logits.log_softmax(-1)
        probability = log_probability.exp()
        entropy = -(probability * log_probability).sum(-1).mean((-2, -1))
        levels = torch.arange(self.dynamics.levels, device=codes.device)
        return after, StepOutput(
            latent=codes,
            features=probability @ self.tokenizer.values(levels),
            entropy=entropy / math.log(self.dynamics.levels),
        )

    def rewind(self, state: State, steps: int) -> State:
        """Raises ValueError if fewer than one frame would be left in the cache's window."""
        if steps == 0:
            return state
        left = len(state.cache) and state.cache[0][0].shape[2] - steps
        if left < 0 or steps >= state.codes.shape[1]:
            raise ValueError(f"cannot rewind {steps} of {state.codes.shape[1]} frames")
        cache = [(keys[:, :, :left], values[:, :, :left]) for keys, values in state.cache]
        return State(state.codes[:, :-steps], state.actions[:, :-steps], cache if left else [])

    def fork(self, state: State, index: Tensor) -> State:
        tokens = self.config.tokenizer.tokens
        rows = (index.unsqueeze(1) * tokens + torch.arange(tokens, device=index.device)).flatten()
        cache = [(keys[rows], values[rows]) for keys, values in state.cache]
        return State(state.codes[index], state.actions[index], cache)

    def join(self, first: State, second: State) -> State:
        """Raises RuntimeError if the two differ in length."""
        cache = [
            (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]))
            for a, b in zip(first.cache, second.cache, strict=True)
        ]
        return State(
            torch.cat([first.codes, second.codes]),
            torch.cat([first.actions, second.actions]),
            cache,
        )

    def decode(self, latents: Tensor, reference: Tensor) -> Tensor:
        """latents: (..., N, C) long; reference: (..., 3, R, R), broadcast over latents' batch."""
        batch = latents.shape[:-2]
        reference = reference.expand(*batch, *reference.shape[-3:])
        flat = self.tokenizer.decode(latents.flatten(0, -3), reference.flatten(0, -4))
        return flat.unflatten(0, batch)

    def features(self, latents: Tensor) -> Tensor:
        """Observed latents (..., N, C) in the space of `StepOutput.features`."""
        return self.tokenizer.values(latents)

    def normalised(self, actions: Tensor) -> Tensor:
        """Actions (..., 7) as the dynamics takes them."""
        return actions * self.action_scale + self.action_offset


def _normalisation(space: ActionSpace) -> tuple[Tensor, Tensor]:
    """`ActionSpace.normalise` as factors and offsets."""
    offset = space.normalise(np.zeros(7))
    return torch.tensor(space.normalise(np.ones(7)) - offset), torch.tensor(offset)
