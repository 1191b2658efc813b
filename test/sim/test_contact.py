"""Contact forces are those of a body at rest, and tell what is touched."""

import mujoco
import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.sim.behaviors import Behavior
from whale_ros.sim.contact import HARMFUL_N

SPACE = ActionSpace()


def drive(arm, twist, steps):
    peak = 0.0
    for _ in range(steps):
        arm.step(np.array(twist, float), 0.0)
        peak = max(peak, arm.contact_force)
    return peak


def force_on(arm, names):
    """The slow obvious way."""
    model, data = arm.env.model, arm.env.data

    def belongs_to_arm(body):
        return body and (
            model.body(body).name == "base" or belongs_to_arm(model.body_parentid[body])
        )

    total, force = 0.0, np.zeros(6)
    for i in range(data.ncon):
        bodies = [model.geom_bodyid[geom] for geom in data.contact[i].geom]
        mujoco.mj_contactForce(model, data, i, force)
        if any(map(belongs_to_arm, bodies)) and names & {model.body(b).name for b in bodies}:
            total += force[0]
    return total


def test_in_the_air_nothing_presses(arm):
    arm.reset("reach-v3", 0)
    assert drive(arm, [0, 0, 0.05, 0, 0, 0], 40) == 0.0
    assert arm.object_force == 0.0


def test_a_hand_that_runs_into_a_box_presses_harmfully_until_it_goes_away(arm):
    arm.reset("reach-v3", 0)
    drive(arm, [0, 0, 0.1, 0, 0, 0], 40)
    arm.intruder.put(arm.env.data.body("leftpad").xpos + [0.07, 0, 0], 0.08)
    peak = drive(arm, [0.05, 0, 0, 0, 0, 0], 160)
    assert peak > HARMFUL_N
    assert arm.contact_force == pytest.approx(force_on(arm, {"intruder"})) and arm.contact_force > 1
    drive(arm, [-0.2, 0, 0, 0, 0, 0], 80)
    assert arm.contact_force == 0.0


def test_pressing_on_the_table_counts_and_pushing_the_tasks_object_does_not(arm):
    arm.reset("push-v3", 0)
    peaks = {"table": 0.0, "object": 0.0}
    behavior = Behavior("expert", "push-v3", SPACE, 0)
    for _ in range(25):
        action = behavior.act(arm.observation)
        for _ in range(16):
            arm.step(np.append(action[:3], np.zeros(3)) / SPACE.step_s, action[6])
            peaks["table"] = max(peaks["table"], arm.contact_force)
            peaks["object"] = max(peaks["object"], arm.object_force)
    assert arm.success
    assert peaks["object"] > 1.0 and peaks["table"] < HARMFUL_N
    arm.reset("push-v3", 0)
    assert drive(arm, [0.0, -0.1, -0.2, 0, 0, 0.0], 160) > 0.0
