"""Reading progress and the next action from what is observed."""

from dataclasses import replace

import torch

from whale_ros.policy_optimization.networks import check_reward, train_clone, train_reward


def known(offline, seed):
    """Episodes whose progress and actions are functions of what is observed."""
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(40, 13, 6, generator=generator)
    actions = torch.zeros(40, 12, 7)
    actions[..., 0] = 0.04 * observations[:, :-1, 1].tanh()
    actions[..., 6] = (observations[:, :-1, 2] > 0).float()
    progress = (2 * observations[..., 0]).sigmoid()
    return replace(offline, observations=observations, actions=actions, progress=progress)


def test_the_reward_learns_a_known_function_and_the_check_tells_so(offline):
    check = check_reward(train_reward(known(offline, 0), 0, steps=200), known(offline, 1))
    assert check["correlation"] > 0.95 and check["rmse"] < 0.1 and check["frames"] == 40 * 13
    random = check_reward(train_reward(known(offline, 0), 0, steps=2), known(offline, 1))
    assert random["correlation"] < 0.8 and random["rmse"] > 0.15


def test_the_clone_learns_what_was_done(offline):
    clone, held_out = train_clone(known(offline, 0), 0, steps=200), known(offline, 1)
    cloned = clone(held_out.observations[:, :-1])
    difference = (cloned - held_out.policy_actions).abs()
    assert difference[..., :3].mean() < 0.1 and difference[..., 3].median() < 0.2


def test_equal_seeds_give_equal_networks(offline):
    first, same, other = (train_clone(offline, seed, steps=5) for seed in (0, 0, 1))
    x = offline.observations
    assert torch.equal(first(x), same(x)) and not torch.equal(first(x), other(x))
