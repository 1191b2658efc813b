"""Whale-ST: tokenizer, behaviour model and dynamics joined into a world model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from whale_ros.actions.space import ActionSpace
from whale_ros.world_model.behavior import BehaviorModel
from whale_ros.world_model.cache import Cache
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.dynamics import Dynamics
from whale_ros.world_model.familiarity import Familiarity
from whale_ros.world_model.interface import StepOutput
from whale_ros.world_model.tokenizer import Tokenizer


@dataclass(frozen=True)
class State:
    """T frames of B rollouts, observed or imagined."""

    codes: Tensor  # (B, T, N, C) long
    actions: Tensor  # (B, T-1, 7) float, physical units
    z: Tensor  # (B, T, Z) float, the behaviour as it seems at each frame
    dynamics: Cache  # of all frames but the newest
    behavior: Cache | None  # of all frames; None where z is held as it is


class WhaleST(nn.Module):
    """Implements `interface.WorldModel`; its latents are token codes (..., N, C) long."""

    action_scale: Tensor  # (7,)
    action_offset: Tensor  # (7,)

    def __init__(self, config: WhaleConfig, action_space: ActionSpace) -> None:
        super().__init__()
        self.config = config
        self.action_space = action_space
        self.tokenizer = Tokenizer(config.tokenizer)
        self.behavior = BehaviorModel(config.behavior, config.tokenizer)
        self.dynamics = Dynamics(config.dynamics, config.tokenizer, config.behavior)
        self.familiarity = Familiarity()
        scale, offset = _normalisation(action_space)
        self.register_buffer("action_scale", scale, persistent=False)
        self.register_buffer("action_offset", offset, persistent=False)

    @property
    def device(self) -> torch.device:
        return self.action_scale.device

    def encode(self, frames: Tensor) -> Tensor:
        return self.tokenizer.encode(frames)

    def start(self, latents: Tensor, actions: Tensor, z: Tensor | None = None) -> State:
        """latents: (B, T, N, C) long; actions: (B, T-1, 7); z: (B, Z).

        With z, that is the behaviour all along; without, it is inferred anew after every frame.
        Raises ValueError if their lengths do not fit together.
        """
        if latents.shape[1] != actions.shape[1] + 1:
            raise ValueError(
                f"{latents.shape[1]} frames need {latents.shape[1] - 1} actions between them, "
                f"got {actions.shape[1]}"
            )
        taken = self.normalised(actions)
        behavior = None
        if z is None:
            empty = self.behavior.trunk.empty_cache(len(latents))
            every_z, behavior = self.behavior.follow(latents, taken, empty)
        else:
            every_z = z.unsqueeze(1).expand(-1, latents.shape[1], -1)
        cache = self.dynamics.trunk.empty_cache(len(latents))
        if actions.shape[1]:
            _, [cache] = self.dynamics(latents[:, :-1], taken, every_z[:, :-1], pasts=[cache])
        return State(latents, actions, every_z, cache, behavior)

    def step(
        self, state: State, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[State, StepOutput]:
        """action: (B, 7) in physical units. Greedy decoding; with a generator codes are drawn."""
        return self.step_together([state], [action], generator)[0]

    def step_together(
        self,
        states: Sequence[State],
        actions: Sequence[Tensor],
        generator: torch.Generator | None = None,
    ) -> list[tuple[State, StepOutput]]:
        """As `step` each, faster. Raises ValueError if they have not come equally far."""
        frames = {state.codes.shape[1] for state in states}
        if len(frames) > 1:
            raise ValueError(f"states of {sorted(frames)} frames cannot be stepped together")
        taken = [self.normalised(action).unsqueeze(1) for action in actions]
        logits, caches = self.dynamics.decode(
            torch.cat([state.codes[:, -1:] for state in states]),
            torch.cat(taken),
            torch.cat([state.z[:, -1:] for state in states]),
            [state.dynamics for state in states],
        )
        codes = logits.argmax(-1) if generator is None else _drawn(logits, generator)
        output = self._output(codes, logits)
        rows = [len(state.codes) for state in states]
        results = []
        for state, action, normal, cache, *parts in zip(
            states,
            actions,
            taken,
            caches,
            *(part.split(rows) for part in (output.latent, output.features, output.entropy)),
            strict=True,
        ):
            imagined = StepOutput(*parts)
            z, behavior = state.z[:, -1:], None
            if state.behavior is not None:
                z, behavior = self.behavior.follow(
                    imagined.latent.unsqueeze(1), normal, state.behavior
                )
            after = State(
                torch.cat([state.codes, imagined.latent.unsqueeze(1)], dim=1),
                torch.cat([state.actions, action.unsqueeze(1)], dim=1),
                torch.cat([state.z, z], dim=1),
                cache,
                behavior,
            )
            results.append((after, imagined))
        return results

    def _output(self, codes: Tensor, logits: Tensor) -> StepOutput:
        """Of codes (B, N, C) decoded from logits (B, N, C, levels).

        Levels come first, because sums over a last and short dimension are slow on a CPU.
        """
        log_probability = logits.movedim(-1, 0).contiguous().log_softmax(0)
        probability = log_probability.exp()
        entropy = -(probability * log_probability).sum(0).mean((-2, -1))
        levels = torch.arange(self.dynamics.levels, device=codes.device)
        values = self.tokenizer.values(levels).view(-1, 1, 1, 1)
        return StepOutput(
            latent=codes,
            features=(probability * values).sum(0),
            entropy=entropy / math.log(self.dynamics.levels),
        )

    def compile_step(self, backend: str = "inductor") -> None:
        """Let torch compile `step` as one graph: no part of it ever waits for the GPU.

        Worth its minutes of compiling on a GPU; on a CPU it gains next to nothing.
        """
        compiled = torch.compile(self.step, backend=backend, fullgraph=True, dynamic=True)
        self.step = compiled  # type: ignore[method-assign]

    def rewind(self, state: State, steps: int, hold_behavior: bool = False) -> State:
        """Raises ValueError if there are not so many steps, or their past is forgotten.

        hold_behavior: from here on the behaviour stays what it seems to be in `state`.
        """
        if not 0 <= steps < state.codes.shape[1]:
            raise ValueError(f"cannot rewind {steps} of {state.codes.shape[1]} frames")
        left = state.codes.shape[1] - steps
        z, behavior = state.z[:, :left], state.behavior
        if hold_behavior:
            z, behavior = state.z[:, -1:].expand(-1, left, -1), None
        elif behavior is not None:
            behavior = behavior.rewound(steps, self.behavior.trunk.window)
        cache = state.dynamics.rewound(steps, self.dynamics.trunk.window)
        return State(state.codes[:, :left], state.actions[:, : left - 1], z, cache, behavior)

    def fork(self, state: State, index: Tensor) -> State:
        behavior = state.behavior and state.behavior.fork(index)
        cache = state.dynamics.fork(index)
        return State(state.codes[index], state.actions[index], state.z[index], cache, behavior)

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


def _drawn(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Codes (...) from logits (..., levels)."""
    probability = logits.softmax(-1).flatten(0, -2)
    return torch.multinomial(probability, 1, generator=generator).view(logits.shape[:-1])


def _normalisation(space: ActionSpace) -> tuple[Tensor, Tensor]:
    """`ActionSpace.normalise` as factors and offsets."""
    offset = space.normalise(np.zeros(7))
    return torch.tensor(space.normalise(np.ones(7)) - offset), torch.tensor(offset)
