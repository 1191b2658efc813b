"""The simulated robots by name, and the tasks of each."""

from __future__ import annotations

from dataclasses import dataclass

from whale_ros.sim import arm as sawyer
from whale_ros.sim.arm import SimArm
from whale_ros.sim.bench import arm as bench
from whale_ros.sim.bench.arm import BenchArm

Arm = SimArm | BenchArm  # they have the same interface


@dataclass(frozen=True)
class Robot:
    arm: type[SimArm] | type[BenchArm]
    tasks: tuple[str, ...]


ROBOTS = {
    "sawyer": Robot(SimArm, sawyer.TASKS),
    "bench": Robot(BenchArm, bench.TASKS),
}
