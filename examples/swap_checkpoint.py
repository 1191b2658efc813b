"""Have another checkpoint run on a running system, and see what the gate makes of it.

With world_model and gate running, after `source scripts/env.sh`:
`python examples/swap_checkpoint.py runs/mine/checkpoint --mode monitor_only`
When it ends, also by Ctrl-C, the gate is in mode hold again.
"""

import argparse
import math
import re
import signal
import sys
import time
from pathlib import Path

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions

from whale_ros.msg import GateStatus
from whale_ros.srv import LoadCheckpoint, SetGateMode

STATES = {GateStatus.HOLD: "HOLD", GateStatus.EXECUTING: "EXECUTING", GateStatus.LATCHED: "LATCHED"}
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--mode", choices=("hold", "monitor_only", "gate"), default="hold")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which the gate is watched")
    options = parser.parse_args()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # after Ctrl-C a service is called
    node = rclpy.create_node("swap_checkpoint")
    call(node, SetGateMode, "gate/set_mode", mode="hold")
    folder = str(options.checkpoint.absolute())
    answer = call(node, LoadCheckpoint, "world_model/load_checkpoint", checkpoint=folder)
    print(f"{answer.sha256[:12]} runs now" + (f": {answer.message}" if answer.message else ""))
    print(f"the gate is watched for {options.seconds:g} s", flush=True)

    def show(status: GateStatus) -> None:
        nonlocal shown
        if time.monotonic() < begins:
            return
        for check in status.checks:
            if check.name in largest and largest[check.name][0] < check.value < math.inf:
                largest[check.name] = check.value, check.threshold
        wrong = "; ".join(check.message for check in status.checks if not check.ok)
        reason = status.reason or (f"although {wrong}" if wrong else "")  # it only watches
        line = f"{STATES[status.state]}  {reason}"
        kind = re.sub(r"[\d.]+", "", line)
        if kind != shown:
            print(f"{status.chunks_executed} chunks executed  {line}", flush=True)
            shown = kind

    shown, begins = "", time.monotonic() + 0.2
    largest = {"uncertainty": (0.0, 0.0), "familiarity": (0.0, 0.0)}
    node.create_subscription(GateStatus, "gate/status", show, LATCHED)
    # Ctrl-C must not end a spin in its middle: no service could be called afterwards.
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        call(node, SetGateMode, "gate/set_mode", mode=options.mode)
        end = time.monotonic() + options.seconds
        while time.monotonic() < end and not interrupts:
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        call(node, SetGateMode, "gate/set_mode", mode="hold")
        for name, (value, threshold) in largest.items():
            print(f"largest {name}: {value:.3g}, threshold {threshold:.3g}")
        print("the gate is in mode hold")


def call(node, kind: type, service: str, **request: str):
    """What the service answers, if it does what it is asked to."""
    client = node.create_client(kind, service)
    if not client.wait_for_service(timeout_sec=10.0):
        sys.exit(f"nobody serves {client.srv_name}: are gate and world model running?")
    future = client.call_async(kind.Request(**request))
    rclpy.spin_until_future_complete(node, future, timeout_sec=60.0)
    answer = future.result() if future.done() else None
    if answer is None or not answer.success:
        sys.exit(f"{client.srv_name}: {answer.message if answer else 'no answer'}")
    return answer


if __name__ == "__main__":
    main()
