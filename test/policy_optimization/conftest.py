"""Random episodes of a small world model, and what a policy needs to be improved with them."""

import pytest
import torch

from whale_ros.policy_optimization.correction import Correction
from whale_ros.policy_optimization.networks import train_clone, train_reward
from whale_ros.policy_optimization.offline import OfflineData, observe

EPISODES, STEPS, TOKENS = 5, 12, 4


@pytest.fixture(scope="session")
def offline(small_model):
    generator = torch.Generator().manual_seed(0)
    levels, numbers = (
        small_model.config.tokenizer.code_levels,
        small_model.config.tokenizer.code_dim,
    )
    tokens = small_model.config.tokenizer.tokens
    codes = torch.randint(levels, (EPISODES, STEPS + 1, tokens, numbers), generator=generator)
    actions = torch.empty(EPISODES, STEPS, 7).uniform_(-0.02, 0.02, generator=generator)
    actions[..., 6] = torch.rand(EPISODES, STEPS, generator=generator)
    progress = torch.rand(EPISODES, STEPS + 1, generator=generator)
    return OfflineData(
        action_space=small_model.action_space,
        behaviors=["noisy"] * EPISODES,
        codes=codes,
        observations=observe(small_model.features(codes)),
        actions=actions,
        progress=progress,
        success=progress > 0.9,
    )


@pytest.fixture(scope="session")
def reward(offline):
    return train_reward(offline, seed=0, steps=20)


@pytest.fixture(scope="session")
def correction(offline):
    return Correction(train_clone(offline, seed=0, steps=20))
