"""Plan with the world model on one arm: `ros2 launch whale_ros planner.launch.py sim:=true`.

Parameters come from config/<node>.yaml, then config/robots/<robot>.yaml, then the arguments here
that are not empty; the later one counts.
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ShutdownProcess
from launch_ros.actions import Node

CONFIG = Path(get_package_share_directory("whale_ros")) / "config"

# These carry the name of the parameter that they set, in every node that has it.
PARAMETERS = {
    "checkpoint": "Folder of a world model, as `whale train` writes it. Empty: the shipped one.",
    "calibration": "File that `whale calibrate` wrote. Empty: calibration.json of the checkpoint.",
    "camera_topic": "sensor_msgs/Image of the camera. Empty: as in the robot's file.",
    "pose_topic": "geometry_msgs/PoseStamped of the end effector. Empty: as in the robot's file.",
    "gripper_command_topic": "std_msgs/Float64, 0 open .. 1 closed. Empty: as in the robot's file.",
    "command_topic": "Where the gate commands the arm. Empty: as in the robot's file.",
}


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "sim",
                default_value="false",
                choices=["true", "false"],
                description="Also start the simulated arm and a scripted policy that proposes.",
            ),
            DeclareLaunchArgument(
                "robot",
                default_value="",
                description="The arm, a file in config/robots. "
                f"Known: {', '.join(known_robots())}. Empty: sim with sim:=true, else an error.",
            ),
            *(
                DeclareLaunchArgument(name, default_value="", description=description)
                for name, description in PARAMETERS.items()
            ),
            DeclareLaunchArgument(
                "command_type",
                default_value="",
                choices=["", "twist", "pose"],
                description="Command the arm by TwistStamped or by PoseStamped. "
                "Empty: as in the robot's file.",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="false",
                choices=["true", "false"],
                description="Take the time from /clock. It must come 50 times a second or more: "
                "the gate takes less for jumps.",
            ),
            DeclareLaunchArgument(
                "namespace",
                default_value="",
                description="Put before the names of all nodes and topics, for several arms.",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error"],
                description="Least severity that the nodes print.",
            ),
            OpaqueFunction(function=start_nodes),
        ]
    )


def start_nodes(context) -> list[Action]:
    """Raises RuntimeError that lists the known robots if the one asked for is unknown."""
    arguments = context.launch_configurations
    sim = arguments["sim"] == "true"
    robot = arguments["robot"] or ("sim" if sim else "")
    if robot not in known_robots():
        what = (
            f"unknown robot {robot!r}" if robot else "which robot? Give robot:=<name>, or sim:=true"
        )
        raise RuntimeError(
            f"{what}. Known: {', '.join(known_robots())} (files in {CONFIG / 'robots'})"
        )

    given = {name: arguments[name] for name in [*PARAMETERS, "command_type"] if arguments[name]}
    given["use_sim_time"] = arguments["use_sim_time"] == "true"
    nodes = ["gate", "world_model", "planner"]
    if sim:
        nodes += ["sim_robot", "scripted_policy"]
    actions: list[Action] = []
    for name in nodes:
        node = Node(
            package="whale_ros",
            executable=name,
            name=name,
            namespace=arguments["namespace"],
            parameters=[
                str(CONFIG / f"{name}.yaml"),
                str(CONFIG / "robots" / f"{robot}.yaml"),
                given,
            ],
            # Counts only where ROS_SECURITY_ENABLE is true, see docs/safety.md.
            arguments=[
                *("--ros-args", "--log-level", arguments["log_level"]),
                *("--enclave", f"/whale_ros/{name}"),
            ],
            output="screen",
            # All start from hold. The gate returns first: an arm without a dead-man of its own
            # repeats its last command until it hears zeros.
            respawn=True,
            respawn_delay=0.2 if name == "gate" else 3.0,
        )
        actions += [respawn_unless_refused(node, name), node]
    return actions


def respawn_unless_refused(node: Node, name: str) -> RegisterEventHandler:
    """A node that refuses its configuration would do so again."""

    def on_exit(event, _context) -> list[Action]:
        if event.returncode != os.EX_CONFIG:
            return []
        why = f"{name} refused its configuration and is not started again: correct it and launch"
        stay_down = ShutdownProcess(process_matcher=matches_action(node))
        return [EmitEvent(event=stay_down), LogInfo(msg=f"{why} again. The reason is above.")]

    return RegisterEventHandler(OnProcessExit(target_action=node, on_exit=on_exit))


def known_robots() -> list[str]:
    return sorted(path.stem for path in (CONFIG / "robots").glob("*.yaml"))
