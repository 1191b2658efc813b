"""Faults of the machine that the gate runs on: processor, memory, disk, clock."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from whale_ros.faults.fault import Fault, Steps
from whale_ros.nodes.fault_case import Case
from whale_ros.nodes.fault_catalogue import h, latched
from whale_ros.nodes.fault_system import System

DISK_BYTES = 256 * 1024
HOG = """
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
while time.monotonic() < end:
    pass
print(time.time())
"""


class SimulatedTime(System):
    """All take their time from a player's /clock."""

    every_one = ("-p", "use_sim_time:=true")
    audited = False  # it tells simulated time

    def prepare(self) -> None:
        self.processes.start_player("clock")


class SmallDisk(System):
    """The audit log is on a file system of its own."""

    def prepare(self) -> None:
        self.disk = self.output / "disk"
        self.disk.mkdir(exist_ok=True)
        options = f"size={DISK_BYTES}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.disk)], check=True)
        self.audit_log = self.disk / "audit.jsonl"

    def close(self) -> None:
        super().close()
        if self.audit_log.exists():
            self.audit_log = Path(shutil.copy(self.audit_log, self.output))
        subprocess.run(["umount", str(self.disk)], check=True)


def why_no_disk() -> str:
    return "" if os.geteuid() == 0 else "only root may mount a small file system"


def why_no_priority() -> str:
    may = os.geteuid() == 0 and shutil.which("taskset")
    return "" if may else "only root may run before the gate, with taskset of util-linux"


def full_disk(case: Case) -> Steps:
    """The gate goes on, says so, and counts what it could not write."""
    system = case.system
    assert isinstance(system, SmallDisk)
    filler = system.disk / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), bytes(4096))
        except OSError:
            pass  # it is full
    full = "No space left on device"
    # The last page of the log still takes some lines.
    yield from case.until(lambda: any(full in words for words in system.told), 10.0)
    case.expect(any(full in words for words in system.told), "/diagnostics do not tell of the disk")
    yield from case.until(system.moves, 3.0)
    case.expect(system.moves(), "it does not go on without its audit log")
    filler.unlink()
    yield from case.until(lambda: "lost_before" in _last_line(system.audit_log), 3.0)
    case.expect("lost_before" in _last_line(system.audit_log), "what was lost is not counted")


def _last_line(path: Path) -> str:
    return path.read_text().rsplit("\n", 2)[-2]


def starves(case: Case) -> Steps:
    """Somebody of higher priority takes the only processor that the gate may use."""
    system, seconds = case.system, case.rng.uniform(0.25, 0.8)
    processor = case.rng.choice(sorted(os.sched_getaffinity(0)))
    _may_use(system.processes["gate"].pid, {processor})
    hog = subprocess.Popen(
        ["taskset", "-c", str(processor), sys.executable, "-c", HOG, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    yield from case.until(lambda: hog.poll() is not None, 10.0)
    ended = float(hog.communicate()[0])
    system.log.write(ended, "gate slept")
    demand = {"latches": False, "fault": case.fault.name, "within_s": 0.2, "briefly": True}
    system.log.write(ended, "demand", demand)
    _may_use(system.processes["gate"].pid, os.sched_getaffinity(0))
    yield 0.1


def _may_use(pid: int, processors: set[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)


def no_memory(case: Case) -> Steps:
    """The gate gets none any more. It needs none, or dies; then it is started again."""
    gate = case.system.processes["gate"]
    limits = resource.prlimit(gate.pid, resource.RLIMIT_AS)
    resource.prlimit(gate.pid, resource.RLIMIT_AS, (4096, limits[1]))
    yield from case.until(lambda: gate.poll() is not None, 2.0)
    if gate.poll() is None:
        resource.prlimit(gate.pid, resource.RLIMIT_AS, limits)
    else:
        case.system.start_gate("gate")
    yield 0.1


def jumps(least: float, most: float):
    def jump(case: Case) -> Steps:
        by = case.rng.choice([-1, 1]) * case.rng.uniform(least, most)
        _tell_clock(case, kind="jump", by=by, demand={"briefly": not case.fault.latches})
        yield 0.3

    return jump


def stands_still(case: Case) -> Steps:
    seconds = case.rng.uniform(0.6, 0.95)
    _tell_clock(case, kind="stop", **{"for": seconds}, demand={"after": 0.2})
    yield seconds


def _tell_clock(case: Case, demand: dict[str, Any], **order: Any) -> None:
    demand |= {"latches": case.fault.latches, "fault": case.fault.name}
    case.system.processes.tell("clock", demand=demand, **order)


DISK = [Fault(35, "the disk is full", "-", False, full_disk)]
PROCESSOR = [
    h(39, "the gate's processor is taken", starves, says="loop"),
    Fault(39, "the gate gets no memory", "-", False, no_memory),
]
CLOCK = [
    h(5, "simulated time jumps by up to a second", jumps(0.1, 0.9), says="clock_jump"),
    latched(5, "simulated time jumps by more than a second", jumps(1.2, 600.0), says="clock_jump"),
    h(6, "simulated time stands still", stands_still, says="clock"),
]
