"""The second robot: goes where twists lead, keeps its joints' limits, and its task can be done."""

import threading
import time

import numpy as np
import pytest
from transforms3d.quaternions import qinverse, qmult

from whale_ros.actions.composition import to_quaternion, to_rotation_vector
from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import EpisodeInfo, load_episode, read_manifest
from whale_ros.data.frames import fit
from whale_ros.sim.behaviors import DEMONSTRATING, MISTAKEN, Behavior, policy_for
from whale_ros.sim.bench.arm import (
    MAX_TILT_RAD,
    TASKS,
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
    BenchArm,
)
from whale_ros.sim.bench.kinematics import InverseKinematics
from whale_ros.sim.collect import BENCH_SPLITS, collect, execute, set_scene
from whale_ros.sim.contact import HARMFUL_N
from whale_ros.sim.driving import STEP_S
from whale_ros.sim.goal import photograph_goal
from whale_ros.sim.realtime import RealTimeArm

SPACE = ActionSpace()
(TASK,) = TASKS


@pytest.fixture(scope="module")
def bench():
    arm = BenchArm()
    yield arm
    arm.close()


def drive(arm, twist, seconds, gripper=0.0):
    for _ in range(round(seconds / STEP_S)):
        arm.step(np.array(twist, float), gripper)


def go_to(arm, position):
    """A second's way and rest."""
    drive(arm, [*(position - arm.hand_position), 0, 0, 0], 1.0)
    drive(arm, np.zeros(6), 0.3)


def act(arm, name, seed, actions):
    arm.reset(TASK, seed)
    behavior = Behavior(name, TASK, SPACE, seed)
    for _ in range(actions):
        execute(arm, behavior.act(arm.observation), SPACE)
        if arm.success:
            return True
    return False


def test_the_hand_moves_and_turns_as_random_twists_say_all_over_the_workspace(bench):
    rng = np.random.default_rng(0)
    low, high = WORKSPACE_LOW + [0, 0, 0.08], WORKSPACE_HIGH  # above the block
    for _ in range(15):
        bench.reset(TASK, 0)
        go_to(bench, rng.uniform(low, high))
        before, turned = bench.hand_position, bench.hand_quaternion
        way = np.clip(rng.uniform(low, high) - before, -0.15, 0.15)
        turn = rng.uniform(-0.3, 0.3, 3)
        drive(bench, np.concatenate([way, turn]) / 0.8, 0.8)
        drive(bench, np.zeros(6), 0.3)
        np.testing.assert_allclose(bench.hand_position - before, way, atol=4e-3)
        done = to_rotation_vector(qmult(bench.hand_quaternion, qinverse(turned)))
        np.testing.assert_allclose(done, turn, atol=0.02)


def test_no_twist_leads_a_joint_beyond_its_limits_or_the_hand_out_of_the_workspace(bench):
    rng = np.random.default_rng(1)
    ranges = np.array([bench.data.model.joint(f"joint{i + 1}").range for i in range(7)])
    for seed in range(3):
        bench.reset(TASK, seed)
        for _ in range(15):
            velocity, turning = rng.normal(size=(2, 3))
            velocity *= 0.25 / np.linalg.norm(velocity)
            turning *= 0.5 / np.linalg.norm(turning)
            drive(bench, [*velocity, *turning], 0.8)
            assert (bench.joint_angles >= ranges[:, 0]).all()
            assert (bench.joint_angles <= ranges[:, 1]).all()
            assert (bench.hand_position > WORKSPACE_LOW - 0.01).all()
            assert (bench.hand_position < WORKSPACE_HIGH + 0.01).all()
            angle = np.linalg.norm(to_rotation_vector(bench.hand_quaternion))
            assert angle < MAX_TILT_RAD + 0.05


def test_joints_stop_at_their_limits_where_a_pose_is_out_of_reach(bench):
    rng = np.random.default_rng(2)
    model = bench.data.model
    ranges = np.array([model.joint(f"joint{i + 1}").range for i in range(7)])
    at_limit = 0
    for _ in range(10):
        kinematics = InverseKinematics(model)
        position, turn = rng.uniform(-1, 1, 3), rng.uniform(-3, 3, 3)
        for _ in range(100):
            angles = kinematics.follow(position, to_quaternion(turn), 0.05)
            assert (ranges[:, 0] <= angles).all() and (angles <= ranges[:, 1]).all()
        at_limit += bool(np.isin(angles, ranges).any())
    assert at_limit >= 3


def test_without_a_twist_the_hand_stands_still(bench):
    bench.reset(TASK, 0)
    before = bench.hand_position
    drive(bench, np.zeros(6), 2.0)
    assert np.linalg.norm(bench.hand_position - before) < 1e-3


def test_the_gripper_closes_and_opens_and_stops_at_what_is_between_its_fingers(bench):
    bench.reset(TASK, 0)
    assert bench.gripper_opening > 0.98
    drive(bench, np.zeros(6), 0.6, gripper=1.0)
    assert bench.gripper_opening < 0.05
    drive(bench, np.zeros(6), 0.6, gripper=0.0)
    assert bench.gripper_opening > 0.95
    go_to(bench, bench.object_position + [0, 0, 0.12])
    go_to(bench, bench.object_position)
    drive(bench, np.zeros(6), 0.5, gripper=1.0)
    assert 0.65 < bench.gripper_opening < 0.85
    assert bench.object_force > 5.0


def test_the_block_is_pushed_by_contact_and_not_from_afar(bench):
    bench.reset(TASK, 0)
    block = bench.object_position
    go_to(bench, block + [-0.06, 0, 0.12])
    go_to(bench, block + [-0.06, 0, 0.01])
    np.testing.assert_allclose(bench.object_position, block, atol=1e-3)
    drive(bench, [0.1, 0, 0, 0, 0, 0], 0.8, gripper=1.0)
    moved = bench.object_position - block
    assert 0.015 < moved[0] < 0.09 and abs(moved[2]) < 0.01


