"""The expert does the tasks through 7-D actions; every behaviour stays within the limits."""

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.sim.arm import TASKS
from whale_ros.sim.behaviors import BEHAVIORS, Behavior, ScriptedPolicy
from whale_ros.sim.collect import execute

SPACE = ActionSpace()
ENOUGH_ACTIONS = 40


@pytest.mark.parametrize(("chunk", "successes"), [(1, 3), (4, 2)])
@pytest.mark.parametrize("task", TASKS)
def test_the_expert_succeeds_and_mostly_so_when_it_looks_only_every_fourth_action(
    arm, task, chunk, successes
):
    done = 0
    for seed in range(3):
        arm.reset(task, seed)
        policy = ScriptedPolicy(task, SPACE)
        for _ in range(ENOUGH_ACTIONS // chunk):
            for action in policy.plan(arm.observation, chunk):
                execute(arm, action, SPACE)
            if arm.success:
                done += 1
                break
    assert done >= successes


@pytest.mark.parametrize("task", TASKS)
def test_a_plan_is_valid_and_a_longer_one_begins_like_a_shorter_one(arm, task):
    arm.reset(task, 5)
    observation = arm.observation.copy()
    policy = ScriptedPolicy(task, SPACE)
    plan = policy.plan(arm.observation, 12)
    assert SPACE.why_invalid(plan) is None
    np.testing.assert_array_equal(arm.observation, observation)
    np.testing.assert_array_equal(policy.plan(observation, 5), plan[:5])


def test_a_handle_is_pulled_no_faster_than_told(arm):
    steps_m = {}
    for pull_m_s in (np.inf, 0.1):
        arm.reset("drawer-open-v3", 0)
        policy = ScriptedPolicy("drawer-open-v3", SPACE, pull_m_s)
        handle_m = [arm.observation[5]]
        for _ in range(ENOUGH_ACTIONS):
            execute(arm, policy.plan(arm.observation, 1)[0], SPACE)
            handle_m.append(arm.observation[5])
        assert arm.success
        steps_m[pull_m_s] = np.abs(np.diff(handle_m)).max()
    assert steps_m[0.1] < 1.2 * 0.1 * SPACE.step_s < steps_m[np.inf]


def test_a_handle_is_foreseen_to_move_only_as_a_drawer_does_and_only_if_it_is_hooked(arm):
    arm.reset("drawer-open-v3", 0)
    policy, pull = ScriptedPolicy("drawer-open-v3", SPACE), np.zeros(7)
    pull[:2] = 0.03, -0.04
    for behind_m, moved_m in ((0.02, 0.04), (0.05, 0.0)):  # the hand, seen from the handle
        observation = arm.observation.copy()
        handle = observation[4:7].copy()
        observation[:3] = handle - (0.0, behind_m, 0.02)
        later = policy.foresee(observation, pull, SPACE.step_s)
        np.testing.assert_allclose(later[4:7] - handle, (0.0, -moved_m, 0.0), atol=1e-9)
        np.testing.assert_allclose(later[:2] - observation[:2], pull[:2], atol=1e-9)


@pytest.mark.parametrize("name", BEHAVIORS)
def test_every_behaviour_stays_within_the_limits_and_repeats_with_its_seed(arm, name):
    def actions(seed):
        arm.reset("push-v3", 0)
        behavior = Behavior(name, "push-v3", SPACE, seed)
        done = []
        for _ in range(12):
            done.append(behavior.act(arm.observation))
            execute(arm, done[-1], SPACE)
        return np.array(done)

    first = actions(1)
    assert SPACE.why_invalid(first) is None
    np.testing.assert_array_equal(actions(1), first)
    if name in ("noisy", "random"):
        assert not np.array_equal(actions(2), first)


def test_the_behaviours_differ(arm):
    arm.reset("push-v3", 0)
    plans = {}
    for name in ("expert", "noisy", "random", "slow"):
        behavior = Behavior(name, "push-v3", SPACE, 0)
        plans[name] = tuple(np.round(behavior.act(arm.observation), 6))
    assert len(set(plans.values())) == len(plans)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="lazy.*expert"):
        Behavior("lazy", "push-v3", SPACE, 0)
    with pytest.raises(ValueError, match="juggle-v3.*push-v3"):
        ScriptedPolicy("juggle-v3", SPACE)
