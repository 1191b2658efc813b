"""A dataset is complete, repeatable and can be continued."""

import numpy as np
import pytest

from whale_ros.actions.space import POSITION, ActionSpace
from whale_ros.data.episodes import load_episode, read_manifest
from whale_ros.sim.arm import STEP_S
from whale_ros.sim.behaviors import Behavior
from whale_ros.sim.collect import SPLITS, collect, execute, run_episode

SPACE = ActionSpace()


def test_an_action_moves_the_hand_as_far_as_it_says(arm):
    arm.reset("reach-v3", 0)
    for _ in range(40):
        arm.step(np.zeros(6), 0.0)
    before, began = arm.hand_position, arm.time_s
    action = np.array([0.03, 0.02, 0.01, 0, 0, 0, 0])
    execute(arm, action, SPACE)
    assert abs(arm.time_s - began - SPACE.step_s) < STEP_S / 2
    execute(arm, np.zeros(7), SPACE)
    np.testing.assert_allclose(arm.hand_position - before, action[POSITION], atol=4e-3)


def test_an_episode_has_one_more_frame_than_actions_and_repeats_with_its_seed(arm):
    def record():
        arm.reset("push-v3", 3)
        return run_episode(arm, Behavior("noisy", "push-v3", SPACE, 3), 5, 32, SPACE)

    episode, again = record(), record()
    episode.check()
    assert episode.actions.shape == (5, 7) and episode.frames.shape == (6, 32, 32, 3)
    for name, value in episode.__dict__.items():
        np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)


def test_collecting_goes_on_where_it_stopped_and_keeps_what_is_held_out_apart(tmp_path):
    def run(episodes, resolution=16):
        collect(tmp_path, episodes, 1, 2, resolution, workers=1, space=SPACE)

    run(2)
    kept = tmp_path / "train" / "000000.npz"
    written = kept.stat().st_mtime_ns
    run(3)
    assert kept.stat().st_mtime_ns == written

    space, infos = read_manifest(tmp_path)
    assert space == SPACE
    held_out = ["validation", "held_out_behaviors", "held_out_tasks"]
    assert [info.split for info in infos] == ["train"] * 3 + held_out
    assert len({info.task for info in infos[:3]}) == 3
    for info in infos:
        tasks, behaviors, first_seed = SPLITS[info.split]
        assert info.task in tasks and info.behavior in behaviors
        assert first_seed <= info.seed < first_seed + 100_000
        assert len(load_episode(tmp_path / info.file).actions) == 2

    with pytest.raises(ValueError, match="000000.npz has 2 steps at 16 pixels.* 2 at 32"):
        run(3, resolution=32)


def test_what_is_held_out_is_in_no_other_split():
    tasks, behaviors, _ = SPLITS["train"]
    assert not set(SPLITS["held_out_tasks"][0]) & set(tasks)
    assert not set(SPLITS["held_out_behaviors"][1]) & set(behaviors)
