"""Every file in config/robots: each node accepts what it knows of it, and a page tells of it."""

from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")

from whale_ros.nodes import (
    demo_recorder,
    demonstrator,
    gate,
    planner,
    scripted_policy,
    sim_robot,
    world_model,
)

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "config/robots").glob("*.yaml"))
ROBOTS = [path.stem for path in FILES]
NODES = (gate, planner, world_model, sim_robot, scripted_policy, demo_recorder, demonstrator)
SIMULATED = ("sim", "bench")

# What differs between arms and must not be left at the defaults of the built-in one.
NEEDED = {
    "camera_topic", "pose_topic", "command_topic", "command_type", "gripper_command_topic",
    "camera_period_s", "image_width", "image_height", "base_frame", "action_step_s",
    "action_max_translation_m", "action_max_rotation_rad", "start_mode", "workspace_low",
    "workspace_high", "workspace_margin_m", "max_linear_speed", "max_angular_speed",
    "max_linear_acceleration", "max_angular_acceleration", "pose_timeout_s",
}  # fmt: skip


def values_of(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["/**"]["ros__parameters"]


@pytest.fixture(params=FILES, ids=ROBOTS)
def robot(request) -> tuple[str, dict]:
    """Name and values."""
    return request.param.stem, values_of(request.param)


@pytest.fixture
def gate_values(robot) -> dict:
    """What the gate has after config/gate.yaml and the robot's file."""
    given = {**values_of(ROOT / "config/gate.yaml"), **robot[1]}
    return {row.name: row.check(given.get(row.name, row.default)) for row in gate.PARAMETERS}


def test_there_are_the_arms_that_the_documentation_names():
    assert {"sim", "bench", "ur", "franka", "xarm", "kortex", "so101"} <= set(ROBOTS)


def test_no_file_names_a_task_for_every_node(robot):
    # The world model's `task` is one that it was calibrated for: with another it trusts nothing.
    assert "task" not in robot[1]


def test_every_key_is_a_parameter_of_some_node(robot):
    known = {row.name for node in NODES for row in node.PARAMETERS}
    assert set(robot[1]) <= known


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__.rsplit(".", 1)[-1])
def test_every_node_accepts_the_values_that_it_knows(robot, node):
    for row in node.PARAMETERS:
        if row.name in robot[1]:
            row.check(robot[1][row.name])


def test_nothing_that_differs_between_arms_is_left_out(robot):
    assert set(robot[1]) >= NEEDED


def test_the_gate_accepts_the_file_as_a_whole(robot, gate_values):
    config = gate.gate_config(gate_values)
    assert config.frame == robot[1]["base_frame"]
    assert list(config.workspace_low) == robot[1]["workspace_low"]


def test_no_allowed_action_is_faster_than_the_gate_lets_pass(robot, gate_values):
    step_s = gate_values["action_step_s"]
    for action, speed in (
        ("action_max_translation_m", "max_linear_speed"),
        ("action_max_rotation_rad", "max_angular_speed"),
    ):
        assert gate_values[action] <= gate_values[speed] * step_s + 1e-9, (action, speed)


def test_only_simulated_arms_move_without_being_armed(robot):
    name, values = robot
    assert values["start_mode"] == ("gate" if name in SIMULATED else "hold")


def test_real_arms_are_slow_at_first(robot):
    name, values = robot
    if name not in SIMULATED:
        assert values["max_linear_speed"] <= 0.1 and values["max_angular_speed"] <= 0.2


def test_no_real_arm_is_without_an_e_stop_by_oversight(robot):
    name, values = robot
    if name not in SIMULATED:
        assert values["estop_topic"] == ""
        line = (ROOT / f"config/robots/{name}.yaml").read_text().split("estop_topic")[1]
        assert "CHANGE" in line.splitlines()[0] and "std_msgs/Bool" in line.splitlines()[0]
    assert "estop_topic" in (ROOT / "docs/robots/README.md").read_text()


def test_every_arm_has_a_page_that_the_overview_links(robot):
    name, values = robot
    page = (ROOT / f"docs/robots/{name}.md").read_text()
    assert f"]({name}.md)" in (ROOT / "docs/robots/README.md").read_text()
    assert values["command_topic"] in page and values["pose_topic"] in page
    assert len(page.splitlines()) < 90


def test_pages_of_real_arms_say_that_nothing_was_tried_and_how_to_arm(robot):
    name, _ = robot
    page = (ROOT / f"docs/robots/{name}.md").read_text()
    if name not in SIMULATED:
        assert "**Nothing on this page was tried by us on a real arm.**" in page[:200]
        for step in (
            f"planner.launch.py robot:={name}",
            "/gate/set_mode",
            "## 4. If the gate dies",
        ):
            assert step in page
