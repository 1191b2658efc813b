"""What is added to a layer is of low rank, and becomes part of it when merged."""

import torch
from torch import nn

from whale_ros.training.best import trained
from whale_ros.training.low_rank import RANK, make_low_rank, merge

INPUTS, HIDDEN, OUTPUTS = 24, 40, 3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, OUTPUTS))


def test_nothing_changes_until_something_is_learnt_and_only_what_is_added_is():
    plain, made = network(), network()
    make_low_rank(made, seed=0)
    x = torch.randn(5, INPUTS)
    assert torch.equal(plain(x), made(x))
    sizes = {name: tuple(weight.shape) for name, weight in trained(made).items()}
    # The last layer is smaller than what would be added.
    assert sorted(sizes.values()) == [(RANK, INPUTS), (HIDDEN, RANK)]


def test_what_was_learnt_is_merged_into_the_layers():
    plain, made = network(), network()
    make_low_rank(made, seed=0)
    optimizer = torch.optim.SGD(trained(made).values(), lr=1.0)
    x, wanted = torch.randn(50, INPUTS), torch.randn(50, OUTPUTS)
    for _ in range(5):
        optimizer.zero_grad()
        (made(x) - wanted).square().mean().backward()
        optimizer.step()
    learnt = made(x)
    assert not torch.allclose(learnt, plain(x))
    merge(made)
    torch.testing.assert_close(made(x), learnt)
    assert made.state_dict().keys() == plain.state_dict().keys()
    assert all(weight.requires_grad for weight in made.parameters())
    change = made[0].weight - plain[0].weight
    assert 0 < torch.linalg.matrix_rank(change.detach(), rtol=1e-4) <= RANK
    assert torch.equal(made[2].weight, plain[2].weight)


def test_the_same_seed_adds_the_same():
    first, same, other = network(), network(), network()
    for made, seed in ((first, 0), (same, 0), (other, 1)):
        make_low_rank(made, seed)
    one, again, else_ = (trained(made) for made in (first, same, other))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], else_[name]) for name in one)
