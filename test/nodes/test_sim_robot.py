"""The simulated robot as a process: what a camera, an arm and their driver do, over DDS."""

import signal
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from whale_ros.data.images import to_rgb
from whale_ros.msg import SimState
from whale_ros.srv import Degrade, ResetTask

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TIMEOUT_S = 0.1


class Robot:
    """The other end of the robot's topics."""

    def __init__(self, ros, command_type="twist"):
        self.ros = ros
        self.images = ros.listen(Image, "camera/image", qos_profile_sensor_data)
        self.goals = ros.listen(Image, "goal_image", LATCHED)
        self.states = ros.listen(SimState, "sim_robot/state")
        self.poses = ros.listen(PoseStamped, "ee_pose", qos_profile_sensor_data)
        kind = TwistStamped if command_type == "twist" else PoseStamped
        self.commands = ros.node.create_publisher(kind, "arm/twist_command", 1)
        self.grippers = ros.node.create_publisher(Float64, "gripper/command", 1)
        ros.wait(lambda: self.images and self.poses, "pictures and poses")
        ros.wait(self.commands.get_subscription_count, "the robot to listen")

    @property
    def position(self):
        p = self.next(self.poses).pose.position
        return np.array([p.x, p.y, p.z])

    def next(self, seen):
        """The next message of a topic."""
        seen.clear()
        self.ros.wait(lambda: seen, "the next message", 5.0)
        return seen[-1]

    def reset(self, task="reach-v3", seed=0):
        return self.ros.call(
            ResetTask, "sim_robot/reset_task", ResetTask.Request(task=task, seed=seed)
        )

    def degrade(self, kind, amount=0.0, duration_s=0.0):
        request = Degrade.Request(kind=kind, amount=amount, duration_s=duration_s)
        return self.ros.call(Degrade, "sim_robot/degrade", request)

    def twist(self, z, frame="base", age_s=0.0):
        message = TwistStamped()
        now = self.ros.node.get_clock().now().nanoseconds
        message.header.stamp = Time(nanoseconds=now - int(age_s * 1e9)).to_msg()
        message.header.frame_id = frame
        message.twist.linear.z = z
        self.commands.publish(message)

    def keep(self, command, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            command()
            self.ros.spin(0.02)


@pytest.fixture
def robot(ros, start):
    start("sim_robot", "--params-file", "config/sim_robot.yaml")
    return Robot(ros)


def stamp_s(message):
    return Time.from_msg(message.header.stamp).nanoseconds / 1e9


def test_pictures_poses_and_states_come_with_stamps_that_go_on_with_time(robot):
    for seen in (robot.images, robot.poses, robot.states):
        seen.clear()
    robot.ros.spin(2.0)
    now = robot.ros.node.get_clock().now().nanoseconds / 1e9
    for seen, rate_hz, frame in (
        (robot.images, 10, "camera"),
        (robot.states, 10, "base"),
        (robot.poses, 40, "base"),
    ):
        stamps = [stamp_s(message) for message in seen]
        assert seen[-1].header.frame_id == frame
        assert (np.diff(stamps) > 0).all() and now - 2.5 < stamps[0] < stamps[-1] < now
        assert 0.5 * rate_hz < (len(stamps) - 1) / (stamps[-1] - stamps[0]) < 1.2 * rate_hz
    assert {stamp_s(m) for m in robot.images} & {stamp_s(m) for m in robot.states}
    assert to_rgb(robot.images[-1]).shape == (128, 128, 3)


def test_it_follows_a_twist_and_stops_by_itself_when_commands_stop(robot):
    before = robot.position
    began = time.monotonic()
    robot.keep(lambda: robot.twist(0.1), 1.0)
    commanded = 0.1 * (time.monotonic() - began)
    robot.ros.spin(TIMEOUT_S + 0.5)
    moved = robot.position - before
    assert abs(moved[2] - commanded) < 0.1 * TIMEOUT_S + 0.025
    assert np.linalg.norm(moved[:2]) < 0.01
    rest = robot.position
    robot.ros.spin(0.3)
    assert np.linalg.norm(robot.position - rest) < 1e-3


def test_commands_that_are_stale_not_finite_or_in_another_frame_do_not_move_it(robot):
    before = robot.position
    robot.keep(lambda: robot.twist(0.1, frame="world"), 0.5)
    robot.keep(lambda: robot.twist(float("nan")), 0.5)
    robot.keep(lambda: robot.twist(0.1, age_s=1.0), 0.5)
    robot.keep(lambda: robot.grippers.publish(Float64(data=float("nan"))), 0.1)
    assert np.linalg.norm(robot.position - before) < 0.01
    robot.keep(lambda: robot.twist(0.1), 0.5)
    assert (robot.position - before)[2] > 0.02


def test_it_goes_to_a_commanded_pose_when_told_to_take_poses(ros, start):
    start("sim_robot", "-p", "command_type:=pose")
    robot = Robot(ros, "pose")
    target = robot.next(robot.poses)
    target.pose.position.x += 0.06

    def command():
        target.header.stamp = ros.node.get_clock().now().to_msg()
        robot.commands.publish(target)

    robot.keep(command, 2.0)
    goal = target.pose.position
    np.testing.assert_allclose(robot.position, [goal.x, goal.y, goal.z], atol=8e-3)


def test_a_reset_shows_the_same_scene_for_the_same_seed_and_its_goal(robot):
    scenes, goals = [], []
    for seed in (5, 6, 5):
        robot.goals.clear()
        assert robot.reset("push-v3", seed).success
        goals.append(robot.ros.wait(lambda: robot.goals, "a goal image")[-1])
        state = robot.next(robot.states)
        assert (state.task, state.seed) == ("push-v3", seed)
        scenes.append(np.array(state.observation)[4:7])
    np.testing.assert_allclose(scenes[0], scenes[2], atol=1e-3)
    assert np.linalg.norm(scenes[0] - scenes[1]) > 0.01
    assert goals[0].data == goals[2].data != goals[1].data


def test_an_unknown_task_is_refused_by_name_and_the_robot_goes_on(robot):
    response = robot.reset("juggle-v3")
    assert not response.success
    assert "juggle-v3" in response.message and "push-v3" in response.message
    assert robot.next(robot.states).task == "reach-v3"


def test_the_camera_degrades_on_request_and_recovers(robot):
    def picture():
        robot.next(robot.images)
        return to_rgb(robot.next(robot.images)).astype(int)

    clean = picture()
    assert robot.degrade("blackout").success
    assert not picture().any()
    assert robot.degrade("light", 0.3).success
    assert picture().mean() < 0.7 * clean.mean()
    assert robot.degrade("none").success
    assert np.abs(picture() - clean).mean() < 2

    assert robot.degrade("stop", duration_s=1.5).success
    robot.ros.spin(0.3)
    robot.images.clear()
    robot.ros.spin(0.5)
    assert not robot.images
    robot.next(robot.images)  # it recovered by itself

    assert robot.degrade("freeze").success
    frozen = picture()
    robot.keep(lambda: robot.twist(0.1), 0.8)
    assert np.array_equal(picture(), frozen)


def test_an_unknown_fault_is_refused_with_the_known_ones(robot):
    response = robot.degrade("smear")
    assert not response.success
    assert "smear" in response.message and "blackout" in response.message


def test_a_robot_that_stalls_before_simulated_time_has_begun_goes_on(ros, start):
    process = start("sim_robot", "-p", "use_sim_time:=true")
    robot = Robot(ros)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)  # its steps are of a time before the first that there is
    process.send_signal(signal.SIGCONT)
    robot.poses.clear()
    ros.wait(lambda: len(robot.poses) > 20, "poses after the stall")
    stamp = robot.poses[-1].header.stamp
    assert (stamp.sec, stamp.nanosec) == (0, 0) and process.poll() is None


