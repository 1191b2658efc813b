"""SAC of stable-baselines3 improves a cloned policy on imagined transitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor, nn
from tqdm import trange

from whale_ros.policy_optimization.correction import Correction
from whale_ros.policy_optimization.evaluate import Policy
from whale_ros.policy_optimization.offline import ACTION
from whale_ros.policy_optimization.transitions import Transitions

TRAIN_AT_ONCE = 50  # gradient steps between updates of the progress bar


@dataclass(frozen=True)
class Settings:
    """How a policy is improved."""

    rounds: int = 30  # of imagination
    rollouts: int = 20  # side by side
    rollout_steps: int = 5
    critic_steps: int = 1000  # with the clone as the policy
    steps: int = 500  # in which the policy changes too
    penalty_spread: float = 1.0  # of the penalties, over that of the gains in progress
    real_share: float = 0.3  # of every batch
    batch: int = 256
    width: int = 128  # of the networks, two layers each
    critics: int = 3  # the least of them counts
    learning_rate: float = 3e-4
    discount: float = 0.9
    target_rate: float = 0.05  # at which the target networks follow
    entropy: float = 0.01  # gain in progress that an entropy of 1 is worth


class MixedBuffer(ReplayBuffer):
    """Transitions, a share of which is drawn from others."""

    real: ReplayBuffer
    real_share: float

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        count = round(self.real_share * batch_size)
        parts = [self.real.sample(count, env), super().sample(batch_size - count, env)]
        names = ("observations", "actions", "next_observations", "dones", "rewards")
        return ReplayBufferSamples(
            **{name: torch.cat([getattr(part, name) for part in parts]) for name in names}
        )


def mixed_buffer(
    imagined: Transitions, rewards: Tensor, recorded: Transitions, real_share: float
) -> MixedBuffer:
    """rewards: (M,) of the imagined ones; those recorded have their gains."""
    spaces = _spaces(imagined.observations.shape[1])
    buffer = MixedBuffer(len(rewards), *spaces)
    _fill(buffer, imagined, rewards)
    buffer.real = ReplayBuffer(len(recorded.gains), *spaces)
    _fill(buffer.real, recorded, recorded.gains)
    buffer.real_share = real_share
    return buffer


def improve(correction: Correction, buffer: MixedBuffer, seed: int, settings: Settings) -> Policy:
    """The corrected policy, without exploration."""
    sac = SAC(
        "MlpPolicy",
        _Spaces(*_spaces(buffer.obs_shape[0])),
        learning_rate=settings.learning_rate,
        buffer_size=1,  # takes no part, see below
        batch_size=settings.batch,
        tau=settings.target_rate,
        gamma=settings.discount,
        ent_coef=settings.entropy,
        policy_kwargs={"net_arch": [settings.width] * 2, "n_critics": settings.critics},
        seed=seed,
        device="cpu",
    )
    sac.replay_buffer = buffer
    sac.set_logger(configure(format_strings=[]))
    nn.init.zeros_(sac.actor.mu.weight)  # type: ignore[arg-type]  # begins as the clone
    sac.actor.requires_grad_(False)
    _train(sac, settings.critic_steps, settings.batch, "training the critics")
    sac.actor.requires_grad_(True)
    _train(sac, settings.steps, settings.batch, "improving the policy")

    def policy(observation: np.ndarray) -> np.ndarray:
        return correction.apply(observation, sac.predict(observation, deterministic=True)[0])

    return policy


def _train(sac: SAC, steps: int, batch: int, name: str) -> None:
    for _ in trange(steps // TRAIN_AT_ONCE, desc=name, unit_scale=TRAIN_AT_ONCE):
        sac.train(TRAIN_AT_ONCE, batch)


def _spaces(observation: int) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    return (
        gymnasium.spaces.Box(-np.inf, np.inf, (observation,), np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (ACTION,), np.float32),
    )


def _fill(buffer: ReplayBuffer, transitions: Transitions, rewards: Tensor) -> None:
    columns = (transitions.observations, transitions.following, transitions.corrections, rewards)
    for observation, following, action, reward in zip(*(c.numpy() for c in columns), strict=True):
        buffer.add(observation, following, action, reward, np.zeros(1), [{}])


class _Spaces(gymnasium.Env):
    """Tells SAC the sizes of its networks; nothing is ever done in it."""

    def __init__(
        self, observation_space: gymnasium.spaces.Box, action_space: gymnasium.spaces.Box
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space
