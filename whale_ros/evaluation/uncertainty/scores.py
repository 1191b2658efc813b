"""Ways to tell how far an imagined frame can be trusted: retracing, its parts, and its rivals.

All are told the same windows and give a number for each imagined frame, larger for less trusted.
How they are computed favours none: what rivals need is computed as batched as retracing is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from whale_ros.evaluation.windows import Window
from whale_ros.imagination.retracing import (
    Metric,
    Retracing,
    between_codes,
    between_features,
    combine,
    judge,
)
from whale_ros.imagination.rollout import Rollout, imagine
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.interface import StepOutput
from whale_ros.world_model.whale_st import State, WhaleST

SAMPLES = 5  # of Monte Carlo: as many rollouts as the ensemble has members
WEIGHTS = (1.0, 0.5, 0.25, 0.125)  # of the disagreement, among the choices
TRAINING_FRAMES = 20_000  # of the distance to the training data

MAIN = "retracing"
PAPER = "disagreement x entropy (paper)"
ENSEMBLE = "ensemble"

Score = Callable[["Imagined"], Tensor]  # (B, H)


@dataclass
class Imagined:
    """A window as the main model foretells it, and what tells how far to trust that."""

    window: Window
    codes: Tensor  # (B, T, N, C) of the observed frames
    rollout: Rollout


class Scores:
    """All ways to tell; `table` names them.

    members: further world models with the same tokenizer, trained alike but for the seed.
    """

    def __init__(
        self,
        model: WhaleST,
        members: list[WhaleST],
        train: EpisodeSet,
        lpips: Callable[[Tensor, Tensor], Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        """Raises ValueError if a member's tokenizer is another one."""
        for member in members:
            if not _same_weights(model.tokenizer, member.tokenizer):
                raise ValueError(
                    "the members of an ensemble must share a tokenizer, else what they imagine "
                    "cannot be compared; train them with `whale train --tokenizer CHECKPOINT`"
                )
        self.model, self._members, self._lpips = model, members, lpips
        self._generator = torch.Generator(model.device).manual_seed(seed)
        self._dice = torch.Generator().manual_seed(seed)
        self._train = _sample_features(model, train, seed)

    def imagine(self, window: Window) -> Imagined:
        """As the node `world_model` does, with z held."""
        codes = self.model.encode(window.past_frames)
        state = start(self.model, codes, window)
        rollout = imagine(self.model, state, window.actions, window.past_actions)
        return Imagined(window, codes, rollout)

    @torch.inference_mode()
    def of(self, imagined: Imagined) -> dict[str, Tensor]:
        """Every score (B, H) of one batch of windows, by name."""
        retracing = self.retraced(imagined)
        disagreement, entropy = carried(retracing), retracing.entropy
        scores = {
            MAIN: combine(disagreement, entropy),
            PAPER: disagreement * entropy,
            "disagreement + entropy": disagreement + entropy,
            "disagreement": disagreement,
            "entropy": entropy,
            "mean entropy so far": running_mean(entropy),
            "retracing, one random k": self.random_k(retracing),
            "Monte Carlo": self.monte_carlo(imagined),
            "distance to data": self.distance_to_data(imagined),
            "familiarity": self.familiarity(imagined),
            "constant": torch.ones_like(entropy),
        }
        if self._members:
            scores[ENSEMBLE] = self.ensemble(imagined)
        return {name: score.cpu() for name, score in scores.items()}

    @torch.inference_mode()
    def choices(self, imagined: Imagined) -> dict[str, Tensor]:
        """What `retracing` could have been (B, H): by metric, and by how entropy joins in."""
        metrics: dict[str, Metric] = {"features": between_features, "codes": between_codes}
        if self._lpips:
            metrics["LPIPS"] = self._perceptual(imagined)
        entropy = imagined.rollout.entropy.cpu()
        told = {"mean entropy so far, alone": running_mean(entropy)}
        for name, metric in metrics.items():
            disagreement = carried(self.retraced(imagined, metric))
            told |= {
                f"{name}, alone": disagreement,
                f"{name} x entropy": disagreement * entropy,
                f"{name} + entropy": disagreement + entropy,
            }
            for weight in WEIGHTS:
                so_far = weight * disagreement + running_mean(entropy)
                told[f"{weight:g} {name} + mean entropy so far"] = so_far
        return told

    def retraced(self, imagined: Imagined, metric: Metric = between_features) -> Retracing:
        """Every frame of every rollout, by all k."""
        return judge(self.model, imagined.rollout, every_step=True, metric=metric)

    def random_k(self, retracing: Retracing) -> Tensor:
        """As `retracing`, of one k drawn from those that took part, for each frame anew."""
        drawn = torch.rand(retracing.took_part.shape, generator=self._dice)
        column = drawn.where(retracing.took_part, -1.0).argmax(2, keepdim=True)
        one = Retracing(
            retracing.disagreements.gather(2, column),
            retracing.entropy,
            retracing.took_part.gather(2, column),
        )
        return combine(carried(one), retracing.entropy)

    @torch.inference_mode()
    def ensemble(self, imagined: Imagined) -> Tensor:
        """Spread of what models from several training seeds imagine (arXiv 1805.12114)."""
        window, features = imagined.window, [imagined.rollout.features]
        for member in self._members:
            state = start(member, imagined.codes, window)
            rollout = imagine(member, state, window.actions, window.past_actions)
            features.append(rollout.features)
        return spread(features)

    @torch.inference_mode()
    def monte_carlo(self, imagined: Imagined) -> Tensor:
        """Spread of rollouts whose tokens are drawn, not the most probable ones."""
        window, features = imagined.window, []
        for _ in range(SAMPLES):
            state, drawn = start(self.model, imagined.codes, window), []
            for action in window.actions.unbind(1):
                state, output = self.model.step(state, action, self._generator)
                drawn.append(self.model.features(output.latent))
            features.append(torch.stack(drawn, dim=1))
        return spread(features)

    def distance_to_data(self, imagined: Imagined) -> Tensor:
        """From the imagined frame to the nearest one of the training data, in features."""
        queries = imagined.rollout.features.flatten(2)
        return torch.cdist(queries, self._train).amin(-1) / queries.shape[2] ** 0.5

    def familiarity(self, imagined: Imagined) -> Tensor:
        """What the principal components of the training pictures miss of the last picture."""
        value = self.model.familiarity(imagined.window.last[:, 0])
        return value.unsqueeze(1).expand(-1, imagined.rollout.horizon)

    def _perceptual(self, imagined: Imagined) -> Metric:
        lpips, reference = self._lpips, imagined.window.last[:, 0]
        assert lpips is not None

        def between_pictures(first: StepOutput, second: StepOutput) -> Tensor:
            shape = torch.broadcast_shapes(first.latent.shape, second.latent.shape)
            pictures = [
                self.model.decode(frame.latent.expand(shape), reference).flatten(0, -4)
                for frame in (first, second)
            ]
            return lpips(*pictures).view(shape[:-2])

        return between_pictures


