import pytest

from whale_ros.faults.catalogue import FAULTS
from whale_ros.faults.elsewhere import ELSEWHERE, ROWS

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

from whale_ros.nodes.fault_run import PHASES


def test_every_row_of_the_matrix_is_injected():
    on_the_system = {fault.row for phase in PHASES for fault in phase.faults}
    on_the_core = {fault.row for fault in FAULTS}
    assert set(ROWS) - on_the_system - on_the_core == set()
    assert on_the_core - {22, 38, "contract 2", "contract 4"} <= on_the_system | {9}
    assert {each.row for each in ELSEWHERE} <= set(ROWS)
