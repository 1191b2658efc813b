"""Episodes have frames a step apart and the actions between them, and no unsound moment in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms3d.axangles import axangle2mat
from transforms3d.quaternions import mat2quat, quat2mat

from whale_ros.actions.composition import compose
from whale_ros.actions.space import ActionSpace
from whale_ros.data.conventions import Conventions
from whale_ros.data.grid import MAX_OFF_GRID, runs
from whale_ros.data.poses import differences, interpolate
from whale_ros.data.soundness import MIN_FRAMES
from whale_ros.data.synchronize import synchronize
from whale_ros.data.tracks import Track, Tracks

STEP_S = 0.2
TOPICS = {
    "camera": "/camera", "pose": "/pose", "command": "/command",
    "gripper_command": "/grip", "gripper": "/gripper",
}  # fmt: skip
SPACE = ActionSpace(max_translation_m=0.05, max_rotation_rad=0.2)
TWISTS = Conventions(TOPICS, "commanded_twists", "base", SPACE)
POSES = Conventions(TOPICS, "pose_differences", "base", SPACE)
SOURCES = [pytest.param(TWISTS, id="twists"), pytest.param(POSES, id="poses")]
SECONDS = 12.0


def track(stamp_s, values, latency_s=0.01, has_stamp=True) -> Track:
    stamp_s = np.asarray(stamp_s, float)
    stamps = stamp_s if has_stamp else np.full(len(stamp_s), np.nan)
    return Track(stamps, stamp_s + latency_s, np.asarray(values))


def nothing() -> Track:
    return Track(np.zeros(0), np.zeros(0), np.zeros(0))


def pictures(count: int) -> np.ndarray:
    """Each one shows its number."""
    frames = np.zeros((count, 4, 4, 3), np.uint8)
    frames[..., 0], frames[..., 1] = (np.arange(count)[:, None, None] // n % 256 for n in (256, 1))
    return frames


def number(frame: np.ndarray) -> int:
    return 256 * int(frame[0, 0, 0]) + int(frame[0, 0, 1])


def drive(seed: int) -> list[tuple[float, np.ndarray, float]]:
    """Twists and grips that begin at uneven times."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.05, 0.6, 60))
    twists = rng.uniform(-1, 1, (60, 6)) * ([0.1] * 3 + [0.3] * 3)
    grips = rng.integers(0, 2, 60).astype(float)
    return [(0.0, np.zeros(6), 0.0), *zip(times, twists, grips, strict=True)]


def recorded(seed: int, make_arm, camera_hz=10.0, jitter_s=0.0, since_s=0.0) -> Tracks:
    """An arm that goes exactly as it is told; all stamps jitter."""
    rng = np.random.default_rng(seed)
    arm = make_arm(drive(seed))

    def stamps(hz):
        even = np.arange(0, SECONDS, 1 / hz)
        return since_s + even + rng.uniform(-jitter_s, jitter_s, len(even))

    camera, pose, command = stamps(camera_hz), stamps(50.0), stamps(100.0)
    command = np.sort(np.append(command, [since_s + time for time, *_ in arm.commands]))
    command = command[command < since_s + SECONDS]
    at = [arm.pose(time - since_s) for time in pose]
    grips = [time for time, *_ in arm.commands if time < SECONDS]
    return Tracks(
        camera=track(camera, pictures(len(camera)), 0.03),
        pose=track(pose, [np.r_[position, mat2quat(turn)] for position, turn in at]),
        command=track(command, [arm.twist(time - since_s + 1e-6) for time in command]),
        gripper_command=track(
            since_s + np.array(grips), [arm.grip(time) for time in grips], has_stamp=False
        ),
        gripper=nothing(),
    )


def changed(tracks: Tracks, **of_role) -> Tracks:
    return Tracks(**(tracks.by_role() | of_role))


