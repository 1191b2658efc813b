"""From demonstrations to a planning robot, as a person runs it; slow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_fine_tuning_demonstration_shows_what_it_should(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "finetune_demo"), "--output", str(tmp_path)]
    command += ["--demonstrations", "10"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((tmp_path / "summary.json").read_text())["demonstrations"]["10"]
    assert summary["demonstrations"]["recorded"] == 10
    assert summary["gate"]["fine-tuned and calibrated"]["chunks_executed"] >= 5
    assert summary["planning"]["commands_while_held"] == 0
    assert (tmp_path / "stories.png").stat().st_size > 10_000
    for picture in ("demonstrations.png", "before_and_after.png", "gate.png"):
        assert (tmp_path / "10_demonstrations" / picture).stat().st_size > 10_000
