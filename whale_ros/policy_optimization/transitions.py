"""What SAC learns from: imagined transitions with their uncertainty, and recorded ones.

The reward is the gain in progress. Its discounted sum is largest for the same policy as that of
progress itself (potential-based shaping, Ng et al. 1999), and what an action adds does not drown
in how far an episode has come.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import trange

from whale_ros.imagination.retracing import combine, retrace
from whale_ros.imagination.rollout import Rollout
from whale_ros.policy_optimization.correction import Correction
from whale_ros.policy_optimization.offline import ACTION, OfflineData, observe, physical
from whale_ros.world_model.interface import StepOutput
from whale_ros.world_model.whale_st import WhaleST

HISTORY = 6  # observed frames at most, as where the uncertainty is measured
UNCERTAINTIES = ("on", "off", "shuffled")


@dataclass
class Transitions:
    """M steps of a policy that corrects the clone. None is terminal."""

    observations: Tensor  # (M, D)
    corrections: Tensor  # (M, ACTION), -1 .. 1
    following: Tensor  # (M, D) observations
    gains: Tensor  # (M,) in progress
    uncertainty: Tensor  # (M,) of what follows; 0 where it was recorded


@dataclass(frozen=True)
class Penalty:
    """What the uncertainty costs."""

    weight: float  # gain in progress that an uncertainty of 1 takes off
    usual: float  # the uncertainty that costs nothing

    @classmethod
    def of(cls, imagined: Transitions, spread: float) -> Penalty:
        """So that penalties spread `spread` times as widely as gains, and are 0 in the mean.

        Then recorded transitions, which are not penalised, look no better than imagined ones.
        """
        weight = spread * imagined.gains.std() / imagined.uncertainty.std()
        return cls(float(weight), float(imagined.uncertainty.mean()))


def recorded_transitions(data: OfflineData, correction: Correction) -> Transitions:
    """Those of the episodes that a correction of the clone can be."""
    before = data.observations[:, :-1].flatten(0, 1)
    corrections = correction.of(before, data.policy_actions.flatten(0, 1))
    within = (corrections.abs() <= 1).all(dim=-1)
    gains = data.progress.diff(dim=1).flatten()
    return Transitions(
        observations=before[within],
        corrections=corrections[within],
        following=data.observations[:, 1:].flatten(0, 1)[within],
        gains=gains[within],
        uncertainty=torch.zeros_like(gains[within]),
    )


def imagine_transitions(
    model: WhaleST,
    reward: nn.Module,
    correction: Correction,
    data: OfflineData,
    rounds: int,
    rollouts: int,
    steps: int,
    seed: int,
) -> Transitions:
    """Short rollouts from frames of episodes, drawn at random, under random corrections.

    `rounds` times `rollouts` of `steps`. Raises ValueError if the model is broken: its uncertainty
    is no number.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for _ in trange(rounds, desc="imagining"):
        corrections = torch.empty(rollouts, steps, ACTION).uniform_(-1, 1, generator=generator)
        parts.append(_imagine(model, correction, data, corrections, generator))
    observations, corrections, uncertainty = (torch.cat(part) for part in zip(*parts, strict=True))
    gains = reward(observations).squeeze(-1).diff(dim=1)
    return Transitions(
        observations=observations[:, :-1].flatten(0, 1),
        corrections=corrections.flatten(0, 1),
        following=observations[:, 1:].flatten(0, 1),
        gains=gains.flatten(),
        uncertainty=uncertainty.flatten(),
    )


def rewards(imagined: Transitions, uncertainty: str, penalty: Penalty, seed: int) -> Tensor:
    """(M,) gains less the penalties: of the right transitions, or of others, or none.

    Raises ValueError if the uncertainty is not one of UNCERTAINTIES.
    """
    if uncertainty not in UNCERTAINTIES:
        raise ValueError(f"uncertainty is {uncertainty!r}; known: {', '.join(UNCERTAINTIES)}")
    if uncertainty == "off":
        return imagined.gains
    penalties = penalty.weight * (imagined.uncertainty - penalty.usual)
    if uncertainty == "shuffled":
        order = torch.randperm(len(penalties), generator=torch.Generator().manual_seed(seed))
        penalties = penalties[order]
    return imagined.gains - penalties


@torch.inference_mode()
def _imagine(
    model: WhaleST,
    correction: Correction,
    data: OfflineData,
    corrections: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Observations (B, H+1, D), the corrections (B, H, ACTION) and uncertainty (B, H)."""
    codes, past = _beginnings(data, len(corrections), generator)
    codes, past = codes.to(model.device), past.to(model.device)
    state = model.start(codes, past)
    features = [*model.features(codes[:, -2:]).unbind(1)]
    outputs: list[StepOutput] = []
    actions = [past]
    seen = [observe(torch.stack(features, dim=1))[:, -1].cpu()]
    for correct in corrections.unbind(1):
        action = correction.apply(seen[-1].numpy(), correct.numpy())
        taken = torch.from_numpy(physical(action, data.action_space)).to(model.device)
        state, output = model.step(state, taken)
        outputs.append(output)
        actions.append(taken.unsqueeze(1))
        features.append(output.features)
        seen.append(observe(torch.stack(features[-2:], dim=1))[:, -1].cpu())
    rollout = Rollout(
        actions=torch.cat(actions, dim=1),
        latents=torch.stack([o.latent for o in outputs], dim=1),
        features=torch.stack([o.features for o in outputs], dim=1),
        entropy=torch.stack([o.entropy for o in outputs], dim=1),
        state=state,
    )
    return torch.stack(seen, dim=1), corrections, _uncertainty(model, rollout)


def _beginnings(data: OfflineData, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Codes (B, T, N, C) and actions (B, T-1, 7), T from 2 to HISTORY, early frames included."""
    frames = data.steps + 1
    newest = int(torch.randint(1, frames, (), generator=generator))
    history = min(newest + 1, HISTORY)
    episode = torch.randint(len(data.codes), (count, 1), generator=generator)
    start = torch.randint(frames - history + 1, (count, 1), generator=generator)
    if history < HISTORY:
        start = torch.zeros_like(start)
    time = start + torch.arange(history)
    return data.codes[episode, time], data.actions[episode, time[:, :-1]]


def _uncertainty(model: WhaleST, rollout: Rollout) -> Tensor:
    """(B, H); where a gripper switch forbids to judge a frame, the mean of those judged."""
    retracing = retrace(model, rollout, range(rollout.horizon))
    judged = retracing.took_part.any(dim=2)
    value = combine(retracing.disagreement, retracing.entropy)
    if not (retracing.entropy.isfinite().all() and value[judged].isfinite().all()):
        raise ValueError("the world model is broken: its uncertainty is not a finite number")
    return value.where(judged, value[judged].mean())
