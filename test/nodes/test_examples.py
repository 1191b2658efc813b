"""Examples as somebody would run them."""

import signal
from functools import partial

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile

from whale_ros.msg import GateStatus
from whale_ros.srv import Degrade, LoadCheckpoint

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SWAP, DISTURB = "../examples/swap_checkpoint.py", "../examples/disturb_camera.py"


@pytest.mark.parametrize("interrupted", [False, True])
def test_after_a_swap_the_gate_is_in_hold_however_it_ended(ros, start, tmp_path, interrupted):
    asked = []

    def load(request, response):
        asked.append(request.checkpoint)
        response.success, response.sha256 = True, "0123456789abcdef"
        return response

    ros.node.create_service(LoadCheckpoint, "world_model/load_checkpoint", load)
    start("gate", "--params-file", "config/gate.yaml", "--params-file", "config/robots/sim.yaml")
    statuses = ros.listen(GateStatus, "gate/status", LATCHED)
    ros.wait(lambda: statuses, "the gate")

    def modes():
        return [status.mode for status in statuses]

    arguments = [str(tmp_path), "--mode", "monitor_only"]
    arguments += ["--seconds", "60" if interrupted else "1"]
    # Whatever runs the tests may ignore SIGINT, which is inherited.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    swap = start(SWAP, arguments=arguments, preexec_fn=heeds)
    ros.wait(lambda: GateStatus.MODE_MONITOR_ONLY in modes(), "mode monitor_only", 60)
    assert asked == [str(tmp_path)]
    if interrupted:
        swap.send_signal(signal.SIGINT)
    ros.wait(lambda: swap.poll() is not None, "the end of the example", 60)
    assert swap.returncode == 0
    statuses.clear()
    ros.wait(lambda: statuses, "another status")
    assert set(modes()) == {GateStatus.MODE_HOLD}


@pytest.mark.parametrize(("kind", "ends_with"), [("blackout", 0), ("fog", 1)])
def test_the_camera_is_disturbed_as_asked_for_or_a_refusal_is_told(ros, start, kind, ends_with):
    asked = []

    def degrade(request, response):
        asked.append((request.kind, request.amount, request.duration_s))
        response.success, response.message = request.kind == "blackout", "told"
        return response

    ros.node.create_service(Degrade, "sim_robot/degrade", degrade)
    disturb = start(DISTURB, arguments=[kind, "--seconds", "2"])
    ros.wait(lambda: disturb.poll() is not None, "the end of the example", 60)
    assert asked == [(kind, 0.0, 2.0)] and disturb.returncode == ends_with
