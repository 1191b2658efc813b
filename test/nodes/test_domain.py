"""Runs at the same time on one machine are in different ROS domains."""

import os
import subprocess
import sys

import pytest

from whale_ros.nodes.domain import take_domain
from whale_ros.nodes.processes import isolate

NUMBERS = range(60_001, 60_004)  # no real ones: the locks alone are tried


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_each_one_gets_another_until_all_are_taken():
    taken = [take_domain(NUMBERS) for _ in NUMBERS]
    assert [number for number, _ in taken] == list(NUMBERS)
    with pytest.raises(RuntimeError, match="every ROS domain is taken"):
        take_domain(NUMBERS)
    os.close(taken[1][1])
    assert take_domain(NUMBERS)[0] == taken[1][0]


def test_it_is_free_again_when_the_process_is_killed(tmp_path):
    code = (
        "import os, signal, tempfile; from whale_ros.nodes.domain import take_domain\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        f"print(take_domain([{NUMBERS[0]}])[0], flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -9 and killed.stdout.strip() == str(NUMBERS[0])
    assert take_domain(NUMBERS)[0] == NUMBERS[0]


def test_the_domain_that_a_person_works_in_is_never_taken(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    seen = set()
    for _ in range(3):
        monkeypatch.setenv("ROS_DOMAIN_ID", "2")
        isolate()
        seen.add(os.environ["ROS_DOMAIN_ID"])
    assert len(seen) == 3 and not seen & {"0", "2"}
