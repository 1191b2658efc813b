"""All faults that can be tried on the gate's core in simulated time, by the rows of the matrix in
docs/safety.md. The modules that are named here register their own."""

from whale_ros.faults import camera_faults, gate_faults, input_faults, plan_faults
from whale_ros.faults.fault import FAULTS

__all__ = ["FAULTS", "camera_faults", "gate_faults", "input_faults", "plan_faults"]