def test_demonstrations_succeed_and_differ_and_mistaken_ones_fail(bench):
    assert sum(act(bench, DEMONSTRATING, seed, 40) for seed in range(10)) >= 8
    assert not any(act(bench, MISTAKEN, seed, 40) for seed in range(4))
    first = [Behavior(DEMONSTRATING, TASK, SPACE, seed).act(bench.observation) for seed in (0, 1)]
    assert not np.allclose(*first, atol=1e-3)


def test_equal_seeds_give_equal_scenes_and_futures_whatever_happened_before(bench):
    def played(seed):
        bench.reset(TASK, seed)
        seen = [bench.observation, bench.render()]
        behavior = Behavior("noisy", TASK, SPACE, seed)
        for _ in range(8):
            execute(bench, behavior.act(bench.observation), SPACE)
        return [*seen, bench.observation, bench.joint_angles, bench.render(), bench.contact_force]

    first, other, again = played(7), played(8), played(7)
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(first[0], other[0])


def test_a_plan_is_valid_and_begins_like_a_longer_one_and_what_it_foresees_comes(bench):
    bench.reset(TASK, 5)
    policy, start = policy_for(TASK, SPACE), bench.observation
    plan = policy.plan(start, 20)
    assert SPACE.why_invalid(plan) is None
    np.testing.assert_array_equal(policy.plan(start, 5), plan[:5])
    foreseen = start
    for action in plan:
        foreseen = policy.foresee(foreseen, action, SPACE.step_s)
        execute(bench, action, SPACE)
    assert bench.success  # without another look
    np.testing.assert_allclose(bench.observation, foreseen, atol=0.05)


def test_hand_block_and_zone_are_seen_at_64_pixels_in_a_picture_unlike_the_sawyers(bench, arm):
    for seed in range(8):
        bench.reset(TASK, seed)
        red, green, blue = np.moveaxis(fit(bench.render(), 64).astype(int), -1, 0)
        assert ((red > 140) & (green > 100) & (blue < 80)).sum() > 15, "block"
        assert ((blue > 120) & (red < 90)).sum() > 20, "zone"
        assert ((red > 100) & (green < 60) & (blue < 80)).sum() >= 2, "finger tips"
    arm.reset("push-v3", 0)
    assert bench.render().shape == arm.render().shape
    assert np.abs(bench.render().astype(int) - arm.render()).mean() > 30


def test_the_goal_picture_shows_the_block_in_the_zone(bench):
    bench.reset(TASK, 2)
    start = bench.render()
    goal = photograph_goal(bench, TASK, 2, SPACE)
    assert bench.success and np.abs(goal.astype(int) - start).mean() > 2


def test_a_box_in_the_way_is_met_and_a_displaced_camera_is_seen(bench):
    bench.reset(TASK, 3)
    bench.put_in_the_way(0.06)
    hand, block = bench.hand_position, bench.object_position
    hardest = 0.0
    for _ in range(120):
        bench.step(np.append((block - hand) / 1.5, np.zeros(3)), 0.0)
        hardest = max(hardest, bench.contact_force)
    assert hardest > HARMFUL_N
    pictures = []
    for name in ("nominal", "shift_0.06", "light_0.5", "intruder_0.07"):
        info = EpisodeInfo("", name, TASK, DEMONSTRATING, 600_001)
        set_scene(bench, info, BENCH_SPLITS["study"][name])
        pictures.append(bench.render().astype(int))
    for picture in pictures[1:]:
        assert (np.abs(picture - pictures[0]).max(axis=2) > 10).mean() > 0.001
    bench.camera.degradation = type(bench.camera.degradation)()


def test_an_unknown_task_is_refused_by_name_and_changes_nothing(bench):
    with pytest.raises(ValueError, match="push-v3.*slide-block"):
        bench.reset("push-v3", 0)
    assert bench.task == TASK


def test_in_real_time_it_follows_a_twist_and_stops_by_itself_when_commands_stop(bench):
    bench.reset(TASK, 0)
    robot = RealTimeArm(bench, command_timeout_s=0.1)
    running = True
    thread = threading.Thread(target=robot.run, args=(lambda count: None, lambda: running))
    thread.start()
    before, began = bench.hand_position, bench.time_s
    for _ in range(20):
        robot.drive(np.array([0, 0.1, 0, 0, 0, 0]))
        time.sleep(0.02)
    commanded = 0.1 * (bench.time_s - began)
    time.sleep(0.4)
    rest = bench.hand_position
    time.sleep(0.2)
    moved = bench.hand_position - before
    running = False
    thread.join()
    assert np.linalg.norm(bench.hand_position - rest) < 1e-3
    assert 0.5 * commanded < moved[1] < commanded + 0.02


def test_episodes_are_collected_from_seeds_that_demonstrations_do_not_have(tmp_path):
    collect(tmp_path, 1, 1, 2, 16, workers=1, space=SPACE, robot="bench")
    _, infos = read_manifest(tmp_path)
    assert [(info.task, info.split) for info in infos] == [(TASK, "train"), (TASK, "validation")]
    assert load_episode(tmp_path / infos[0].file).frames.shape == (3, 16, 16, 3)
    first = sorted(s.first_seed for splits in BENCH_SPLITS.values() for s in splits.values())
    assert first[0] >= 100_000 and (np.diff(first) >= 10_000).all()
    assert set(BENCH_SPLITS) == {"training", "calibration", "study"}
