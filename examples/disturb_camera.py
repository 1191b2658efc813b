"""Do to the simulated camera what happens to real ones, and see what the gate makes of it.

With sim_robot running, after `source scripts/env.sh`: `python examples/disturb_camera.py blackout`
"""

import argparse
import sys

import rclpy

from whale_ros.srv import Degrade


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", help="such as blackout, freeze, shift, light; see srv/Degrade.srv")
    parser.add_argument("--amount", type=float, default=0.0, help="of shift [m], light [factor]")
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    rclpy.init()
    node = rclpy.create_node("disturb_camera")
    client = node.create_client(Degrade, "sim_robot/degrade")
    if not client.wait_for_service(timeout_sec=10.0):
        sys.exit(f"nobody serves {client.srv_name}: is sim_robot running?")
    request = Degrade.Request(kind=options.kind, amount=options.amount, duration_s=options.seconds)
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=10.0)
    answer = future.result() if future.done() else None
    if answer is None or not answer.success:
        sys.exit(f"{client.srv_name}: {answer.message if answer else 'no answer'}")
    print(f"{answer.message}, for {options.seconds:g} s")


if __name__ == "__main__":
    main()
