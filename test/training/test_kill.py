"""Training survives what no program can prepare for."""

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from whale_ros.world_model.checkpoint import Card, Scales, read_card, save_checkpoint

SCRIPT = Path(__file__).parent / "train_in_process.py"
STEPS = 1500
KILLS = 2
FINE_TUNING_KILLS = 20
WHALE = Path(__file__).parents[2] / "scripts" / "whale"


def start(run) -> subprocess.Popen:
    command = [sys.executable, SCRIPT, run, str(STEPS)]
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)


def changed(state: Path, since: int) -> int:
    return state.stat().st_mtime_ns if state.exists() else since


def test_a_process_killed_at_random_moments_ends_with_the_same_bits(tmp_path):
    assert start(tmp_path / "straight").wait() == 0
    state = tmp_path / "run" / "small.safetensors"
    for _ in range(KILLS):
        before = changed(state, 0)
        process = start(tmp_path / "run")
        while changed(state, before) == before:  # so that every start gets somewhere
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        process.wait()
        with safe_open(state, "pt") as file:
            assert 0 < int(file.metadata()["step"]) < STEPS
    assert start(tmp_path / "run").wait() == 0
    assert state.read_bytes() == (tmp_path / "straight" / "small.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fine_tuning_killed_again_and_again_makes_the_same_checkpoint_and_leaves_the_base(
    write_scene, random_model, tmp_path
):
    data, model = write_scene(tmp_path / "data", (60, 90, 250)), random_model()
    base = tmp_path / "base"
    save_checkpoint(base, model, Card(model.config, model.action_space, Scales(1.0, 1.0, 1.0)))
    before = hashes(base)

    def start(run) -> subprocess.Popen:
        steps = ("--tokenizer-steps=120", "--behavior-steps=120", "--dynamics-steps=120")
        command = [sys.executable, WHALE, "finetune", run, "--data", data, "--base", base, *steps]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(list(map(str, command)), **silent)

    began = time.monotonic()
    assert start(tmp_path / "straight").wait() == 0
    takes_s = time.monotonic() - began
    expected = read_card(tmp_path / "straight" / "checkpoint")
    kills, runs = 0, 0
    while kills < FINE_TUNING_KILLS:  # anywhere from importing torch to writing the checkpoint
        made = tmp_path / str(runs) / "checkpoint"
        process = start(made.parent)
        try:
            assert process.wait(random.uniform(0, takes_s)) == 0
            assert read_card(made).sha256 == expected.sha256
            runs += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            assert not made.exists() or read_card(made).sha256 == expected.sha256
        assert hashes(base) == before
    assert start(made.parent).wait() == 0
    card = read_card(made)
    assert card.sha256 == expected.sha256
    assert card.training["held_out_loss"] == expected.training["held_out_loss"]


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
