"""Have a running system judge two motions that are not executed: a straight one, and a wild one.

With world_model and planner running: `source scripts/env.sh && python examples/screen_actions.py`
"""

import sys

import numpy as np
import rclpy

from whale_ros.msg import ActionSequence
from whale_ros.srv import ScreenActions

STEPS, STEP_S = 8, 0.2
SPACE = "base_twist/7/0.2s/0.05m/0.1rad"  # of the robot; a refusal names the one it expects


def main() -> None:
    straight = np.zeros((STEPS, 7))  # dx dy dz [m], rx ry rz [rad], gripper [0 open .. 1 closed]
    straight[:, 1] = 0.01
    wild = np.zeros((STEPS, 7))
    wild[:, :3] = np.random.default_rng(0).choice([-0.028, 0.028], (STEPS, 3))

    rclpy.init()
    node = rclpy.create_node("screen_actions")
    client = node.create_client(ScreenActions, "planner/screen_actions")
    if not client.wait_for_service(timeout_sec=10.0):
        sys.exit(f"nobody serves {client.srv_name}: is the planner running?")
    request = ScreenActions.Request()
    request.candidate_set.source = "example"
    request.candidate_set.candidates = [message("straight", straight), message("wild", wild)]
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
    answer = future.result() if future.done() else None
    if answer is None:
        sys.exit("no answer")
    if not answer.success:
        sys.exit(f"refused: {answer.message}")
    if answer.message:
        print(answer.message)
    for prediction, verdict in zip(answer.predictions, answer.verdicts, strict=True):
        print(f"{prediction.candidate_id:9} uncertainty {prediction.uncertainty:.3f}  {verdict}")
    print(f"threshold {answer.threshold:.3f}, answered in {answer.latency_s:.2f} s")


def message(name: str, actions: np.ndarray) -> ActionSequence:
    """Of (H, 7) actions, to begin now."""
    sequence = ActionSequence(id=name, action_space=SPACE, horizon=len(actions), dim=7)
    sequence.header.frame_id = "base"  # its stamp is 0 and means now
    sequence.step_duration.nanosec = int(STEP_S * 1e9)
    sequence.actions = actions.astype(np.float32).ravel().tolist()
    return sequence


if __name__ == "__main__":
    main()