def assert_sound(stretch, tracks: Tracks, arm, conventions, since_s=0.0) -> None:
    """Its frames are those of its moments, and its actions lead from pose to pose."""
    stamps = dict(zip(range(len(tracks.camera)), tracks.camera.stamp_s, strict=True))
    for frame, moment_s in zip(stretch.frames, stretch.moment_s, strict=True):
        assert stamps[number(frame)] == pytest.approx(moment_s, abs=1e-9)
    assert (np.diff(stretch.moment_s) > 0).all()
    steps = np.arange(len(stretch.moment_s)) * STEP_S
    assert np.abs(stretch.moment_s - stretch.moment_s[0] - steps).max() <= MAX_OFF_GRID * STEP_S
    assert SPACE.why_invalid(stretch.actions / 2) is None
    truth = [arm.pose(moment - since_s) for moment in stretch.moment_s]
    # Poses are 0.02 s apart, and between them the arm may turn a corner.
    corner = 0.0 if conventions is TWISTS else 2e-3
    for begin in range(0, len(stretch.actions), 7):
        for end in range(begin + 1, len(stretch.actions) + 1, 5):
            total = compose(stretch.actions[begin:end])
            (before, turned_before), (after, turned_after) = truth[begin], truth[end]
            np.testing.assert_allclose(total[:3], after - before, atol=1e-6 + corner)
            angle = np.linalg.norm(total[3:6])
            turned = axangle2mat(total[3:6], angle) if angle > 1e-12 else np.eye(3)
            np.testing.assert_allclose(turned @ turned_before, turned_after, atol=1e-6 + 3 * corner)
    positions = [position for position, _ in truth]
    np.testing.assert_allclose(stretch.pose[:, :3], positions, atol=2e-3)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    camera_hz=st.sampled_from([10.0, 12.3, 15.0, 30.0]),
    jitter_s=st.sampled_from([0.0, 0.004, 0.009]),
    since_s=st.sampled_from([0.0, -1.7e9, 3600.0]),  # simulated time is years before the others
    conventions=st.sampled_from([TWISTS, POSES]),
)
def test_actions_reproduce_the_motion_whatever_the_rates_and_the_jitter(
    make_arm, seed, camera_hz, jitter_s, since_s, conventions
):
    tracks = recorded(seed, make_arm, camera_hz, jitter_s, since_s)
    stretches, cuts = synchronize(tracks, conventions)
    assert not cuts and len(stretches) == 1
    assert stretches[0].is_last
    assert len(stretches[0].actions) >= SECONDS / STEP_S - 2
    assert_sound(stretches[0], tracks, make_arm(drive(seed)), conventions, since_s)


@given(seed=st.integers(0, 10**6), conventions=st.sampled_from([TWISTS, POSES]))
@settings(max_examples=10)
def test_the_gripper_command_of_an_action_is_the_one_in_force_for_most_of_it(
    make_arm, seed, conventions
):
    tracks = recorded(seed, make_arm)
    arm = make_arm(drive(seed))
    (stretch,), _ = synchronize(tracks, conventions)
    for begin, end, action in zip(
        stretch.moment_s[:-1], stretch.moment_s[1:], stretch.actions, strict=True
    ):
        grips = [arm.grip(time) for time in np.linspace(begin, end, 401)[:-1]]
        closed = np.mean(grips)
        if abs(closed - 0.5) > 0.01:  # of two that last equally long either will do
            assert action[6] == float(closed > 0.5)


def test_a_gripper_that_nobody_told_is_taken_as_it_was_measured(make_arm):
    tracks = recorded(0, make_arm)
    times = np.arange(0, SECONDS, 0.05)
    closing = np.clip(times - 5, 0, 1)
    measured = changed(tracks, gripper_command=nothing(), gripper=track(times, closing))
    (stretch,), _ = synchronize(measured, POSES)
    np.testing.assert_allclose(
        stretch.actions[:, 6], np.clip(stretch.moment_s[1:] - 5, 0, 1), atol=1e-9
    )


