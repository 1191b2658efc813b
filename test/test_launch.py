"""The launch file, with the real launch packages; PyPI has none, so often they are absent."""

import re
from pathlib import Path

import pytest

LAUNCH_FILE = Path(__file__).resolve().parents[1] / "launch" / "planner.launch.py"

try:
    import launch_ros.actions
    from launch import LaunchContext
    from launch.actions import OpaqueFunction
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
except ImportError as missing:
    pytest.skip(
        f"THE LAUNCH FILES ARE NOT TESTED HERE: {missing}. "
        "They need a sourced ROS distribution (ros-<distro>-launch-ros).",
        allow_module_level=True,
    )

pytestmark = pytest.mark.ros


@pytest.fixture
def description():
    return get_launch_description_from_python_launch_file(str(LAUNCH_FILE))


def start(description, **given: str) -> list[launch_ros.actions.Node]:
    context = LaunchContext(argv=[])
    context.launch_configurations.update(given)
    for argument in description.get_launch_arguments():
        argument.visit(context)
    (opaque,) = (e for e in description.entities if isinstance(e, OpaqueFunction))
    return opaque.execute(context)


def executables(nodes) -> set[str]:
    return {node.node_executable for node in nodes}


def test_every_argument_is_described_in_a_sentence(description):
    arguments = {a.name: a.description for a in description.get_launch_arguments()}
    assert {"sim", "robot", "checkpoint", "camera_topic", "pose_topic"} <= set(arguments)
    for name, text in arguments.items():
        assert re.match(r"[A-Za-z].{20,}\.( |$)", text), f"{name}: {text}"


def test_with_sim_the_arm_and_a_policy_start_too(description):
    real = executables(start(description, robot="sim"))
    assert real == {"gate", "world_model", "planner"}
    assert executables(start(description, sim="true")) == real | {"sim_robot", "scripted_policy"}


@pytest.mark.parametrize("robot", ["", "toaster"])
def test_a_robot_that_is_unknown_or_not_named_gets_the_list_of_known_ones(description, robot):
    with pytest.raises(RuntimeError, match=r"robot.*Known: .*sim") as error:
        start(description, robot=robot)
    assert repr(robot) in str(error.value) or not robot


@pytest.mark.parametrize(
    ("name", "value"), [("sim", "perhaps"), ("command_type", "joints"), ("log_level", "loud")]
)
def test_an_argument_outside_its_choices_is_refused_by_name(description, name, value):
    with pytest.raises(RuntimeError, match=f"{name}(.|\n)*{value}|{value}(.|\n)*{name}"):
        start(description, **{name: value})


def test_a_namespace_reaches_every_node(description):
    for node in start(description, sim="true", namespace="left"):
        context = LaunchContext(argv=[])
        node._perform_substitutions(context)
        assert node.expanded_node_namespace == "/left"


def test_every_node_has_its_parameter_file(description):
    config = LAUNCH_FILE.parents[1] / "config"
    for name in executables(start(description, sim="true")):
        assert (config / f"{name}.yaml").is_file()