def test_it_says_in_one_line_which_parameter_is_wrong(start):
    process = start("sim_robot", "-p", "task:=juggle-v3", stderr=-1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "task" in errors and "juggle-v3" in errors and "push-v3" in errors
    assert "Traceback" not in errors


def test_a_box_in_the_way_stops_the_hand_says_how_hard_it_was_hit_and_goes_again(robot):
    def picture():
        robot.next(robot.images)
        return to_rgb(robot.next(robot.images)).astype(int)

    assert robot.reset("push-v3", 3).success
    clean = picture()
    assert robot.next(robot.states).contact_force == 0.0
    response = robot.degrade("intruder", 0.06)
    assert response.success, response.message
    assert (np.abs(picture() - clean).max(axis=2) > 30).mean() > 0.002
    robot.states.clear()
    robot.keep(lambda: robot.twist(-0.1), 2.0)
    assert max(state.contact_force for state in robot.states) > 30
    robot.keep(lambda: robot.twist(0.1), 2.0)
    assert robot.degrade("none").success
    robot.next(robot.states)
    assert robot.next(robot.states).contact_force == 0.0
    assert not robot.degrade("intruder", 3.0).success


def test_another_embodiment_has_the_same_topics_its_own_tasks_and_follows_commands(ros, start):
    files = ("config/sim_robot.yaml", "config/robots/bench.yaml")
    start("sim_robot", *(word for file in files for word in ("--params-file", file)))
    robot = Robot(ros)
    robot.keep(lambda: robot.twist(0.1), 0.1)  # the first commands may be lost
    before, began = robot.position, time.monotonic()
    robot.keep(lambda: robot.twist(0.1), 0.6)
    commanded = 0.1 * (time.monotonic() - began)
    robot.ros.spin(TIMEOUT_S + 0.4)
    moved = robot.position - before
    assert 0.3 * commanded < moved[2] < commanded + 0.025 and np.linalg.norm(moved[:2]) < 0.01
    assert robot.next(robot.states).task == "slide-block" and robot.goals
    assert not (response := robot.reset("push-v3")).success
    assert "push-v3" in response.message and "slide-block" in response.message


def test_a_task_of_another_embodiment_is_refused_at_the_start(start):
    process = start("sim_robot", "-p", "embodiment:=bench", stderr=-1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "Traceback" not in errors
    assert "reach-v3" in errors and "slide-block" in errors