def test_where_commands_are_of_another_frame_a_rest_is_no_demonstration_either(make_arm):
    """Five seconds of rest, a gap, and motion that is told mirrored."""
    forth, rest = np.array([0.08, 0, 0, 0, 0, 0]), np.zeros(6)
    arm = make_arm([(0.0, rest, 0.0), (6.0, forth, 0.0)])
    tracks = recorded(0, make_arm)
    at = [arm.pose(time) for time in tracks.pose.stamp_s]
    stamps = tracks.command.stamp_s
    camera = tracks.camera[(tracks.camera.stamp_s < 5) | (tracks.camera.stamp_s > 6)]

    def told(sign):
        twists = [sign * arm.twist(time + 1e-6) for time in stamps]
        pose = track(tracks.pose.stamp_s, [np.r_[p, mat2quat(turn)] for p, turn in at])
        return changed(tracks, camera=camera, pose=pose, command=track(stamps, twists))

    stretches, _ = synchronize(told(1), TWISTS)
    assert len(stretches) == 2 and np.isnan(stretches[0].disagreement)
    stretches, cuts = synchronize(told(-1), TWISTS)
    assert not stretches
    assert any("the hand rested" in cut.reason for cut in cuts)


def test_before_the_first_gripper_command_it_is_as_it_was_measured_or_nothing_is_taken(make_arm):
    tracks = recorded(0, make_arm)
    late = changed(tracks, gripper_command=track([4.0], [0.0], has_stamp=False))
    (stretch,), (cut,) = synchronize(late, TWISTS)
    assert stretch.moment_s[0] == pytest.approx(4.0) and "gripper" in cut.reason
    seen = changed(late, gripper=track(np.arange(0, SECONDS, 0.1), np.ones(120)))
    (stretch,), cuts = synchronize(seen, TWISTS)
    assert not cuts
    np.testing.assert_array_equal(stretch.actions[:, 6], stretch.moment_s[:-1] < 3.95)


def test_a_gripper_command_of_the_beginning_counts_whatever_its_fingers_do(make_arm):
    """It closes around something: they stay half open, and are measured a little later."""
    told_once = changed(
        recorded(0, make_arm),
        gripper_command=track([0.0], [1.0], has_stamp=False),
        gripper=track(np.arange(0.9, SECONDS, 0.025), np.full(444, 0.5)),
    )
    (stretch,), _ = synchronize(told_once, TWISTS)
    assert (stretch.actions[:, 6] == 1).all()


def test_fingers_that_a_person_moved_are_as_measured_whatever_they_were_told_before(make_arm):
    times = np.arange(0, SECONDS, 0.05)

    def grips(told, fingers):
        tracks = changed(
            recorded(0, make_arm),
            gripper_command=track([-5.0], [told], 5.0, has_stamp=False),
            gripper=track(times, fingers),
        )
        (stretch,), _ = synchronize(tracks, POSES)
        return stretch.actions[:, 6], stretch.moment_s[1:]

    closed_by_hand, at = grips(0.0, np.clip(times - 5, 0, 1))
    np.testing.assert_allclose(closed_by_hand, np.clip(at - 5, 0, 1), atol=1e-9)
    around_something, _ = grips(1.0, np.minimum(times, 0.5))
    assert (around_something == 1).all()


@pytest.mark.parametrize("camera_by_s", [-0.2, 3.0])
@pytest.mark.parametrize("has_stamp", [False, True])
def test_what_the_gripper_was_told_before_a_clock_jumped_still_holds(
    make_arm, camera_by_s, has_stamp
):
    tracks = recorded(0, make_arm)
    camera, jumped = tracks.camera, tracks.camera.stamp_s > 6
    told = changed(
        tracks,
        camera=Track(camera.stamp_s + camera_by_s * jumped, camera.received_s, camera.values),
        gripper_command=track([0.0], [1.0], has_stamp=has_stamp),
        gripper=track(np.arange(0, SECONDS, 0.05), np.full(240, 0.5)),
    )
    if camera_by_s > 0.5:  # then all other clocks must have been set too
        for role in ("pose", "command"):
            one = getattr(told, role)
            late = Track(one.stamp_s + camera_by_s * (one.stamp_s > 6), one.received_s, one.values)
            told = changed(told, **{role: late})
        told = changed(told, gripper=nothing())
    stretches, cuts = synchronize(told, TWISTS)
    assert len(stretches) == 2 and any("jumped" in cut.reason for cut in cuts)
    for stretch in stretches:
        assert (stretch.actions[:, 6] == 1).all()


