"""The gate study as a person runs it, with one episode of each kind; slow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_gate_study_plays_every_cell_and_writes_what_happened(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "gate_study")]
    command += ["--output", str(tmp_path), "--episodes", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [cell["episodes"] for cell in summary["cells"]] == [1, 1, 1, 1]
    on, off = (
        next(e for e in summary["each"] if (e["gate"], e["disturbance"]) == (gate, "intruder"))
        for gate in ("on", "off")
    )
    assert off["disturbed"] and off["contact_n"] > summary["harmful_above_n"]
    assert on["contact_n"] <= off["contact_n"]
    assert (tmp_path / "outcomes.png").stat().st_size > 5_000
