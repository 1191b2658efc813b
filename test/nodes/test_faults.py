"""A few faults on the running system: gate and simulated arm as processes over DDS."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from whale_ros.cli import main
from whale_ros.faults.report import missed
from whale_ros.faults.trial import Trial
from whale_ros.nodes import fault_run, processes
from whale_ros.nodes.fault_processes import NotRunning, Processes
from whale_ros.nodes.fault_run import PHASES, TOGETHER, available, try_round, try_together
from whale_ros.nodes.fault_system import System

pytestmark = pytest.mark.ros

# Half of all: what can be tried one after the other on the same processes, in a few seconds each.
QUICK = [fault for fault in PHASES[0].faults if fault.row not in (2, 11, 13, 24, 29, 31)]


class UnsafeCommand(AssertionError):
    """Or a motion after a latch. What a busy machine may excuse is tried twice, this is not."""


@pytest.fixture
def try_phase(domain_id, tmp_path, monkeypatch):
    """Tries faults once, and returns what was missed."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))

    def try_phase(phase):
        if why := phase.why_not():
            pytest.skip(why)
        told = []
        trials = try_round(phase, tmp_path, 1, told.append)
        assert [trial.fault for trial in trials] == told
        assert sorted(told) == sorted(fault.name for fault in phase.faults)
        return missed_and_safe(phase.faults, trials)

    return try_phase


def missed_and_safe(faults, trials):
    """What was missed. Raises UnsafeCommand."""
    if any(trial.unsafe for trial in trials):
        raise UnsafeCommand([violation for trial in trials for violation in trial.violations])
    return missed(faults, trials)


def test_the_running_gate_keeps_the_contract(try_phase):
    assert len(QUICK) >= sum(len(phase.faults) for phase in PHASES) / 2
    assert try_phase(dataclasses.replace(PHASES[0], faults=QUICK)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_it_keeps_it_under_every_fault_that_can_be_tried_here(try_phase, phase):
    """Whether all hear each other after a kill is up to DDS, see docs/safety.md."""
    wrong = try_phase(phase)
    assert [line for line in wrong if "unsafe" in line or phase.name != "killed"] == []


@pytest.mark.slow
def test_it_keeps_it_under_several_faults_at_once(domain_id, tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    tried = list(try_together(tmp_path, 1, 60.0, lambda _name: None))
    assert len(tried) > 3
    assert missed_and_safe([fault for fault, _ in tried], [trial for _, trial in tried]) == []


def test_what_is_unsafe_is_not_tried_again(tmp_path):
    """With the options by which `make test` tries what runs in real time."""
    (options,) = re.findall(r'-m "not slow and ros" (.*)', Path("Makefile").read_text())
    for error, runs in ((UnsafeCommand, 1), (AssertionError, 2)):
        test = tmp_path / f"test_{error.__name__}.py"
        count = tmp_path / error.__name__
        test.write_text(
            f"class {error.__name__}(AssertionError): pass\n"
            f"def test():\n"
            f"    open({str(count)!r}, 'a').write('.')\n"
            f"    raise {error.__name__}('camera stalls: 1 unsafe commands')\n"
        )
        command = [sys.executable, "-m", "pytest", *options.split(), "-p", "no:cacheprovider"]
        subprocess.run([*command, str(test)], capture_output=True, cwd=tmp_path)
        assert count.read_text() == "." * runs


def test_what_cannot_be_tried_here_is_left_out_with_the_reason():
    no_root = dataclasses.replace(PHASES[0], name="disk", why_not=lambda: "only root may")
    phases, skipped = available([PHASES[0], no_root])
    assert phases == [PHASES[0]] and skipped == {"disk": "only root may"}


class Silent(System):
    """Nothing of it can be started."""

    started = 0

    def start(self):
        type(self).started += 1
        raise NotRunning("nothing moves")


def test_a_system_that_does_not_start_is_tried_three_times_and_then_named(tmp_path):
    phase = dataclasses.replace(PHASES[0], make=Silent)
    with pytest.raises(NotRunning, match="nothing moves"):
        list(try_round(phase, tmp_path, 1, lambda _name: None))
    assert Silent.started == 3


def test_an_order_to_a_player_that_has_died_is_no_accident_of_the_run(tmp_path):
    processes = Processes(tmp_path)
    processes.start_player("no such role")
    processes["no such role"].wait(60)
    with pytest.raises(NotRunning, match="no such role has died"):
        processes.tell("no such role", kind="none")
    processes.close()


def test_no_fault_has_two_names_and_all_that_come_together_are_tried_alone_too():
    names = [fault.name for phase in PHASES for fault in phase.faults]
    assert len(set(names)) == len(names)
    assert {fault.name for fault in TOGETHER.faults} <= set(names)


def whale_faults(*arguments):
    return subprocess.run(["scripts/whale", "faults", *arguments], capture_output=True, text=True)


def test_the_core_can_be_tried_alone(tmp_path):
    done = whale_faults("--core", "5", "--system", "0", "--combined", "1", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "core: 5 faults, 0 unsafe commands, 0 motions after a latch" in done.stdout
    written = json.loads((tmp_path / "faults.json").read_text())
    assert written["core"]["injections"] == 5
    assert written["core, several at once"]["injections"] > 0
    assert (tmp_path / "faults.md").exists()


def test_a_run_that_was_cut_off_is_resumed(tmp_path, monkeypatch):
    phases, _ = available(PHASES)
    rounds = []

    def try_round(phase, folder, _seed, _tell):
        if len(rounds) == 3:
            rounds.append("interrupt")
            raise KeyboardInterrupt
        rounds.append(folder.name)
        yield Trial(phase.faults[0].name, True, True, 0.02, 1.0, 0, ())

    monkeypatch.setattr(fault_run, "try_round", try_round)
    monkeypatch.setattr(processes, "isolate", lambda: None)
    command = ["faults", "--core", "0", "--system", "2", "--combined", "0", "--output", tmp_path]
    in_two_rounds = len(phases) + sum(phase.every == 1 for phase in phases)
    for more, injections in (([], 3), (["--resume"], in_two_rounds)):
        main([*map(str, command), *more])
        written = json.loads((tmp_path / "faults.json").read_text())
        assert written["system"]["injections"] == injections
    assert len(rounds) == len(set(rounds)) == in_two_rounds + 1