@pytest.mark.parametrize("speed", [0.95, 0.98])
def test_in_a_simulator_that_is_slow_a_gripper_is_told_when_it_was(make_arm, speed):
    tracks = recorded(0, make_arm)
    slow = {
        role: Track(one.stamp_s, one.received_s / speed, one.values)
        for role, one in tracks.by_role().items()
    }
    (right,), _ = synchronize(tracks, TWISTS)
    (stretch,), _ = synchronize(Tracks(**slow), TWISTS)
    assert (stretch.actions[:, 6] != right.actions[:, 6]).mean() < 0.05


@pytest.mark.parametrize("role", ["gripper_command", "gripper"])
@pytest.mark.parametrize("ahead_s", [-100.0, -0.7, 0.7, 100.0])
def test_a_gripper_with_another_clock_gives_nothing(make_arm, role, ahead_s):
    tracks = recorded(0, make_arm)
    since_s = np.arange(0.0, SECONDS, 0.1)
    right = Track(since_s, since_s + 0.01, since_s > 6)
    known = changed(tracks, **{"gripper_command": nothing(), role: right})
    assert synchronize(known, TWISTS)[0]
    wrong = changed(known, **{role: Track(since_s + ahead_s, right.received_s, right.values)})
    stretches, (cut,) = synchronize(wrong, TWISTS)
    assert not stretches and f"stamps of the {role} and of the camera" in cut.reason


def test_what_a_gripper_was_told_once_and_long_ago_counts(make_arm):
    once = Track(np.array([-60.0]), np.array([0.0]), np.array([1.0]))
    (stretch,), _ = synchronize(changed(recorded(0, make_arm), gripper_command=once), TWISTS)
    assert (stretch.actions[:, 6] == 1).all()


def test_without_anything_of_the_gripper_nothing_is_taken_unless_there_is_none(make_arm):
    tracks = changed(recorded(0, make_arm), gripper_command=nothing())
    stretches, (cut,) = synchronize(tracks, TWISTS)
    assert not stretches and "/grip or /gripper" in cut.reason
    topics = {role: name for role, name in TOPICS.items() if "gripper" not in role}
    (stretch,), cuts = synchronize(tracks, Conventions(topics, "commanded_twists", "base", SPACE))
    assert not cuts and not stretch.actions[:, 6].any()


def test_an_episode_ends_where_commands_may_still_be_on_their_way(make_arm):
    tracks = recorded(0, make_arm)
    late = track(tracks.command.stamp_s, tracks.command.values, 0.4)
    (stretch,), _ = synchronize(changed(tracks, command=late[late.received_s < SECONDS]), TWISTS)
    assert stretch.moment_s[-1] <= SECONDS - 0.4
    assert_sound(stretch, tracks, make_arm(drive(0)), TWISTS)


def test_a_twist_holds_no_longer_than_the_arm_would_wait(make_arm):
    """Who drives with a joystick sends nothing while it rests."""
    twist = np.array([0.1, 0, 0, 0, 0, 0])
    sent = np.r_[np.arange(1.0, 3.0, 0.02), np.arange(6.0, 8.0, 0.02)]
    going = [(1.0, twist, 0.0), (sent[99] + 0.1, 0 * twist, 0.0)]
    going += [(6.0, twist, 0.0), (sent[-1] + 0.1, 0 * twist, 0.0)]
    arm = make_arm(going)
    tracks = recorded(0, make_arm)
    at = [arm.pose(time) for time in tracks.pose.stamp_s]
    tracks = changed(
        tracks,
        pose=track(tracks.pose.stamp_s, [np.r_[p, mat2quat(turn)] for p, turn in at]),
        command=track(sent, [twist] * len(sent)),
    )
    (stretch,), cuts = synchronize(tracks, TWISTS)
    assert not cuts
    assert_sound(stretch, tracks, arm, TWISTS)
    assert stretch.actions[:, 0].sum() == pytest.approx(0.1 * 4.16, abs=1e-6)


