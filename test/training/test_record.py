"""A run folder remembers what it is a run of."""

import subprocess
import sys

import pytest

from whale_ros.training.record import RECORD, claim_run, work_alone

SETTINGS = {"seed": 1, "steps": {"tokenizer": 10, "dynamics": 20}, "config": {"channels": (8, 8)}}


def test_the_same_settings_may_come_back(tmp_path):
    claim_run(tmp_path / "run", **SETTINGS)
    before = (tmp_path / "run" / RECORD).read_bytes()
    claim_run(tmp_path / "run", **SETTINGS)
    assert (tmp_path / "run" / RECORD).read_bytes() == before


@pytest.mark.parametrize(
    "other, named",
    [
        ({"seed": 2}, "seed is 1 .* 2 now"),
        ({"steps": {"tokenizer": 10, "dynamics": 30}}, "steps.dynamics is 20 .* 30 now"),
        ({"steps": {"tokenizer": 10}}, "steps.dynamics is 20 .* None now"),
        ({"config": {"channels": (8, 9)}}, r"config.channels is \[8, 8\] .* \[8, 9\] now"),
        ({"new": "x"}, "new is None .* 'x' now"),
    ],
)
def test_other_settings_are_refused_with_both_values(tmp_path, other, named):
    claim_run(tmp_path, **SETTINGS)
    with pytest.raises(ValueError, match=f"{RECORD}.*{named}"):
        claim_run(tmp_path, **(SETTINGS | other))


@pytest.mark.parametrize("content", ["", "[]", '{"seed": 1'])
def test_a_broken_record_is_refused_by_name(tmp_path, content):
    (tmp_path / RECORD).write_text(content)
    with pytest.raises(ValueError, match=RECORD):
        claim_run(tmp_path, **SETTINGS)


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    code = "import sys; from pathlib import Path; from whale_ros.training.record import work_alone"
    code += "\nwith work_alone(Path(sys.argv[1])): print('at work', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout.readline() == "at work\n"
        with pytest.raises(ValueError, match="another process"), work_alone(tmp_path / "run"):
            pass
        other.kill()
    with work_alone(tmp_path / "run"):
        pass
