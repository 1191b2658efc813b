"""Two processes that share every batch train to the loss that one would."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.pretrain import (
    Steps,
    behavior_stage,
    dynamics_stage,
    encode_all,
    pretrain,
    tokenizer_stage,
)

SCRIPT = Path(__file__).parent / "pretrain_in_process.py"
STEPS = 30


@pytest.fixture(scope="module")
def data(recorded) -> EpisodeSet:
    return EpisodeSet(recorded, "train")


@pytest.fixture(scope="module")
def runs(recorded, small_yaml, tmp_path_factory) -> Path:
    """Of two processes: `tokenizer` trained nothing else, `others` trained all but that."""
    folder = tmp_path_factory.mktemp("runs")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", 2, "--master-port", port)
    plan = (folder / "tokenizer", f"{STEPS},0,0", folder / "others", f"0,{STEPS},{STEPS}")
    command = [sys.executable, *launch, SCRIPT, recorded, small_yaml, *plan]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def loss_of(stage) -> float:
    """Mean over ten batches, the same for every model."""
    values = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(10**6 + seed)
        with torch.no_grad():
            values.append(stage.loss(*stage.batch(generator), generator)[0].item())
    return sum(values) / len(values)


def test_a_loss_without_noise_of_its_own_is_the_same_to_float_tolerance(
    runs, data, small_config, tmp_path
):
    together, alone = (
        loss_of(tokenizer_stage(pretrain(data, small_config, run, Steps(STEPS, 0, 0)), data))
        for run in (runs / "tokenizer", tmp_path / "alone")
    )
    assert together == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("stage", [behavior_stage, dynamics_stage])
def test_a_loss_that_draws_noise_falls_as_far(runs, data, small_config, tmp_path, stage):
    # Each process draws other noise than a single one would, and the means over unknown tokens
    # and the free nats are taken for its share alone; so equal within 2 % of what was learned.
    steps = Steps(0, STEPS, STEPS)
    untrained, alone, together = (
        pretrain(data, small_config, run, counts)
        for run, counts in (
            (tmp_path / "untrained", Steps(0, 0, 0)),
            (tmp_path / "alone", steps),
            (runs / "others", steps),
        )
    )
    before, one, two = (
        loss_of(stage(model, data, encode_all(model, data)))
        for model in (untrained, alone, together)
    )
    assert one < before - 0.05
    assert abs(two - one) < 0.02 * (before - one)
