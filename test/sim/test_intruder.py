"""An unseen box changes nothing while it is absent, and is seen and met when it is there."""

import mujoco
import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

from whale_ros.sim.arm import HELD_OUT_TASKS, TASKS
from whale_ros.sim.camera import Camera
from whale_ros.sim.intruder import (
    MAX_EDGE_M,
    load_environment,
    spots_near,
    spots_on_the_way,
)


def drive(arm, twist, steps):
    for _ in range(steps):
        arm.step(np.array(twist, float), 0.0)


def picture(env):
    camera = Camera(env.model)
    image = camera.render(env.data)
    camera.close()
    return image


@pytest.mark.parametrize("task", TASKS + HELD_OUT_TASKS)
def test_scenes_without_it_are_to_the_bit_those_of_metaworld(task):
    plain = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task}-goal-observable"](seed=0)
    ours = load_environment(task)
    for env in (plain, ours):
        env._freeze_rand_vec, env.seeded_rand_vec = False, True
        env.seed(3)
        env.reset()
    np.testing.assert_array_equal(picture(ours), picture(plain))
    for step in range(100):
        for env in (plain, ours):  # down to the table, with fingers closing, then over it
            env.data.mocap_pos[0] += [0, 0.002, -0.004] if step < 60 else [0.002, 0, 0]
            env.do_simulation([1, -1], env.frame_skip)
    assert plain.data.ncon > 2
    np.testing.assert_array_equal(ours.data.qpos, plain.data.qpos)
    np.testing.assert_array_equal(ours.data.qvel, plain.data.qvel)
    np.testing.assert_array_equal(picture(ours), picture(plain))


def test_it_is_seen_where_it_is_put_and_gone_when_taken_away_or_after_a_reset(arm):
    arm.reset("push-v3", 0)
    before = arm.render()
    arm.intruder.put(np.array([0.1, 0.55, 0.05]), 0.1)
    changed = np.abs(arm.render().astype(int) - before).max(axis=2) > 30
    assert 0.005 < changed.mean() < 0.05
    arm.intruder.take_away()
    np.testing.assert_array_equal(arm.render(), before)
    arm.intruder.put(np.array([0.1, 0.55, 0.05]), 0.1)
    arm.reset("push-v3", 0)
    np.testing.assert_array_equal(arm.render(), before)


@pytest.mark.parametrize("edge_m", [0.04, 0.1])
def test_it_stops_a_hand_that_would_pass_without_it(arm, edge_m):
    def moved(box):
        arm.reset("reach-v3", 0)
        drive(arm, [0, 0, 0.1, 0, 0, 0], 40)
        finger = arm.env.data.body("leftpad").xpos.copy()
        if box:
            arm.intruder.put(finger + [0.05 + edge_m / 2, 0, 0], edge_m)
        before = arm.hand_position
        drive(arm, [0.1, 0, 0, 0, 0, 0], 120)
        return (arm.hand_position - before)[0]

    assert moved(box=False) > 0.14
    assert moved(box=True) < 0.08


@pytest.mark.parametrize("task", TASKS + HELD_OUT_TASKS)
@pytest.mark.parametrize("edge_m", [0.04, 0.07, 0.1])
def test_near_the_object_it_is_inside_nothing_and_nothing_feels_it_at_rest(arm, task, edge_m):
    for seed in range(5):
        arm.reset(task, seed)
        spots = spots_near(arm.object_position, edge_m, np.random.default_rng(seed))
        assert arm.intruder.put_where_free(spots, edge_m)
        mujoco.mj_forward(arm.env.model, arm.env.data)
        box = arm.env.data.body("intruder")
        touching = arm.env.model.geom_bodyid[arm.env.data.contact.geom] == box.id
        assert not touching.any()
        assert box.xpos[2] == pytest.approx(edge_m / 2)
        assert np.linalg.norm(box.xpos[:2] - arm.object_position[:2]) < 0.2 + edge_m / 2


@pytest.mark.parametrize("edge_m", [0.04, 0.1])
def test_on_the_way_it_is_between_hand_and_target_and_a_hand_that_goes_there_meets_it(arm, edge_m):
    arm.reset("reach-v3", 1)
    hand, target = arm.hand_position, arm.hand_position + [0.2, 0.0, 0.0]
    assert arm.intruder.put_where_free(spots_on_the_way(hand, target, edge_m), edge_m)
    box = arm.env.data.body("intruder").xpos
    assert hand[0] < box[0] <= target[0] and box[2] == pytest.approx(hand[2])


def test_where_there_is_no_room_it_stays_away(arm):
    arm.reset("reach-v3", 0)
    before = arm.render()
    assert not arm.intruder.put_where_free(arm.hand_position[None], 0.1)
    np.testing.assert_array_equal(arm.render(), before)


@pytest.mark.parametrize("edge_m", [0.0, -0.1, MAX_EDGE_M + 0.01, np.nan])
def test_boxes_that_there_are_not_are_refused(arm, edge_m):
    with pytest.raises(ValueError, match="an intruder's edge is"):
        arm.intruder.put(np.zeros(3), edge_m)
