"""Processes share a batch without leaving out or repeating a row."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from whale_ros.training.workers import Worker, join_workers


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 1000))
def test_the_shares_are_the_batch_and_their_weighted_losses_average_to_its_mean(rows, count, seed):
    assume(rows >= count)
    batch = (torch.randn(rows, 3), torch.arange(rows))
    shares = [
        Worker(rank=rank, count=count).share(batch, torch.Generator().manual_seed(seed))
        for rank in range(count)
    ]
    assert torch.equal(torch.cat([mine[0] for mine, _, _ in shares]), batch[0])
    assert torch.equal(torch.cat([mine[1] for mine, _, _ in shares]), batch[1])
    mean = sum(weight * mine[0].mean() for mine, _, weight in shares) / count
    assert torch.allclose(mean, batch[0].mean(), atol=1e-6)


def test_every_process_has_noise_of_its_own_that_depends_on_the_seed():
    noises = []
    for seed in (0, 1):
        for rank in range(3):
            generator = torch.Generator().manual_seed(seed)
            _, own, _ = Worker(rank=rank, count=3).share((torch.zeros(3),), generator)
            noises.append(float(torch.rand(1, generator=own)))
    assert len(set(noises)) == 6


def test_a_batch_smaller_than_the_number_of_processes_is_refused():
    with pytest.raises(ValueError, match="11 processes cannot share a batch of 10"):
        Worker(rank=0, count=11).share((torch.zeros(10),), torch.Generator())


def test_without_torchrun_a_process_is_alone():
    with join_workers("cpu") as worker:
        assert worker == Worker(torch.device("cpu"), 0, 1) and worker.is_first


@pytest.mark.parametrize("device", ["toaster", "cuda", "cuda:9"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    words = f"no device '{device}'.*there are: cpu"
    with pytest.raises(ValueError, match=words), join_workers(device):
        pass
