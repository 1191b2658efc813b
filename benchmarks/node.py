#!/usr/bin/env python3
"""Processor time per message: of a node as rclpy makes it, of ours, and of ours that polls.

    python benchmarks/node.py [--seconds 10] [--json]

Each has five subscriptions and three publishers, as the planner has, and hears 200 messages a
second from a process of its own; who polls takes them 20 times a second. The ratios are rclpy's
time by ours.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Float64

from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.processes import isolate

PARTS = 5
RATE_HZ, POLL_S = 200, 0.05


def ms_per_message(way: str, seconds: float) -> float:
    """Processor milliseconds of a new node."""
    node = Node("node") if way == "node" else LeanNode("node")
    for number in range(1, 5):
        node.create_subscription(Float64, f"in_{number}", lambda message: None, 1)
    for number in range(3):
        node.create_publisher(Float64, f"out_{number}", 1)
    messages: list[Float64] = []
    if way == "polled":
        assert isinstance(node, LeanNode)
        node.poll(Float64, "in_0", messages.append, RATE_HZ)
        node.create_timer(POLL_S, node.take_polled)
    else:
        node.create_subscription(Float64, "in_0", messages.append, 1)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not messages:
        executor.spin_once(timeout_sec=0.1)
    messages.clear()
    end, began = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    cost = 1000 * (time.process_time() - began) / len(messages)
    executor.shutdown()
    node.destroy_node()
    return cost


def publish() -> None:
    node = rclpy.create_node("source")
    publisher = node.create_publisher(Float64, "in_0", 1)
    while rclpy.ok():
        with contextlib.suppress(RCLError):  # at the end
            publisher.publish(Float64())
        time.sleep(1 / RATE_HZ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each (default 10)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        rclpy.init()
        publish()
        return
    isolate()
    source = subprocess.Popen([sys.executable, __file__, "--publish"])
    rclpy.init()
    costs: dict[str, list[float]] = {"node": [], "lean": [], "polled": []}
    try:
        for _ in range(PARTS):  # in turns, because a machine is not always equally fast
            for way, values in costs.items():
                values.append(ms_per_message(way, arguments.seconds / PARTS))
    finally:
        source.terminate()
    rclpy.shutdown()
    theirs, ours, polled = (sorted(values)[PARTS // 2] for values in costs.values())
    result = {
        "node_ms": theirs,
        "lean_node_ms": ours,
        "polled_ms": polled,
        "ratio": theirs / ours,
        "ratio_polled": theirs / polled,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"a message: rclpy's Node {theirs:.3f} ms, ours {ours:.3f}, polled {polled:.3f}")
        print(f"ratio {theirs / ours:.2f}, polled {theirs / polled:.1f}")


if __name__ == "__main__":
    main()
