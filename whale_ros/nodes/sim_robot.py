"""The simulated arm as a robot: the topics of a camera and of an arm's driver.

Physics and rendering have a thread each, so that neither waits for ROS or for the other.
"""

from __future__ import annotations

import copy
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Duration, Time
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64

from whale_ros.actions.space import ActionSpace
from whale_ros.msg import SimState
from whale_ros.nodes.images import from_array
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, Parameter, declare, refuse
from whale_ros.sim.arm import STEP_S, TASKS
from whale_ros.sim.faults import CameraFaults
from whale_ros.sim.goal import photograph_goal
from whale_ros.sim.realtime import RealTimeArm
from whale_ros.sim.robots import ROBOTS
from whale_ros.srv import Degrade, ResetTask

PARAMETERS = (
    Parameter("embodiment", "sawyer", "Arm and scene.", choices=tuple(ROBOTS), read_only=True),
    Parameter(
        "task",
        TASKS[0],
        "Task at the start.",
        choices=tuple(task for robot in ROBOTS.values() for task in robot.tasks),
    ),
    Parameter("seed", 0, "Places objects and goal at the start.", range=(0, 2**31 - 1)),
    Parameter("camera_rate_hz", 10.0, "Pictures per second.", range=(1.0, 20.0), read_only=True),
    Parameter("pose_rate_hz", 40.0, "Poses per second.", range=(5.0, 80.0), read_only=True),
    Parameter(
        "command_timeout_s",
        0.1,
        "Without a newer command for so long, the arm stands still.",
        range=(0.02, 1.0),
        read_only=True,
    ),
    Parameter(
        "command_type",
        "twist",
        "Commands are TwistStamped or PoseStamped.",
        choices=("twist", "pose"),
        read_only=True,
    ),
    Parameter("base_frame", "base", "Frame of poses and commands.", read_only=True),
    Parameter("camera_frame", "camera", "Frame of the pictures.", read_only=True),
    Parameter("camera_topic", "camera/image", "Image, out.", read_only=True),
    Parameter("pose_topic", "ee_pose", "PoseStamped of the end effector, out.", read_only=True),
    Parameter("gripper_topic", "gripper/state", "JointState, out.", read_only=True),
    Parameter("goal_topic", "goal_image", "Image of the finished task, out.", read_only=True),
    Parameter("command_topic", "arm/twist_command", "Command of the arm, in.", read_only=True),
    Parameter(
        "gripper_command_topic",
        "gripper/command",
        "Float64, 0 open .. 1 closed, in.",
        read_only=True,
    ),
)


def why_refused(values: dict) -> str | None:
    """Say what is wrong between the parameters, or None."""
    embodiment, task = values["embodiment"], values["task"]
    known = ROBOTS[embodiment].tasks
    if task not in known:
        return f"task {task!r} is not of embodiment {embodiment!r}; known: {', '.join(known)}"
    return None


BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SimRobot(LeanNode):
    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("sim_robot")
        self._values = values = declare(self, PARAMETERS, why_refused)
        self._camera_every = round(1 / (values["camera_rate_hz"] * STEP_S))
        self._pose_every = round(1 / (values["pose_rate_hz"] * STEP_S))
        robot = ROBOTS[values["embodiment"]]
        self._robot = RealTimeArm(robot.arm(), values["command_timeout_s"])
        self._goal_arm = robot.arm()  # used by the executor's thread only, like its OpenGL context
        self._faults = CameraFaults()
        self._frames: queue.Queue = queue.Queue(maxsize=1)
        self._episode = 0
        self._contact_force = 0.0  # largest since the last state was published [N]

        self._images = self.create_publisher(Image, values["camera_topic"], BEST_EFFORT)
        self._poses = self.create_publisher(PoseStamped, values["pose_topic"], BEST_EFFORT)
        self._grippers = self.create_publisher(JointState, values["gripper_topic"], BEST_EFFORT)
        self._states = self.create_publisher(SimState, "~/state", 1)
        self._goals = self.create_publisher(Image, values["goal_topic"], LATCHED)
        if values["command_type"] == "twist":
            self.poll(TwistStamped, values["command_topic"], self._on_twist, 1)
        else:
            self.poll(PoseStamped, values["command_topic"], self._on_pose, 1)
        self.poll(Float64, values["gripper_command_topic"], self._on_gripper, 1)
        self.create_service(ResetTask, "~/reset_task", self._on_reset_task)
        self.create_service(Degrade, "~/degrade", self._on_degrade)

        self.get_logger().info(self._begin(values["task"], values["seed"]))
        self._running = True
        self.failed = False
        self._threads = [
            threading.Thread(target=self._watched, args=(work,), name=work.__name__)
            for work in (self._run_physics, self._run_camera)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._running = False
        for thread in self._threads:
            thread.join()
        self._goal_arm.close()
        self.destroy_node()

    # Physics thread

    def _run_physics(self) -> None:
        self._robot.run(self._after_step, self._is_running)

    def _after_step(self, count: int) -> None:
        self.take_polled()
        self._contact_force = max(self._contact_force, self._robot.arm.contact_force)
        picture_due = count % self._camera_every == 0
        if not picture_due and count % self._pose_every:
            return
        with self._robot.lock:  # one moment, also when a reset comes in between
            # Steps that catch up after a stall belong to the past, one after the other.
            age_s = time.monotonic() - self._robot.state_at_s
            now = self.get_clock().now()  # zero before the first /clock
            stamp = now - min(Duration(seconds=age_s), Duration(nanoseconds=now.nanoseconds))
            arm = self._robot.arm
            pose, gripper = self._pose(stamp), self._gripper(stamp)
            if picture_due:
                state = self._state(stamp)
                frame = (arm.camera, copy.copy(arm.data), stamp)
        if count % self._pose_every == 0:
            self._poses.publish(pose)
            self._grippers.publish(gripper)
        if picture_due:
            self._states.publish(state)
            self._contact_force = 0.0
            if not self._frames.full():  # else rendering is behind, and this picture is lost
                self._frames.put(frame)

    def _pose(self, stamp: Time) -> PoseStamped:
        message = PoseStamped()
        message.header.stamp = stamp.to_msg()
        message.header.frame_id = self._values["base_frame"]
        at, turn = message.pose.position, message.pose.orientation
        at.x, at.y, at.z = map(float, self._robot.arm.hand_position)
        turn.w, turn.x, turn.y, turn.z = map(float, self._robot.arm.hand_quaternion)
        return message

    def _gripper(self, stamp: Time) -> JointState:
        message = JointState(name=["gripper"])
        message.header.stamp = stamp.to_msg()
        message.position = [1.0 - float(np.clip(self._robot.arm.gripper_opening, 0, 1))]
        return message

    def _state(self, stamp: Time) -> SimState:
        arm = self._robot.arm
        message = SimState(
            task=arm.task,
            seed=arm.seed,
            episode=self._episode,
            success=arm.success,
            progress=arm.progress,
            contact_force=self._contact_force,
            observation=arm.observation.astype(float).tolist(),
        )
        message.header.stamp = stamp.to_msg()
        message.header.frame_id = self._values["base_frame"]
        return message

    # Camera thread

    def _run_camera(self) -> None:
        while self._is_running():
            try:
                camera, data, stamp = self._frames.get(timeout=0.1)
            except queue.Empty:
                continue
            image = self._faults.look(camera, data)
            if image is not None:
                self._images.publish(self._image(image, stamp))
        self._robot.arm.close()

    def _image(self, image: np.ndarray, stamp: Time) -> Image:
        message = from_array(image, "rgb8")
        message.header.stamp = stamp.to_msg()
        message.header.frame_id = self._values["camera_frame"]
        return message

    # Commands, in the physics thread too

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        twist = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
        if self._accepts(message.header, twist):
            self._robot.drive(twist)

    def _on_pose(self, message: PoseStamped) -> None:
        at, turn = message.pose.position, message.pose.orientation
        position = np.array([at.x, at.y, at.z])
        quaternion = np.array([turn.w, turn.x, turn.y, turn.z])
        if abs(np.linalg.norm(quaternion) - 1) > 0.01:
            self._ignore(f"a quaternion {quaternion.tolist()} (w, x, y, z), which is not unit")
        elif self._accepts(message.header, position):
            self._robot.approach(position, quaternion)

    def _accepts(self, header, numbers: np.ndarray) -> bool:
        frame, timeout_s = self._values["base_frame"], self._values["command_timeout_s"]
        age_s = (self.get_clock().now() - Time.from_msg(header.stamp)).nanoseconds / 1e9
        if header.frame_id != frame:
            self._ignore(f"the frame {header.frame_id!r}, expected {frame!r}")
        elif not np.isfinite(numbers).all():
            self._ignore(f"numbers that are not finite: {numbers.tolist()}")
        elif abs(age_s) > timeout_s:
            self._ignore(f"a stamp {age_s:.3f} s old, at most {timeout_s:g} s is allowed")
        else:
            return True
        return False

    def _on_gripper(self, message: Float64) -> None:
        if np.isfinite(message.data):
            self._robot.grip(message.data)
        else:
            self._ignore(f"a gripper command of {message.data}")

    def _ignore(self, what: str) -> None:
        self.get_logger().warning(f"ignored a command with {what}", throttle_duration_sec=2.0)

    # Executor's thread

    def _on_reset_task(self, request, response):
        try:
            response.message = self._begin(request.task, request.seed)
            response.success = True
        except ValueError as error:
            response.message = str(error)
        self.get_logger().info(f"reset_task: {response.message}")
        return response

    def _begin(self, task: str, seed: int) -> str:
        """Reset arm and goal picture; say what was done. Raises ValueError."""
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}, allowed 0 .. {2**32 - 1}")
        self._robot.reset(task, seed)
        self._contact_force = 0.0
        self._episode += 1
        goal = photograph_goal(self._goal_arm, task, seed, ActionSpace())
        if goal is None:
            return f"{task} with seed {seed}; no goal image, the expert failed"
        self._goals.publish(self._image(goal, self.get_clock().now()))
        return f"{task} with seed {seed}"

    def _on_degrade(self, request, response):
        try:
            response.message = self._disturb(request.kind, request.amount, request.duration_s)
            response.success = True
        except ValueError as error:
            response.message = str(error)
        self.get_logger().info(f"degrade: {response.message}")
        return response

    def _disturb(self, kind: str, amount: float, duration_s: float) -> str:
        """Begin or end a fault; say what was done. Raises ValueError."""
        if kind == "intruder":
            self._robot.put_in_the_way(amount)
            return f"a box of {amount:g} m is in the hand's way"
        self._faults.begin(kind, amount, duration_s)
        if kind == "none":
            self._robot.clear_the_way()
        return f"camera fault: {kind}"

    # Threads

    def _is_running(self) -> bool:
        return self._running and self.context.ok()

    def _watched(self, work: Callable[[], None]) -> None:
        """A robot with half of its threads must not look alive."""
        try:
            work()
        except Exception:
            if self._is_running():  # else a message was published while ROS shut down
                self.failed = True
                print(traceback.format_exc(), file=sys.stderr)
                self.context.try_shutdown()


def main() -> None:
    rclpy.init()
    try:
        node = SimRobot()
    except BadParameter as error:
        refuse("sim_robot", error)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        rclpy.try_shutdown()
    sys.exit(1 if node.failed else 0)
