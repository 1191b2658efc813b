"""Faults of the real world model and the real planner, at work on the built-in arm."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from whale_ros.faults.fault import Fault, Steps
from whale_ros.imagination.calibration import CALIBRATION
from whale_ros.nodes.fault_case import Case
from whale_ros.nodes.fault_catalogue import h
from whale_ros.nodes.fault_gate import stalls
from whale_ros.nodes.fault_system import System
from whale_ros.nodes.processes import installed_or_source
from whale_ros.srv import LoadCheckpoint
from whale_ros.world_model.checkpoint import CARD, SHIPPED, WEIGHTS

MODEL = "real_world_model"
LOADS_S = 60.0
LATE_S = 5.0  # longer than the planner waits, and than the last chunk lasts


class RealModel(System):
    """World model, planner and policy are the real ones, as `make demo` starts them."""

    recovers_s, begins_s = 40.0, 1.0

    def start_planning(self) -> None:
        self.start_world_model()
        self.processes.start_executable("planner")
        self.processes.start_executable("scripted_policy")
        for name in ("planner", "scripted_policy"):
            self.processes.prefer(name)

    def start_world_model(self) -> None:
        config, _ = installed_or_source()
        files = [str(config / "world_model.yaml"), str(config / "robots" / "sim.yaml")]
        self.processes.start_player(MODEL, *(a for f in files for a in ("--params-file", f)))
        self.processes.prefer(MODEL)

    def spoiled_checkpoint(self, name: str) -> Path:
        """A copy of the shipped one, to be spoiled."""
        return Path(shutil.copytree(SHIPPED, self.output / name, dirs_exist_ok=True))

    def load(self, checkpoint: Path) -> LoadCheckpoint.Response:
        request = LoadCheckpoint.Request(checkpoint=str(checkpoint))
        answer = self.ask(LoadCheckpoint, "world_model/load_checkpoint", request, LOADS_S)
        return answer or LoadCheckpoint.Response(message="no answer")


def _of(case: Case) -> RealModel:
    assert isinstance(case.system, RealModel)
    return case.system


def out_of_memory(case: Case) -> Steps:
    """Once: it begins afresh by itself."""
    case.system.processes.tell(MODEL, kind="memory", times=1)
    yield 1.5


def out_of_memory_for_good(case: Case) -> Steps:
    """Three times: nothing moves until a person has it loaded anew."""
    case.system.processes.tell(MODEL, kind="memory", times=3)
    yield 6.0
    case.expect(not case.system.moves(), "it goes on by itself after three times")
    case.expect("out of memory 3 times" in case.system.why(), f"said: {case.system.why()}")
    case.expect(_of(case).load(SHIPPED).success, "it cannot be loaded anew")


def device_is_lost(case: Case) -> Steps:
    """The process ends by itself, and is started again by whoever supervises it."""
    process = case.system.processes[MODEL]
    case.system.processes.tell(MODEL, kind="device")
    yield from case.until(lambda: process.poll() is not None, 5.0)
    case.expect(process.poll() not in (None, 0), "it did not end with an error")
    yield 0.9
    _of(case).start_world_model()


def is_killed(case: Case) -> Steps:
    case.system.processes.kill(MODEL)
    yield 0.9
    _of(case).start_world_model()


def answers_late(case: Case) -> Steps:
    """The planner goes on without that answer, and does not use it when it comes."""
    case.system.processes.tell(MODEL, kind="slow", **{"for": LATE_S})
    said = "did not answer within"
    yield from case.until(lambda: any(said in words for words in case.system.told), LATE_S)
    case.expect(any(said in words for words in case.system.told), "the planner does not say so")


def corrupt(folder: Path) -> Callable[[], str]:
    """A byte of the weights is another one."""
    weights = folder / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1000] ^= 0xFF
    weights.write_bytes(content)
    return lambda: ""


def malicious(folder: Path) -> Callable[[], str]:
    """Who unpickles the weights makes a file; the card vouches for them."""
    made = folder / "unpickled"
    weights = pickle.dumps(_Malice(str(made)))
    (folder / WEIGHTS).write_bytes(weights)
    card = json.loads((folder / CARD).read_text())
    card["sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / CARD).write_text(json.dumps(card))
    return lambda: "it was unpickled" if made.exists() else ""


class _Malice:
    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple:
        return open, (self._path, "w")


def refused(spoil: Callable[[Path], Callable[[], str]]) -> Callable[[Case], Steps]:
    """By the model at work, which goes on, and by one that starts with it."""

    def refuse(case: Case) -> Steps:
        folder = _of(case).spoiled_checkpoint(spoil.__name__)
        why_harmed = spoil(folder)
        answer = _of(case).load(folder)
        case.expect(not answer.success and "checkpoint" in answer.message, "it was loaded")
        _, executables = installed_or_source()
        command = [sys.executable, str(executables / "world_model"), "--ros-args"]
        command += ["-r", "__ns:=/other", "-p", f"checkpoint:={folder}"]
        other = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        yield from case.until(lambda: other.poll() is not None, LOADS_S)
        other.kill()
        words = other.communicate()[1]
        case.expect(other.returncode not in (0, -signal.SIGKILL), "one starts with it")
        case.expect("checkpoint" in words, f"the one that starts says {words!r}")
        case.expect(not why_harmed(), why_harmed())

    return refuse


def not_calibrated(case: Case) -> Steps:
    """Other weights are not trusted before they are calibrated."""
    folder = _of(case).spoiled_checkpoint("not_calibrated")
    (folder / CALIBRATION).unlink()
    case.expect(_of(case).load(folder).success, "it cannot be loaded")
    yield 4.0
    case.expect(not case.system.moves(), "it moves without a calibration")
    case.expect("calibrat" in case.system.why(), f"said: {case.system.why()}")
    case.expect(_of(case).load(SHIPPED).success, "the calibrated one cannot be loaded")


FAULTS = [
    h(14, "the world model is out of memory", out_of_memory),
    h(14, "the world model is out of memory three times", out_of_memory_for_good),
    h(15, "the world model's device is lost", device_is_lost, says="heartbeat"),
    h(16, "the real world model is killed", is_killed, says="heartbeat"),
    h(17, "the real world model hangs", stalls(MODEL), says="heartbeat"),
    h(18, "the world model answers late", answers_late),
    Fault(20, "a corrupt checkpoint", "X", False, refused(corrupt)),
    Fault(21, "a malicious pickle", "X", False, refused(malicious)),
    h(22, "weights that are not calibrated", not_calibrated),
]
