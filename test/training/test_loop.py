"""One loop for every network: seeded, and resumable to the bit."""

import contextlib
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from whale_ros.training.loop import SAVE_EVERY, Outcome, Schedule, Stage, train


class Interruption(Exception):
    pass


def fresh_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def fit(network, interrupted_at=None) -> Stage:
    """Learns from random numbers only; interrupted like a process that is killed."""
    calls = 0

    def batch(generator):
        nonlocal calls
        calls += 1
        if calls - 1 == interrupted_at:
            raise Interruption
        return (torch.randn(16, 4, generator=generator),)

    def loss(x, generator):
        noise = 0.1 * torch.randn(len(x), 1, generator=generator)
        error = (network(x) - x.sum(1, keepdim=True) + noise).square().mean()
        return error, {"root": error.detach().sqrt()}

    return Stage("test", network, batch, loss)


def weights(network) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def trained(run, schedule) -> torch.Tensor:
    network = fresh_network()
    train(fit(network), schedule, run)
    return weights(network)


SCHEDULE = Schedule(steps=SAVE_EVERY + 30, learning_rate=1e-2)


@pytest.mark.parametrize("interrupted_at", [SAVE_EVERY, SAVE_EVERY + 7])
def test_a_run_that_was_interrupted_and_resumed_ends_with_the_same_weights(
    tmp_path, interrupted_at
):
    straight = trained(tmp_path / "straight", SCHEDULE)
    network = fresh_network()
    with pytest.raises(Interruption):
        train(fit(network, interrupted_at), SCHEDULE, tmp_path / "run")
    assert not torch.equal(weights(network), straight)
    assert torch.equal(trained(tmp_path / "run", SCHEDULE), straight)


def test_a_finished_run_is_only_loaded(tmp_path):
    finished = trained(tmp_path, SCHEDULE)
    network = fresh_network()
    train(fit(network, interrupted_at=0), SCHEDULE, tmp_path)
    assert torch.equal(weights(network), finished)
    assert not network.training


def test_equal_seeds_give_equal_weights_and_different_ones_do_not(tmp_path):
    first, again, other = (
        trained(tmp_path / name, Schedule(5, 1e-2, seed=seed))
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_does_not_depend_on_the_global_random_numbers(tmp_path):
    first = trained(tmp_path / "first", Schedule(5, 1e-2))
    network = fresh_network()
    torch.manual_seed(123)
    train(fit(network), Schedule(5, 1e-2), tmp_path / "second")
    assert torch.equal(weights(network), first)


def watched(network, losses: list[float], interrupted_at=None) -> Stage:
    """Whose held-out losses are told beforehand, by the number of steps that were saved."""
    stage = fit(network, interrupted_at)
    seen = iter(map(float, losses))
    return replace(stage, held_out=lambda: next(seen))


EARLY = Schedule(steps=100, learning_rate=1e-2, save_every=10, patience=30)


@pytest.mark.parametrize(
    "losses, stopped, best",
    [
        ([5, 4, 3, 3.5, 3.2, 3.0, 1], 50, 20),  # not better than before for three times
        ([5, 6, 7, 8, 9], 30, 0),  # nothing is as good as what it began with
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5, 0.2], 100, 100),
        ([3, float("nan"), 2, float("nan"), float("nan"), float("nan"), 1], 50, 20),
    ],
)
def test_it_stops_when_held_out_data_is_foretold_no_better_and_keeps_the_best_weights(
    tmp_path, losses, stopped, best
):
    network = fresh_network()
    outcome = train(watched(network, losses), EARLY, tmp_path / "run")
    assert outcome == Outcome(stopped, best, losses[best // 10])
    assert not network.training
    alike = fresh_network()  # as far, with the learning rates of that schedule
    with contextlib.suppress(Interruption):
        train(fit(alike, interrupted_at=best), EARLY, tmp_path / "alike")
    assert torch.equal(weights(network), weights(alike))


def test_stopping_early_is_resumed_to_the_bit_and_a_run_that_is_over_stays_so(tmp_path):
    losses = [5, 4, 3, 6, 7, 8, 9]
    straight, network = fresh_network(), fresh_network()
    expected = train(watched(straight, losses), EARLY, tmp_path / "straight")
    with pytest.raises(Interruption):
        train(watched(network, losses, interrupted_at=38), EARLY, tmp_path / "run")
    network = fresh_network()
    assert train(watched(network, losses[4:]), EARLY, tmp_path / "run") == expected
    assert torch.equal(weights(network), weights(straight))
    network = fresh_network()
    assert train(watched(network, [], interrupted_at=0), EARLY, tmp_path / "run") == expected
    assert torch.equal(weights(network), weights(straight))


def test_without_a_single_number_for_held_out_data_nothing_is_kept(tmp_path):
    stage = watched(fresh_network(), [float("nan")] * 11)
    with pytest.raises(ValueError, match="never a number"):
        train(stage, EARLY, tmp_path)


def test_frozen_weights_are_neither_trained_nor_saved(tmp_path):
    network = fresh_network()
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    train(fit(network), SCHEDULE, tmp_path)
    assert torch.equal(network[0].weight, before)
    with safe_open(tmp_path / "test.safetensors", "pt") as file:
        names = set(file.keys())
    assert {name for name in names if name[0] == "n"} == {"network.2.weight", "network.2.bias"}


def test_the_loss_falls(tmp_path):
    network = fresh_network()
    stage = fit(network)

    def error() -> float:
        generator = torch.Generator().manual_seed(99)
        return stage.loss(*stage.batch(generator), generator)[0].item()

    before = error()
    train(stage, Schedule(300, 1e-2), tmp_path)
    assert error() < before / 4


def test_no_half_written_state_is_left(tmp_path):
    trained(tmp_path / "run", Schedule(3, 1e-2))
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"test.safetensors", "tensorboard", "progress.json"}
