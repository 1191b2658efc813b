#!/usr/bin/env python3
"""Processor time per message of a node as rclpy makes it, and of ours without QoS listeners.

    python benchmarks/node.py [--seconds 10] [--json]

Each has five subscriptions and three publishers, as the planner has, and a timer of 200 Hz. The
ratio is theirs by ours.
"""

import argparse
import json
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Float64

from whale_ros.nodes.lean_node import LeanNode

PARTS = 10


def ms_per_callback(kind: type[Node], seconds: float) -> float:
    """Processor milliseconds per callback of a new node."""
    node = kind(kind.__name__.lower())
    for number in range(5):
        node.create_subscription(Float64, f"in_{number}", lambda message: None, 1)
    for number in range(3):
        node.create_publisher(Float64, f"out_{number}", 1)
    calls: list[float] = []
    node.create_timer(0.005, lambda: calls.append(0.0))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin_once(timeout_sec=1.0)
    calls.clear()
    end, began = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    cost = 1000 * (time.process_time() - began) / len(calls)
    executor.shutdown()
    node.destroy_node()
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each (default 10)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rclpy.init()
    costs: dict[type[Node], list[float]] = {Node: [], LeanNode: []}
    for _ in range(PARTS):  # in turns, because a machine is not always equally fast
        for kind, values in costs.items():
            values.append(ms_per_callback(kind, arguments.seconds / PARTS))
    theirs, ours = (sorted(values)[PARTS // 2] for values in costs.values())
    rclpy.shutdown()
    result = {"node_ms": theirs, "lean_node_ms": ours, "ratio": theirs / ours}
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"rclpy's Node {theirs:.3f} ms, LeanNode {ours:.3f} ms per callback")
        print(f"ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
