"""The planner at work, recorded to calibrate with, as a person runs it; slow."""

import subprocess
import sys
from pathlib import Path

import pytest

from whale_ros.data.episodes import read_manifest
from whale_ros.data.recording import kept

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_trials_are_recorded_gone_on_with_and_become_episodes(tmp_path):
    bags, data = tmp_path / "bags", tmp_path / "data"
    for episodes in (1, 2):  # the second time goes on after the first episode
        command = [sys.executable, "scripts/record_trial", str(bags), "--episodes", str(episodes)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    assert [recording.task for recording in kept(bags)] == ["reach-v3", "push-v3"]
    assert all(recording.success is not None for recording in kept(bags))
    convert = [sys.executable, "scripts/whale", "convert", str(bags), str(data)]
    subprocess.run(convert, cwd=ROOT, check=True)
    assert {info.task for info in read_manifest(data)[1]} == {"reach-v3", "push-v3"}
