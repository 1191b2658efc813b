"""A live model lines up what the camera saw with what the arm was told."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.actions.composition import compose
from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.actions.timeline import CommandTimeline
from whale_ros.imagination.live import LiveModel, NotReady
from whale_ros.imagination.loaded import Loaded
from whale_ros.imagination.retracing import feature_distance, retrace
from whale_ros.imagination.rollout import imagine
from whale_ros.imagination.trust import Trust
from whale_ros.world_model.checkpoint import Card, Scales
from whale_ros.world_model.frames import to_bytes, to_float
from whale_ros.world_model.value import Value

NOW = 1_700_000_000.0
STEP_S, PERIOD_S = 0.2, 0.1


def picture(number: int) -> np.ndarray:
    """(32, 32, 3) uint8: one that only this number gives."""
    return np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)


def watch(live, numbers, period_s=PERIOD_S, start_s=NOW):
    """Show pictures at a steady rate; returns the stamp of the last one."""
    for number in numbers:
        live.observe([start_s + number * period_s], [picture(number)])
    return start_s + numbers[-1] * period_s


def driving(*entries) -> CommandTimeline:
    """Commands (seconds after NOW, velocity in x, gripper)."""
    commands = CommandTimeline()
    for seconds, velocity, gripper in entries:
        commands.add(NOW + seconds, np.array([velocity, 0, 0, 0, 0, 0]), gripper)
    return commands


def straight(velocities, gripper=0.0) -> np.ndarray:
    """A candidate (H, 7) that moves in x."""
    actions = np.zeros((len(velocities), DIM))
    actions[:, 0] = np.array(velocities) * STEP_S
    actions[:, 6] = gripper
    return actions


@torch.inference_mode()
def expected_rollout(model, numbers, past, actions):
    """Imagined by hand after the pictures `numbers`, a model step apart, and past actions."""
    frames = to_float(torch.from_numpy(np.stack([picture(n) for n in numbers])))[None]
    past = torch.from_numpy(np.asarray(past, np.float32))[None]
    actions = torch.from_numpy(np.asarray(actions, np.float32))
    codes = model.encode(frames)
    z = model.behavior.infer(codes, model.normalised(past))[:, -1]  # held from here on
    state = model.start(codes, past, z)
    index = torch.zeros(len(actions), dtype=torch.long)
    return imagine(model, model.fork(state, index), actions, past[index])


def assert_same(found, expected):
    torch.testing.assert_close(found.actions, expected.actions, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.features, expected.features, atol=1e-4, rtol=0)


def test_every_other_frame_of_a_10_hz_camera_and_the_actions_between_them_count(small_model):
    live = LiveModel(small_model)
    newest = watch(live, range(14))
    velocities = [0.01 * i for i in range(14)]
    commands = driving(*((PERIOD_S * i, v, 0.0) for i, v in enumerate(velocities)))
    candidate = straight([0.2] * 8)
    imagined = live.predict(newest, candidate[None], commands)
    # Frames 3, 5, .. 13; from 3 to 5 the arm was told velocities[3] and velocities[4].
    past = straight([(velocities[i] + velocities[i + 1]) / 2 for i in range(3, 13, 2)])
    assert_same(
        imagined.rollout, expected_rollout(small_model, range(3, 14, 2), past, candidate[None])
    )
    assert imagined.stamp_s == newest
    assert (to_bytes(imagined.reference).numpy() == picture(13)).all()


def test_it_makes_no_difference_whether_pictures_come_one_by_one_or_together(small_model):
    one, many = LiveModel(small_model), LiveModel(small_model)
    newest = watch(one, range(12))
    many.observe([NOW + i * PERIOD_S for i in range(12)], [picture(i) for i in range(12)])
    candidate = straight([0.1] * 4)[None]
    first, second = (live.predict(newest, candidate, driving()) for live in (one, many))
    assert_same(first.rollout, second.rollout)


@settings(max_examples=20)
@given(st.lists(st.floats(-0.02, 0.02), min_size=14, max_size=14), st.integers(0, 10))
def test_between_two_frames_counts_what_was_commanded_between_their_stamps(
    small_model, jitter, pulse
):
    live = LiveModel(small_model)
    stamps = [NOW + i * PERIOD_S + j for i, j in enumerate(jitter)]
    live.observe(stamps, [picture(i) for i in range(14)])
    # Told to go for 0.1 s at some time between the first frame that counts and the newest one.
    begin = stamps[3] + pulse / 10 * (stamps[-1] - stamps[3] - 0.1)
    commands = CommandTimeline()
    commands.add(begin, np.array([0.1, 0, 0, 0, 0, 0]), 0.0)
    commands.add(begin + 0.1, np.zeros(6), 0.0)
    found = live.predict(stamps[-1], straight([0.0])[None], commands).rollout.actions[0, :, 0]
    expected = [
        0.1 * max(0.0, min(end, begin + 0.1) - max(start, begin))
        for start, end in zip(stamps[3:-2:2], stamps[5::2], strict=True)
    ]
    np.testing.assert_allclose(found, [*expected, 0], atol=1e-6)
    assert sum(expected) == pytest.approx(0.01, abs=1e-6)


def test_a_candidate_that_begins_later_is_resampled_after_what_runs_until_then(small_model):
    live = LiveModel(small_model)
    newest = watch(live, range(14))
    commands = driving((0.0, 0.1, 0.0))
    candidates = np.stack([straight([0.2, 0.0, -0.1, 0.05], 1.0), straight([0.0] * 4)])
    imagined = live.predict(newest + 0.15, candidates, commands)
    # 0.15 s of the present command, then 0.05 s of the first action; and so on.
    mixed = [
        0.75 * a + 0.25 * b for a, b in zip([0.1, 0.2, 0, -0.1], [0.2, 0, -0.1, 0.05], strict=True)
    ]
    expected = np.stack([straight(mixed), straight([0.75 * 0.1, 0, 0, 0])])
    expected[0, 1:, 6] = 1.0  # the gripper that is commanded for most of the step
    past = straight([0.1] * 5)
    assert_same(imagined.rollout, expected_rollout(small_model, range(3, 14, 2), past, expected))


@pytest.mark.parametrize("late", [0.05, 0.1, 0.2])
def test_turns_are_resampled_as_turns(small_model, late):
    live = LiveModel(small_model)
    newest = watch(live, range(14))
    candidate = np.zeros((3, DIM))
    candidate[:, 3:6] = [[0.08, 0, 0], [0, 0.08, 0], [0, 0, 0.08]]
    found = live.predict(newest + late, candidate[None], driving()).rollout.actions[0, 5:]
    # At the end of the last step, what has begun is turned but for the late rest.
    expected = candidate.copy()
    ends = compose(np.concatenate([expected[:2], (1 - late / STEP_S) * expected[2:]]))
    np.testing.assert_allclose(compose(found.numpy())[3:6], ends[3:6], atol=1e-6)


def test_candidates_that_begin_where_the_imagination_hardly_reaches_are_refused(small_model):
    live = LiveModel(small_model)
    newest = watch(live, range(14))
    candidate = straight([0.1] * 8)[None]
    live.predict(newest + 0.79, candidate, driving())
    for start_s, words in ((newest + 0.81, "0.81 s after"), (newest - 100, "-100.00 s after")):
        with pytest.raises(NotReady, match=words):
            live.predict(start_s, candidate, driving())


def test_without_a_picture_it_says_so(small_model):
    with pytest.raises(NotReady, match="no camera image"):
        LiveModel(small_model).judge(driving())


def test_it_is_not_ready_until_the_history_is_full(small_model):
    live = LiveModel(small_model)
    for number in range(14):
        watch(live, [number])
        if number >= 9:  # six frames 0.2 s apart span one second; half a step less will do
            live.judge(driving())
        else:
            with pytest.raises(NotReady, match="6 images 0.2 s apart"):
                live.judge(driving())


@pytest.mark.parametrize("lost", range(1, 13))
def test_one_picture_may_be_lost(small_model, lost):
    live = LiveModel(small_model)
    watch(live, [number for number in range(14) if number != lost])
    live.judge(driving())


def test_a_gap_in_the_history_is_not_papered_over(small_model):
    live = LiveModel(small_model)
    watch(live, range(14))
    watch(live, [17])
    with pytest.raises(NotReady, match="0.20 s from where it should be"):
        live.judge(driving())


@pytest.mark.parametrize(("period_s", "ready"), [(0.01, True), (0.2, True), (0.3, False)])
def test_any_camera_will_do_that_is_fast_enough(small_model, period_s, ready):
    live = LiveModel(small_model)
    watch(live, range(round(1.5 / period_s)), period_s)
    if ready:
        live.judge(driving())
    else:
        with pytest.raises(NotReady, match="too slow"):
            live.judge(driving())


def test_time_that_runs_back_starts_afresh(small_model):
    live = LiveModel(small_model)
    watch(live, range(14))
    newest = watch(live, range(9), start_s=5.0)
    with pytest.raises(NotReady):
        live.judge(driving())
    newest = watch(live, range(9, 14), start_s=5.0)
    fresh = LiveModel(small_model)
    watch(fresh, range(14), start_s=5.0)
    candidate = straight([0.1] * 3)[None]
    assert_same(
        live.predict(newest, candidate, driving()).rollout,
        fresh.predict(newest, candidate, driving()).rollout,
    )


def test_a_picture_that_comes_twice_counts_once(small_model):
    live = LiveModel(small_model)
    watch(live, [0, 1, 1, *range(2, 14), 13])
    live.judge(driving())


def test_the_present_is_judged_by_retracing_the_next_frame(small_model):
    live = LiveModel(small_model)
    watch(live, range(14))
    commands = driving((0.0, 0.1, 0.0), (0.9, -0.1, 0.0))
    judgement = live.judge(commands)
    past = straight([0.1, 0.1, 0.1, -0.1, -0.1])
    rollout = expected_rollout(small_model, range(3, 14, 2), past, straight([-0.1])[None])
    expected = retrace(small_model, rollout, (0,))
    assert judgement.uncertainty == pytest.approx(float(expected.uncertainty[0]), abs=1e-4)
    assert judgement.disagreement == pytest.approx(float(expected.disagreement[0, 0]), abs=1e-4)
    assert judgement.entropy == pytest.approx(float(rollout.entropy[0, 0]), abs=1e-4)
    frame = to_float(torch.from_numpy(picture(13)))
    familiarity = float(small_model.familiarity(frame[None])[0])
    assert live.unfamiliarity() == pytest.approx(familiarity, abs=1e-4)


def test_a_gripper_that_is_just_switching_leaves_the_present_unjudged(small_model):
    live = LiveModel(small_model)
    watch(live, range(14))
    assert np.isnan(live.judge(driving((0.0, 0.1, 0.0), (1.3, 0.1, 1.0))).uncertainty)


def test_a_judgement_is_told_once_and_stands_in_for_a_second_unless_there_was_an_error(
    small_model, tmp_path
):
    card = Card(small_model.config, ActionSpace(), Scales(1, 1, 1))
    loaded = Loaded(LiveModel(small_model), card, Trust(card, tmp_path, "", False, (32, 32)))
    newest = watch(loaded.live, range(14))
    assert loaded.take_judgement() is None and np.isnan(loaded.carry_over(newest))
    assert loaded.judge(driving())
    value = loaded.take_judgement().uncertainty
    assert value > 0 and loaded.take_judgement() is None
    switching = driving((0.0, 0.1, 0.0), (1.3, 0.1, 1.0))
    assert not loaded.judge(switching), "a gripper switch forbids it"
    assert loaded.take_judgement() is None
    assert loaded.carry_over(newest + 0.99) == value
    loaded.judge(driving())
    loaded.forget()
    assert np.isnan(loaded.carry_over(newest)) and loaded.take_judgement() is None
    loaded.judge(driving())
    assert np.isnan(loaded.carry_over(newest + 1.01))


def test_the_distance_to_the_goal_is_that_of_the_features(small_model):
    live = LiveModel(small_model)
    newest = watch(live, range(14))
    candidates = np.stack([straight([0.1] * 4), straight([-0.1] * 4)])
    assert live.predict(newest, candidates, driving()).goal_distance is None
    live.set_goal(picture(99))
    imagined = live.predict(newest, candidates, driving())
    goal = small_model.features(small_model.encode(to_float(torch.from_numpy(picture(99))[None])))
    expected = feature_distance(imagined.rollout.features, goal[0])
    torch.testing.assert_close(imagined.goal_distance, expected)
    assert expected.shape == (2, 4)


def test_steps_to_the_goal_are_what_the_value_reads(small_model):
    tokenizer = small_model.config.tokenizer
    value = Value(tokenizer.tokens * tokenizer.code_dim)
    live = LiveModel(small_model, value)
    newest = watch(live, range(14))
    candidates = np.stack([straight([0.1] * 4), straight([-0.1] * 4)])
    assert live.predict(newest, candidates, driving()).steps_to_goal is None
    live.set_goal(picture(99))
    imagined = live.predict(newest, candidates, driving())
    goal = small_model.features(small_model.encode(to_float(torch.from_numpy(picture(99))[None])))
    for k in range(2):
        for step in range(4):
            read = value(imagined.rollout.features[k, step], goal[0])
            torch.testing.assert_close(imagined.steps_to_goal[k, step], read)


def test_imagined_pictures_are_decoded_with_the_newest_frame_as_reference(small_model):
    live = LiveModel(small_model)
    newest = watch(live, range(14))
    imagined = live.predict(newest, np.stack([straight([0.1] * 3)] * 2), driving())
    pictures = live.decode(imagined)
    assert pictures.shape == (2, 3, 32, 32, 3) and pictures.dtype == np.uint8
    reference = to_float(torch.from_numpy(picture(13)))[None]
    with torch.inference_mode():
        alone = small_model.tokenizer.decode(imagined.rollout.latents[1, 2:3], reference)
    assert np.abs(pictures[1, 2].astype(int) - to_bytes(alone)[0].numpy()).max() <= 1


def test_a_larger_picture_is_cropped_and_averaged(small_model):
    live, small = LiveModel(small_model), LiveModel(small_model)
    for number in range(14):
        large = np.repeat(np.repeat(picture(number), 2, axis=0), 2, axis=1)
        wide = np.concatenate([np.zeros((64, 10, 3), np.uint8), large, large[:, :10]], axis=1)
        live.observe([NOW + number * PERIOD_S], [wide])
    watch(small, range(14))
    first, second = (one.judge(driving()) for one in (live, small))
    assert first.disagreement == pytest.approx(second.disagreement, abs=1e-5)
