"""A small world model with random weights, pictures of the real renderer, hypothesis settings."""

from __future__ import annotations

import os
from collections.abc import Callable

import hypothesis
import pytest

os.environ.setdefault("MUJOCO_GL", "egl")  # before anything imports mujoco
os.environ.setdefault("OMP_NUM_THREADS", "1")  # more are slower for anything as small as here

import numpy as np

# The first example of a network is slow; speed is not what tests are about.
hypothesis.settings.register_profile("whale", deadline=None)
hypothesis.settings.load_profile("whale")
# `make mutants` asks only whether a test fails, and the next time the same ones shall.
hypothesis.settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


@pytest.fixture(scope="session")
def small_config():
    """As small as every part allows; its windows slide within 6 frames and 8 imagined ones."""
    from whale_ros.world_model.config import (
        BehaviorConfig,
        DynamicsConfig,
        TokenizerConfig,
        WhaleConfig,
    )

    return WhaleConfig(
        name="small",
        tokenizer=TokenizerConfig(
            resolution=32, channels=(8, 8, 8), width=16, layers=1, heads=2, code_dim=3,
            code_levels=5,
        ),
        behavior=BehaviorConfig(width=8, layers=1, heads=2, window=10, z_dim=4),
        dynamics=DynamicsConfig(width=16, layers=2, heads=2, window=8),
    )  # fmt: skip


@pytest.fixture(scope="session")
def random_model(small_config) -> Callable:
    """random_model(seed=0, config=small_config): one whose every weight is random.

    A fresh model will not do: its modulation starts at zero, so that it ignores actions.
    """
    import torch

    from whale_ros.actions.space import ActionSpace
    from whale_ros.world_model.whale_st import WhaleST

    torch.set_num_threads(1)

    def make(seed: int = 0, config=small_config) -> WhaleST:
        generator = torch.Generator().manual_seed(seed)
        model = WhaleST(config, ActionSpace())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.3, generator=generator)
        components = model.familiarity.components
        components.copy_(torch.linalg.qr(torch.randn(components.shape, generator=generator))[0])
        model.familiarity.mean.fill_(0.5)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def small_model(random_model):
    """For reading only: shared by all tests."""
    return random_model()


@pytest.fixture(scope="session")
def rendered() -> np.ndarray:
    """(12, 128, 128, 3) uint8 RGB: the simulated arm under way."""
    from whale_ros.actions.space import ActionSpace
    from whale_ros.sim.arm import SimArm
    from whale_ros.sim.behaviors import Behavior
    from whale_ros.sim.collect import execute

    space = ActionSpace()
    arm = SimArm("reach-v3", 0)
    behavior = Behavior("expert", "reach-v3", space, 0)
    pictures = []
    for _ in range(12):
        pictures.append(arm.render())
        execute(arm, behavior.act(arm.observation), space)
    arm.close()
    return np.stack(pictures)
