"""The demonstration as a person runs it; slow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_demonstration_shows_what_it_should(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "demo"), "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["chunks_executed"] > 10
    assert summary["commands_while_held"] == 0
    assert summary["disturbance_to_hold_s"] <= 3 * summary["camera_period_s"] + 0.15
    assert summary["seconds"] < 240
    for picture in ("timeline.png", "imagined_1.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
