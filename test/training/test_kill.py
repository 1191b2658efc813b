"""Training survives what no program can prepare for."""

import random
import subprocess
import sys
import time
from pathlib import Path

from safetensors import safe_open

SCRIPT = Path(__file__).parent / "train_in_process.py"
STEPS = 1500
KILLS = 2


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
