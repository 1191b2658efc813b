"""A dataset is complete, repeatable and can be continued."""

import numpy as np
import pytest

from whale_ros.actions.space import POSITION, ActionSpace
from whale_ros.data.episodes import EpisodeInfo, load_episode, read_manifest
from whale_ros.sim.arm import HELD_OUT_TASKS, STEP_S, TASKS
from whale_ros.sim.behaviors import BEHAVIORS, HELD_OUT_BEHAVIORS, Behavior
from whale_ros.sim.collect import SPLITS, collect, execute, run_episode, set_scene

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
        split = SPLITS["training"][info.split]
        assert info.task in split.tasks and info.behavior in split.behaviors
        assert split.first_seed <= info.seed < split.first_seed + 100_000
        assert len(load_episode(tmp_path / info.file).actions) == 2

    with pytest.raises(ValueError, match="000000.npz has 2 steps at 16 pixels.* 2 at 32"):
        run(3, resolution=32)


def test_training_data_are_those_that_the_shipped_model_was_trained_on(tmp_path):
    collect(tmp_path, 4, 1, 1, 16, workers=1, space=SPACE)
    assert read_manifest(tmp_path)[1] == [
        EpisodeInfo("train/000000.npz", "train", "reach-v3", "expert", 0),
        EpisodeInfo("train/000001.npz", "train", "push-v3", "expert", 1),
        EpisodeInfo("train/000002.npz", "train", "drawer-open-v3", "expert", 2),
        EpisodeInfo("train/000003.npz", "train", "reach-v3", "noisy", 3),
        EpisodeInfo("validation/000000.npz", "validation", "reach-v3", "expert", 100_000),
        EpisodeInfo(
            "held_out_behaviors/000000.npz", "held_out_behaviors", "reach-v3", "swaying", 200_000
        ),
        EpisodeInfo(
            "held_out_tasks/000000.npz",
            "held_out_tasks",
            "button-press-topdown-v3",
            "expert",
            300_000,
        ),
    ]


def test_what_is_held_out_is_in_no_other_split():
    training = SPLITS["training"]
    assert not set(training["held_out_tasks"].tasks) & set(training["train"].tasks)
    assert not set(training["held_out_behaviors"].behaviors) & set(training["train"].behaviors)


def test_no_two_splits_share_a_seed_up_to_ten_thousand_episodes():
    first = sorted(split.first_seed for splits in SPLITS.values() for split in splits.values())
    assert (np.diff(first) >= 10_000).all()


def test_each_split_of_the_study_has_one_thing_that_is_different_from_training():
    study = SPLITS["study"]
    assert study["nominal"].tasks == TASKS and study["nominal"].behaviors == BEHAVIORS
    for name, split in study.items():
        kind, _, amount = name.partition("_")
        different = {
            "shift": split.shift_m,
            "light": split.light - 1,
            "intruder": split.intruder_m,
            "fast": split.action_scale - 1,
            "other tasks": float(split.tasks == HELD_OUT_TASKS),
            "other behaviors": float(split.behaviors == HELD_OUT_BEHAVIORS),
        }
        assert [what for what, value in different.items() if value] == [kind] * (name != "nominal")
        if amount:
            assert different[kind] == pytest.approx(float(amount) - (kind in ("light", "fast")))


def test_calibration_is_as_nominal_as_training():
    for split in SPLITS["calibration"].values():
        training = SPLITS["training"]["train"]
        for name, value in split.__dict__.items():
            assert name == "first_seed" or value == getattr(training, name)


def scene(arm, name):
    info = EpisodeInfo("", name, "push-v3", "expert", 600_001)
    set_scene(arm, info, SPLITS["study"][name])
    return arm.render().astype(int)


def test_a_scene_shows_what_its_split_has_different_and_the_next_one_no_more(arm):
    nominal = scene(arm, "nominal")
    seen = [scene(arm, name) for name in ("shift_0.03", "light_0.5", "intruder_0.04")]
    for picture in seen:
        assert (np.abs(picture - nominal).max(axis=2) > 10).mean() > 0.001
    np.testing.assert_array_equal(scene(arm, "fast_2"), nominal)
    arm.camera.degradation = type(arm.camera.degradation)()


def test_actions_beyond_the_limits_are_recorded_and_executed_as_they_are(arm):
    def record(scale):
        arm.reset("reach-v3", 0)
        return run_episode(arm, Behavior("expert", "reach-v3", SPACE, 0), 3, 16, SPACE, scale)

    nominal, fast = record(1.0), record(2.0)
    np.testing.assert_allclose(fast.actions[0, :6], 2 * nominal.actions[0, :6])
    np.testing.assert_array_equal(fast.actions[0, 6:], nominal.actions[0, 6:])
    assert np.linalg.norm(fast.actions[0, POSITION]) > 1.5 * SPACE.max_translation_m
    moved = [np.diff(e.hand_position, axis=0)[0] for e in (nominal, fast)]
    np.testing.assert_allclose(moved[1], 2 * moved[0], atol=8e-3)


def test_a_study_is_collected_with_its_own_files(tmp_path):
    collect(tmp_path, 1, 1, 1, 16, workers=1, space=SPACE, purpose="study")
    infos = read_manifest(tmp_path)[1]
    assert [info.split for info in infos] == list(SPLITS["study"])
    frames = {info.split: load_episode(tmp_path / info.file).frames for info in infos}
    assert frames["nominal"].mean() > 1.2 * frames["light_0.5"].mean()
