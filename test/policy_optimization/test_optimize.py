"""SAC improves a policy from transitions alone."""

import numpy as np
import torch

from whale_ros.policy_optimization.correction import Correction
from whale_ros.policy_optimization.offline import ACTION
from whale_ros.policy_optimization.optimize import Settings, improve, mixed_buffer
from whale_ros.policy_optimization.transitions import Transitions

SETTINGS = Settings(
    critic_steps=50, steps=100, batch=32, width=16, learning_rate=1e-2, critics=1, discount=0.1
)


class Still(torch.nn.Module):
    """A clone that does nothing."""

    def forward(self, observations):
        return torch.zeros(*observations.shape[:-1], ACTION)


def transitions(count, gain, seed=0):
    """Random ones, with gains that `gain` makes of corrections (M, ACTION)."""
    generator = torch.Generator().manual_seed(seed)
    before, after = torch.randn(2, count, 3, generator=generator)
    corrections = torch.empty(count, ACTION).uniform_(-1, 1, generator=generator)
    return Transitions(before, corrections, after, gain(corrections), torch.zeros(count))


def test_batches_hold_the_recorded_share():
    imagined = transitions(50, lambda c: 0 * c[:, 0] + 1)
    recorded = transitions(20, lambda c: 0 * c[:, 0] + 2)
    buffer = mixed_buffer(imagined, imagined.gains, recorded, real_share=0.25)
    batch = buffer.sample(40)
    assert (batch.rewards == 2).sum() == 10 and (batch.rewards == 1).sum() == 30
    known = {row.numpy().tobytes() for row in imagined.observations}
    of_imagined = batch.observations[batch.rewards[:, 0] == 1]
    assert all(row.numpy().tobytes() in known for row in of_imagined)


def test_the_policy_corrects_towards_what_is_rewarded_and_not_what_is_penalised():
    correction = Correction(Still(), limit=0.5)
    imagined = transitions(300, lambda c: c[:, 0] - c[:, 1])
    penalised = imagined.gains - 2 * imagined.corrections[:, 0]
    recorded = transitions(10, lambda c: c[:, 0] - c[:, 1])
    observation = np.zeros(3, np.float32)
    actions = {}
    for name, reward in (("free", imagined.gains), ("penalised", penalised)):
        buffer = mixed_buffer(imagined, reward, recorded, real_share=0.0)
        actions[name] = improve(correction, buffer, 0, SETTINGS)(observation)
    assert actions["free"][0] > 0.2 and actions["free"][1] < -0.2
    assert actions["penalised"][0] < -0.2 and actions["penalised"][1] < -0.2
    assert all(np.abs(action).max() <= 0.5 for action in actions.values())