@pytest.mark.parametrize("conventions", SOURCES)
@pytest.mark.parametrize("role", ["camera", "pose"])
def test_a_gap_in_the_middle_makes_two_episodes_of_one(make_arm, role, conventions):
    tracks = recorded(1, make_arm)
    whole = getattr(tracks, role)
    kept = (whole.stamp_s < 5.5) | (whole.stamp_s > 6.5)
    gap = changed(tracks, **{role: whole[kept]})
    stretches, cuts = synchronize(gap, conventions)
    assert len(stretches) == 2
    assert [stretch.is_last for stretch in stretches] == [False, True]
    assert stretches[0].moment_s[-1] <= 5.61 and stretches[1].moment_s[0] >= 6.39
    what = "picture" if role == "camera" else "pose"
    assert [cut.reason.startswith(f"no {what} for 1.") for cut in cuts] == [True]
    assert 5.3 < cuts[0].begin_s < cuts[0].end_s < 6.7
    for stretch in stretches:
        assert_sound(stretch, tracks, make_arm(drive(1)), conventions)


@pytest.mark.parametrize("conventions", SOURCES)
@pytest.mark.parametrize("role", ["camera", "pose"])
def test_who_falls_silent_before_the_end_takes_the_end_away(make_arm, role, conventions):
    tracks = recorded(1, make_arm)
    whole = getattr(tracks, role)
    silent = changed(tracks, **{role: whole[whole.stamp_s < 9.0]})
    (stretch,), cuts = synchronize(silent, conventions)
    assert not stretch.is_last and 8.7 < stretch.moment_s[-1] < 9.0
    what = "poses" if role == "pose" else "pictures"
    assert [cut.reason for cut in cuts] == [f"no {what} any more"]


@pytest.mark.parametrize("conventions", SOURCES)
def test_what_is_left_between_gaps_must_be_long_enough(make_arm, conventions):
    tracks = recorded(1, make_arm)
    kept = (tracks.camera.stamp_s < 4.0) | (tracks.camera.stamp_s > 5.0)
    stretches, cuts = synchronize(changed(tracks, camera=tracks.camera[kept]), conventions)
    assert len(stretches) == 1 and stretches[0].moment_s[0] > 5.0
    assert any(f"too short, {MIN_FRAMES} are needed" in cut.reason for cut in cuts)


def test_episodes_are_at_least_as_long_as_what_training_and_evaluation_take():
    from whale_ros.evaluation.prediction import HORIZON
    from whale_ros.imagination import live
    from whale_ros.training.pretrain import SEQUENCE

    assert max(SEQUENCE, live.HISTORY + HORIZON) == MIN_FRAMES
    assert MAX_OFF_GRID == live.MAX_OFF_GRID


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    by_s=st.floats(0.3, 1000).flatmap(lambda s: st.sampled_from([s, -s])),
    when_s=st.floats(2.0, 10.0),
    conventions=st.sampled_from([TWISTS, POSES]),
)
def test_a_clock_that_jumps_is_reported_and_no_episode_spans_the_jump(
    make_arm, seed, by_s, when_s, conventions
):
    tracks = recorded(seed, make_arm)

    def jumped(one: Track) -> Track:
        stamp_s = one.stamp_s + by_s * (one.received_s > when_s)
        return Track(stamp_s, one.received_s, one.values)

    jumping = changed(
        tracks,
        **{role: jumped(getattr(tracks, role)) for role in ("camera", "pose", "command")},
    )
    stretches, cuts = synchronize(jumping, conventions)
    assert any(
        f"jumped by {by_s:+.2f} s" in cut.reason and cut.begin_s < when_s + 0.2 for cut in cuts
    )
    assert stretches
    for stretch in stretches:
        numbers = [number(frame) for frame in stretch.frames]
        received = tracks.camera.received_s[numbers]
        assert (received <= when_s).all() or (received > when_s).all()
        shift = by_s if received[0] > when_s else 0.0
        assert stretch.is_last == bool(shift)
        back = np.array([tracks.camera.stamp_s[n] for n in numbers])
        np.testing.assert_allclose(stretch.moment_s - shift, back, atol=1e-6)
        assert_sound(stretch, jumping, make_arm(drive(seed)), conventions, shift)