def start(model: WhaleST, codes: Tensor, window: Window) -> State:
    """After the observed codes (B, T, N, C), with z as it seems at the last of them."""
    z = model.behavior.infer(codes, model.normalised(window.past_actions))[:, -1]
    return model.start(codes, window.past_actions, z)


def carried(retracing: Retracing) -> Tensor:
    """(B, H) disagreement; where a gripper switch forbids judging a frame, that of one before it.

    If none before it was judged, that of the next one which was; NaN if none was at all.
    """
    disagreement, judged = retracing.disagreement, retracing.took_part.any(2)
    horizon = torch.arange(judged.shape[1])
    before = torch.where(judged, horizon, -1).cummax(1).values
    after = torch.where(judged, horizon, judged.shape[1]).flip(1).cummin(1).values.flip(1)
    source = torch.where(before >= 0, before, after.clamp(max=judged.shape[1] - 1))
    return disagreement.gather(1, source)


def running_mean(values: Tensor) -> Tensor:
    """(B, H) of each frame and those before it."""
    return values.cumsum(1) / torch.arange(1, values.shape[1] + 1, device=values.device)


def spread(features: list[Tensor]) -> Tensor:
    """(B, H) standard deviation of features (B, H, N, C), root mean square over N and C."""
    return torch.stack(features).var(0).mean((-2, -1)).sqrt()


def _same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@torch.inference_mode()
def _sample_features(model: WhaleST, train: EpisodeSet, seed: int) -> Tensor:
    """(M, N*C) of random training frames."""
    frames = train.frames.flat
    count = min(TRAINING_FRAMES, len(frames))
    picked = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))[:count]
    features = [
        model.features(model.encode(to_float(frames[part].to(model.device)))).flatten(1)
        for part in picked.split(256)
    ]
    return torch.cat(features)
