"""What every world model offers, whatever is inside: Whale-ST now, DIAMOND later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from whale_ros.actions.space import ActionSpace


@dataclass
class StepOutput:
    """One imagined frame of B rollouts."""

    latent: Any  # of the imagined frame, as `encode` returns them
    features: Tensor  # (B, N, C) float, a space in which distances are perceptual
    entropy: Tensor  # (B,) float, 0 .. 1, the model's own doubt about this frame


class WorldModel(Protocol):
    """Imagines B rollouts at once. States are values: no method changes one."""

    action_space: ActionSpace

    def encode(self, frames: Tensor) -> Any:
        """Frames (..., 3, R, R) float in [0, 1] to latents (..., ...)."""

    def start(self, latents: Any, actions: Tensor) -> Any:
        """State after T observed frames and the T-1 actions (B, T-1, 7) between them."""

    def step(self, state: Any, action: Tensor) -> tuple[Any, StepOutput]:
        """Imagine the next frame, given actions (B, 7) in physical units."""

    def step_together(
        self, states: Sequence[Any], actions: Sequence[Tensor]
    ) -> list[tuple[Any, StepOutput]]:
        """As `step` of each state, which have come equally far, but cheaper than one by one."""

    def rewind(self, state: Any, steps: int, hold_behavior: bool = False) -> Any:
        """The state as it was `steps` frames ago.

        hold_behavior: what a model may infer of the policy at work stays as it is in `state`,
        because retracing-actions look like another policy.
        """

    def fork(self, state: Any, index: Tensor) -> Any:
        """A state of rollouts `index` (B',), repeats allowed."""

    def decode(self, latents: Any, reference: Tensor) -> Tensor:
        """Latents to frames (..., 3, R, R), given real frames of the same scenes."""