def test_messages_that_arrive_late_and_in_bursts_are_no_jump(make_arm):
    tracks = recorded(3, make_arm)

    def late(one: Track) -> Track:
        """Nothing arrives for a second, then all at once."""
        stalled = (one.received_s > 4) & (one.received_s < 5)
        return Track(one.stamp_s, np.where(stalled, 5.0, one.received_s), one.values)

    parts = {role: late(getattr(tracks, role)) for role in ("camera", "pose", "command")}
    (stretch,), cuts = synchronize(changed(tracks, **parts), TWISTS)
    assert not cuts and len(stretch.frames) > 55


@pytest.mark.parametrize("conventions", SOURCES)
def test_messages_in_another_order_or_twice_change_nothing(make_arm, conventions):
    tracks = recorded(4, make_arm)
    (expected,), _ = synchronize(tracks, conventions)

    def shuffled(one: Track) -> Track:
        order = np.arange(len(one))
        order[10:12] = 11, 10
        return one[np.sort(np.append(np.arange(len(one)), [20, 30]))[np.r_[order, -2, -1]]]

    parts = {role: shuffled(getattr(tracks, role)) for role in ("pose", "command")}
    (stretch,), cuts = synchronize(changed(tracks, **parts), conventions)
    assert not cuts
    np.testing.assert_allclose(stretch.actions, expected.actions, atol=1e-12)


def test_a_camera_that_freezes_while_the_hand_moves_is_cut_out_but_not_one_at_rest(make_arm):
    rest, go = np.zeros(6), np.array([0, 0.1, 0, 0, 0, 0])
    arm = make_arm([(0.0, go, 0.0), (5.0, rest, 0.0), (6.5, go, 0.0)])
    tracks = recorded(0, make_arm)
    poses = [arm.pose(time) for time in tracks.pose.stamp_s]
    command = tracks.command.stamp_s
    tracks = changed(
        tracks,
        pose=track(tracks.pose.stamp_s, [np.r_[p, mat2quat(turn)] for p, turn in poses]),
        command=track(command, [arm.twist(time) for time in command]),
    )

    def frozen(begin_s, end_s):
        values = tracks.camera.values.copy()
        stuck = (tracks.camera.stamp_s > begin_s) & (tracks.camera.stamp_s < end_s)
        values[stuck] = values[stuck][0]
        camera = Track(tracks.camera.stamp_s, tracks.camera.received_s, values)
        return synchronize(changed(tracks, camera=camera), TWISTS)

    stretches, cuts = frozen(5.05, 6.45)
    assert len(stretches) == 1 and not cuts
    stretches, cuts = frozen(6.55, 6.95)  # four times are too few to tell
    assert len(stretches) == 1 and not cuts
    stretches, cuts = frozen(6.55, 7.45)
    assert len(stretches) == 2 and "one picture 9 times" in cuts[0].reason
    assert stretches[0].moment_s[-1] <= 6.7 and stretches[1].moment_s[0] >= 7.45


