"""Examples as somebody would run them."""

import signal
from functools import partial

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile

from whale_ros.msg import GateStatus
from whale_ros.srv import LoadCheckpoint

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SWAP = "../examples/swap_checkpoint.py"


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
