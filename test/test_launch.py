"""The launch file, with the real launch packages; PyPI has none, so often they are absent."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

LAUNCH_FILE = Path(__file__).resolve().parents[1] / "launch" / "planner.launch.py"

try:
    import launch_ros.actions
    from launch import LaunchContext, LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler
    from launch.event_handlers import OnProcessExit, OnProcessStart
    from launch.launch_description_sources import (
        PythonLaunchDescriptionSource,
        get_launch_description_from_python_launch_file,
    )
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
    return [a for a in opaque.execute(context) if isinstance(a, launch_ros.actions.Node)]


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


def test_every_node_is_in_an_enclave_of_its_own(description):
    policy = (LAUNCH_FILE.parents[1] / "config/sros2/policy.xml").read_text()
    for node in start(description, sim="true"):
        words = ["".join(getattr(part, "text", "") for part in word) for word in node.cmd]
        enclave = words[words.index("--enclave") + 1]
        assert enclave == f"/whale_ros/{node.node_executable}"
        assert f'<enclave path="{enclave}">' in policy


def test_every_node_has_its_parameter_file(description):
    config = LAUNCH_FILE.parents[1] / "config"
    for name in executables(start(description, sim="true")):
        assert (config / f"{name}.yaml").is_file()


def test_who_dies_is_started_again_but_who_refuses_its_configuration_is_not(monkeypatch):
    from whale_ros.nodes.domain import take_domain

    domain, lock = take_domain(range(20, 100))
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    starts: list[str] = []
    ends: list[tuple[str, int]] = []

    def on_start(event, _context):
        name = event.action.node_executable
        starts.append(name)
        if name == "gate" and starts.count("gate") == 1:
            os.kill(event.pid, signal.SIGKILL)

    def on_exit(event, _context):
        ends.append((event.action.node_executable, event.returncode))

    async def run() -> None:
        arguments = {"robot": "sim", "checkpoint": "/nowhere"}
        source = PythonLaunchDescriptionSource(str(LAUNCH_FILE))
        service = LaunchService(noninteractive=True)
        service.include_launch_description(
            LaunchDescription(
                [
                    RegisterEventHandler(OnProcessStart(on_start=on_start)),
                    RegisterEventHandler(OnProcessExit(on_exit=on_exit)),
                    IncludeLaunchDescription(source, launch_arguments=arguments.items()),
                ]
            )
        )
        running = asyncio.ensure_future(service.run_async())
        while ("world_model", os.EX_CONFIG) not in ends or starts.count("gate") < 2:
            await asyncio.sleep(0.1)
            assert not running.done()
        await asyncio.sleep(4.0)  # longer than any node is waited for
        await service.shutdown()
        await running

    asyncio.run(asyncio.wait_for(run(), 60))
    os.close(lock)
    assert starts.count("world_model") == 1
    assert starts.count("gate") == 2