def test_clocks_that_differ_are_refused(make_arm):
    tracks = recorded(0, make_arm)
    camera = tracks.camera
    off = Track(camera.stamp_s - 3.0, camera.received_s, camera.values)
    stretches, (cut,) = synchronize(changed(tracks, camera=off), TWISTS)
    assert not stretches and "3.02 s apart" in cut.reason and "clocks differ" in cut.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda twist: -twist,  # of another frame
        lambda twist: twist[..., [1, 2, 0, 3, 4, 5]],
        lambda twist: 3 * twist,  # of another unit
        lambda twist: twist / 10,
        lambda twist: 0 * twist,  # of another topic
        lambda twist: twist * [1, 1, 1, -1, -1, -1],  # only the turn
        lambda twist: twist[..., [0, 1, 2, 4, 5, 3]],
    ],
)
def test_commands_that_are_not_what_moved_the_hand_are_refused(make_arm, change):
    tracks = recorded(0, make_arm)
    slow = Conventions(
        TOPICS, "commanded_twists", "base", ActionSpace(max_translation_m=0.2, max_rotation_rad=1)
    )
    assert synchronize(tracks, slow)[0]
    wrong = track(tracks.command.stamp_s, change(tracks.command.values))
    stretches, (cut,) = synchronize(changed(tracks, command=wrong), slow)
    assert not stretches and "commands differ" in cut.reason


def test_an_arm_that_did_not_follow_is_refused(make_arm):
    tracks = recorded(0, make_arm)
    still = np.tile(tracks.pose.values[0], (len(tracks.pose), 1))
    resting = changed(tracks, pose=track(tracks.pose.stamp_s, still))
    stretches, (cut,) = synchronize(resting, TWISTS)
    assert not stretches and "did not follow" in cut.reason


@pytest.mark.parametrize("conventions", SOURCES)
def test_what_is_too_fast_for_the_action_space_is_cut_out(make_arm, conventions):
    tracks = recorded(0, make_arm)
    fast = [(5.0, np.array([0.4, 0, 0, 0, 0, 0]), 0.0), (5.5, np.zeros(6), 0.0)]
    arm = make_arm(fast)
    poses = [arm.pose(time) for time in tracks.pose.stamp_s]
    tracks = changed(
        tracks,
        pose=track(tracks.pose.stamp_s, [np.r_[p, mat2quat(turn)] for p, turn in poses]),
        command=track(tracks.command.stamp_s, [arm.twist(t) for t in tracks.command.stamp_s]),
    )
    stretches, cuts = synchronize(tracks, conventions)
    assert len(stretches) == 2 and all("beyond the action space" in cut.reason for cut in cuts)
    for stretch in stretches:
        assert not stretch.actions[:, :6].any() or np.abs(stretch.actions[:, 0]).max() < 0.06


def test_a_hand_that_jumps_is_cut_out(make_arm):
    """As when somebody resets the scene: no command tells of it."""
    tracks = recorded(0, make_arm)
    values = tracks.pose.values.copy()
    values[tracks.pose.stamp_s > 6.0, 0] += 0.3
    stretches, cuts = synchronize(changed(tracks, pose=track(tracks.pose.stamp_s, values)), TWISTS)
    assert len(stretches) == 2 and any("hand jumped by 0.3" in cut.reason for cut in cuts)


@pytest.mark.parametrize("role", ["camera", "pose", "command"])
def test_a_topic_without_messages_is_named(make_arm, role):
    tracks = recorded(0, make_arm)
    one = getattr(tracks, role)[:1]
    stretches, cuts = synchronize(changed(tracks, **{role: one}), TWISTS)
    assert not stretches and TOPICS[role] in cuts[-1].reason


@settings(max_examples=200)
@given(
    gaps=st.lists(st.integers(10, 400), min_size=1, max_size=40),
    bad=st.sets(st.integers(0, 40)),
)
def test_runs_take_the_nearest_picture_of_each_step_and_leave_out_no_more_than_they_must(gaps, bad):
    stamps = np.cumsum(gaps) / 1000
    why_not = {i: "bad" for i in bad if i < len(stamps)}
    found, cuts = runs(stamps, why_not, STEP_S)
    free = 0  # the first picture that may begin a run
    for run in found:
        pictures = run.pictures.tolist()
        assert pictures[0] >= free and not set(pictures) & set(why_not)
        for k, picture in enumerate(pictures):
            due = stamps[pictures[0]] + k * STEP_S
            off = np.abs(stamps - due)
            assert off[picture] == off.min() <= MAX_OFF_GRID * STEP_S
        due = stamps[pictures[0]] + len(pictures) * STEP_S
        off = np.abs(stamps - due)
        goes_on = off.min() <= MAX_OFF_GRID * STEP_S and off.argmin() > pictures[-1]
        ends = due > stamps[-1] + 0.1 * STEP_S
        assert ends or not goes_on or int(off.argmin()) in why_not
        assert run.is_last == ends
        free = pictures[-1] + 1
    assert sum(run.is_last for run in found) <= 1
    taken = {p for run in found for p in range(run.pictures[0], run.pictures[-1] + 1)}
    for i in set(range(len(stamps))) - set(why_not) - taken:  # near the end of one, or in a gap
        assert cuts or stamps[i] > stamps[found[-1].pictures[-1]]
    assert all(cut.reason and cut.begin_s <= cut.end_s for cut in cuts)


quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array).filter(
    lambda q: np.linalg.norm(q) > 0.1
).map(lambda q: q / np.linalg.norm(q))  # fmt: skip


@given(quaternions, quaternions, st.floats(0, 1))
def test_poses_are_interpolated_on_the_shortest_turn_and_differences_lead_back(a, b, share):
    pose = track([1.0, 2.0], [np.r_[0, 0, 0, a], np.r_[1, 2, 3, b]])
    between = interpolate(pose, np.array([1.0, 1 + share, 2.0]))
    np.testing.assert_allclose(between[1, :3], share * np.array([1, 2, 3]), atol=1e-9)
    whole = quat2mat(b) @ quat2mat(a).T
    part = quat2mat(between[1, 3:]) @ quat2mat(a).T

    def angle(matrix):
        return np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))

    assert angle(part) == pytest.approx(share * angle(whole), abs=1e-5)
    np.testing.assert_allclose(quat2mat(between[2, 3:]), quat2mat(b), atol=1e-6)
    for step, (before, after) in zip(
        differences(between), zip(between, between[1:], strict=False), strict=True
    ):
        np.testing.assert_allclose(step[:3], after[:3] - before[:3], atol=1e-9)
        turn = np.linalg.norm(step[3:])
        matrix = axangle2mat(step[3:], turn) if turn > 1e-9 else np.eye(3)
        np.testing.assert_allclose(matrix @ quat2mat(before[3:]), quat2mat(after[3:]), atol=1e-6)


@pytest.mark.parametrize("camera_hz", [5.0, 10.0, 30.0])
@pytest.mark.parametrize("by_s", [-0.35, -0.25, -0.15, -0.12, 0.12, 0.25])
def test_a_camera_s_clock_that_is_set_by_less_than_a_period_is_found_too(make_arm, camera_hz, by_s):
    tracks = recorded(0, make_arm, camera_hz)
    camera = tracks.camera
    jumped = Track(
        camera.stamp_s + by_s * (camera.received_s > 6), camera.received_s, camera.values
    )
    stretches, cuts = synchronize(changed(tracks, camera=jumped), TWISTS)
    assert any(f"camera jumped by {by_s:+.2f} s" in cut.reason for cut in cuts)
    for stretch in stretches:
        received = camera.received_s[[number(frame) for frame in stretch.frames]]
        assert (received <= 6).all() or (received > 6).all()


def test_a_network_that_is_slow_for_a_moment_makes_no_jump(make_arm):
    camera = recorded(0, make_arm).camera
    late = (camera.received_s > 5) & (camera.received_s < 6.5)
    assert not Track(camera.stamp_s, camera.received_s + 0.3 * late, camera.values).jumps()


@given(st.floats(0.95, 1.0), st.integers(0, 100))
def test_a_simulator_that_is_slower_than_the_clock_makes_no_jump(speed, seed):
    rng = np.random.default_rng(seed)
    stamp_s = np.arange(0, 60, 0.1)
    latency_s = rng.exponential(0.01, len(stamp_s)) + 0.2 * (rng.random(len(stamp_s)) < 0.02)
    received_s = np.maximum.accumulate(stamp_s / speed + latency_s)
    assert not Track(stamp_s, received_s, np.zeros(len(stamp_s))).jumps()
