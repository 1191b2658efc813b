"""A few faults on the running system: gate and simulated arm as processes over DDS."""

import subprocess

import pytest

from whale_ros.faults.judge import SYSTEM_LIMITS, judge, read_events
from whale_ros.faults.report import missed
from whale_ros.nodes.fault_catalogue import ESTOP_FAULTS, FAULTS, KILLS
from whale_ros.nodes.fault_system import System, try_faults

pytestmark = pytest.mark.ros

QUICK = (
    "camera stalls",
    "poses are not finite",
    "the world model hangs",
    "actions that are too large",
    "somebody else commands the arm",
    "the gate gets SIGTERM",
)


@pytest.fixture
def try_on_system(domain_id, tmp_path, monkeypatch):
    """Tries faults, and returns what was missed and the trials."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))

    def try_on_system(faults, repeats, estop=False):
        system = System(tmp_path, seed=1, estop=estop)
        try:
            system.start()
            names = list(try_faults(system, faults, repeats))
        finally:
            system.close()
        assert all(process.poll() is not None for process in system.processes.values())
        trials = list(judge(read_events(tmp_path / "events"), SYSTEM_LIMITS))
        assert [trial.fault for trial in trials] == names
        return missed(faults, trials)

    return try_on_system


def test_the_running_gate_keeps_the_contract(try_on_system):
    faults = [fault for fault in FAULTS if fault.name in QUICK]
    assert len(faults) == len(QUICK)
    assert try_on_system(faults, 1) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_keeps_it_under_every_fault_that_can_be_tried_here(try_on_system):
    assert try_on_system(FAULTS, 2) == []


@pytest.mark.slow
def test_no_command_is_unsafe_when_processes_are_killed(try_on_system):
    """Whether all others hear each other afterwards is up to DDS, see docs/safety.md."""
    assert [line for line in try_on_system(KILLS, 2) if "unsafe" in line] == []


@pytest.mark.slow
def test_it_stops_for_an_estop_that_is_pressed_or_dies(try_on_system):
    assert try_on_system(ESTOP_FAULTS, 2, estop=True) == []


def test_the_core_can_be_tried_alone(tmp_path):
    command = ["scripts/whale", "faults", "--core", "5", "--system", "0", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "5 faults, 0 unsafe commands" in done.stdout
    assert (tmp_path / "faults.json").exists() and (tmp_path / "faults.md").exists()
