import dataclasses
import math

import numpy as np
import pytest

from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import State


def test_a_single_bad_cycle_does_not_trip_but_admits_no_chunk(rig):
    rig.send(np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(3)
    rig.gate.on_graph({"camera/image": "camera/image is wrong"}, ())
    rig.cycle(1)
    assert rig.status.state is State.EXECUTING and failing(rig.status) == {"topics"}
    assert "camera/image is wrong" in rig.send()
    rig.gate.on_graph({}, ())
    rig.cycle(1)
    assert rig.status.state is State.EXECUTING


def failing(status):
    return {check.name for check in status.checks if not check.ok}


# ---- start


def test_it_starts_held_and_names_everything_that_is_missing(new_rig):
    rig = new_rig()
    rig.silent = {"camera", "pose", "heartbeat"}
    status = rig.cycle()
    assert status.state is State.HOLD and not rig.moving()
    for word in ("no camera message yet", "no pose message yet", "no heartbeat message yet"):
        assert word in status.reason


def test_it_releases_only_after_a_clean_second(new_rig):
    rig = new_rig()
    rig.cycle(10 + 98)
    assert "until release" in rig.status.reason
    assert "the gate holds" in rig.send()
    rig.cycle(1)
    assert rig.send() is None


def test_a_chunk_approved_before_the_start_does_not_move_the_arm(new_rig):
    rig = new_rig(dataclasses.replace(GateConfig(), chunk_max_age_s=10.0))
    rig.cycle(130)
    assert "before the hold began" in rig.send(stamp=rig.now.ros - rig.t - 0.01)
    assert rig.send(stamp=rig.now.ros - rig.t + 0.01) is None


# ---- a good chunk


def test_a_chunk_moves_the_arm_by_what_it_says_and_ends_at_zero(rig):
    before = rig.position.copy()
    assert rig.send() is None
    status = rig.cycle()
    assert status.state is State.EXECUTING and status.reason == "" and status.chunk_id == "chunk 1"
    assert rig.command.gripper == 0.5
    rig.cycle(120)
    assert rig.status.state is State.HOLD and not rig.moving()
    assert "is finished" in rig.status.reason
    np.testing.assert_allclose(rig.position - before, [0.08, 0, 0], atol=0.002)
    assert rig.status.chunks_executed == 1


def test_acceleration_is_limited_at_start_change_and_end_of_a_chunk(rig):
    rig.send(np.tile([0.05, 0, 0, 0, 0, 0.1, 0], (2, 1)))
    twists = [np.zeros(6)]
    for i in range(80):
        if i == 20:
            rig.send(np.tile([-0.05, 0, 0, 0, 0, -0.1, 0], (2, 1)))
        rig.cycle()
        twists.append(rig.command.twist)
    change = np.diff(twists, axis=0)
    assert np.abs(change[:, 0]).max() == pytest.approx(2.0 * 0.01)
    assert np.abs(change[:, 5]).max() == pytest.approx(4.0 * 0.01)
    assert min(t[0] for t in twists) == pytest.approx(-0.25)


def test_a_chunk_whose_first_action_is_over_is_joined_in_the_middle(rig):
    actions = [[0, 0, 0, 0, 0, 0, 0.1], [0, 0.02, 0, 0, 0, 0, 0.9]]
    assert rig.send(actions, start=rig.now.ros - 0.25) is None
    rig.cycle()
    assert rig.command.gripper == 0.9 and rig.command.twist[1] > 0


def test_a_newer_chunk_replaces_the_older(rig):
    rig.send()
    rig.cycle(10)
    rig.send(np.tile([0, 0, 0.02, 0, 0, 0, 0], (4, 1)))
    rig.cycle(30)
    np.testing.assert_allclose(rig.command.twist, [0, 0, 0.1, 0, 0, 0], atol=1e-9)
    assert rig.status.chunk_id == "chunk 2" and rig.status.chunks_executed == 2


def test_the_arm_stops_at_expiry_though_actions_are_left(rig):
    rig.send(expiry=rig.now.ros + 0.3)
    rig.cycle(29)
    assert rig.moving()
    rig.cycle(1)
    assert not rig.moving() and "expired" in rig.status.reason


def test_a_rejected_chunk_leaves_the_running_one_alone(rig):
    rig.send()
    rig.cycle(5)
    assert "index 2" in rig.send([[0, 0, math.nan, 0, 0, 0, 0]])
    rig.cycle(5)
    assert rig.status.chunk_id == "chunk 1" and rig.moving()
    assert rig.status.chunks_rejected == 1


# ---- streams that stop


@pytest.mark.parametrize(
    ("stream", "good_cycles", "words"),
    [
        ("camera", 29, "camera message is"),
        ("pose", 19, "pose message is"),
        ("heartbeat", 49, "heartbeat message is"),
    ],
)
def test_a_silent_stream_holds_at_its_time_out_and_not_before(rig, stream, good_cycles, words):
    rig.cycle(10 - round(rig.t * 100) % 10)  # all three came in this cycle
    rig.silent = {stream}
    long = np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1))
    assert rig.send(long) is None
    rig.cycle(good_cycles)
    assert rig.status.state is State.EXECUTING and not failing(rig.status)
    rig.cycle(3)
    assert rig.status.state is State.HOLD and not rig.moving()
    assert words in rig.status.reason and "limit" in rig.status.reason


def test_after_a_hold_only_a_chunk_approved_later_moves(rig):
    rig.send()
    rig.cycle(10)
    early = rig.chunk()
    rig.silent = {"pose"}
    rig.cycle(30)
    rig.silent = set()
    rig.cycle(60)
    assert not rig.moving() and rig.status.state is State.HOLD
    rig.cycle(55)
    early = dataclasses.replace(early, expiry=rig.now.ros + 1, start=rig.now.ros)
    assert "ago" in rig.gate.on_chunk(rig.now, early)
    assert rig.send() is None
    rig.cycle(2)
    assert rig.moving()


def test_one_good_moment_does_not_end_a_hold(rig):
    rig.silent = {"camera"}
    rig.cycle(50)
    rig.silent = set()
    rig.cycle(60)
    assert rig.status.state is State.HOLD and "until release" in rig.status.reason
    assert "camera" in rig.status.reason


def test_all_streams_silent_at_once_is_a_cut_network_and_latches(rig):
    rig.silent = {"camera", "pose", "heartbeat"}
    rig.cycle(99)
    assert rig.status.state is State.HOLD
    rig.cycle(12)
    assert rig.status.state is State.LATCHED and "all silent" in rig.status.reason
    assert "the cause persists" in rig.gate.reset(rig.now)
    rig.silent = set()
    rig.cycle(20)
    assert rig.gate.reset(rig.now) is None


def test_one_stream_that_goes_on_is_no_cut_network(rig):
    rig.silent = {"camera", "pose"}
    rig.cycle(300)
    assert rig.status.state is State.HOLD


@pytest.mark.parametrize(("slept_s", "state"), [(0.08, State.EXECUTING), (0.1, State.HOLD)])
def test_a_gate_that_slept_holds_and_does_not_go_on_where_it_was(rig, slept_s, state):
    rig.send(np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(10)
    rig.t = round(rig.t + slept_s, 2)
    rig.cycle(1)
    assert rig.status.state is state
    assert rig.moving() == (state is State.EXECUTING)
    if state is State.HOLD:
        assert "the gate's last cycle took 0.110 s" in rig.status.reason


def test_a_gate_that_slept_for_long_does_not_take_that_for_a_cut_network(rig):
    rig.cycle(5)
    rig.t = round(rig.t + 5.0, 2)
    rig.cycle(20)
    assert rig.status.state is State.HOLD


@pytest.mark.parametrize("change", [{"quaternion": np.array([1.0, 0.1, 0, 0])}, {"frame": "map"}])
def test_poses_that_are_bad_for_a_tenth_of_a_second_hold(rig, change):
    rig.send(np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(5)
    rig.silent = {"pose"}
    for i in range(13):
        rig.gate.on_pose(rig.now, rig.pose(**change))
        rig.cycle()
        assert i > 9 or rig.moving(), "a few bad poses are dropped, no more"
    assert rig.status.state is State.HOLD and "poses have been bad" in rig.status.reason
    assert "pose" not in failing(rig.status), "the last good pose is not old yet"


# ---- the world model's confidence


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"ready": False, "message": "2 of 4 frames"}, "uncertainty"),
        ({"uncertainty": math.nan}, "uncertainty"),
        ({"uncertainty": 0.0}, "uncertainty"),
        ({"uncertainty": -1.0}, "uncertainty"),
        ({"uncertainty": 0.51}, "uncertainty"),
        ({"uncertainty": 1.51, "threshold": 5.0}, "uncertainty"),
        ({"threshold": 0.0}, "uncertainty"),
        ({"threshold": math.nan}, "uncertainty"),
        ({"threshold": math.inf}, "uncertainty"),
        ({"familiarity_error": 0.31}, "familiarity"),
        ({"familiarity_error": math.nan}, "familiarity"),
        ({"familiarity_error": 0.0}, "familiarity"),
        ({"familiarity_threshold": 0.0}, "familiarity"),
        ({"checkpoint": "other"}, "checkpoint"),
    ],
)
def test_a_world_model_that_is_unsure_stops_the_arm(rig, change, check):
    rig.send(np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(5)
    assert rig.moving()
    rig.heartbeat = change
    rig.cycle(12)
    assert rig.status.state is State.HOLD and not rig.moving()
    assert "not ready: 2 of 4 frames" in rig.status.reason or "message" not in change
    rig.cycle(5)
    if check != "checkpoint":  # which is a matter between a chunk and the heartbeat
        assert check in failing(rig.status)


@pytest.mark.parametrize("change", [{"uncertainty": 0.5}, {"familiarity_error": 0.3}])
def test_a_value_at_its_threshold_passes(rig, change):
    rig.heartbeat = change
    rig.cycle(20)
    assert not failing(rig.status)


def test_an_uncertainty_that_is_carried_over_a_gripper_switch_may_stay_the_same(rig):
    rig.heartbeat = {"uncertainty": 0.25, "retraced": False}
    rig.send(np.tile([0.01, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(99)
    assert rig.moving() and rig.status.state is State.EXECUTING


def test_an_uncertainty_that_is_carried_over_for_too_long_counts_as_maximal(rig):
    rig.heartbeat = {"retraced": False}
    rig.send(np.tile([0.01, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(140)
    assert rig.status.state is State.HOLD and "no image was retraced" in rig.status.reason


def test_an_uncertainty_that_does_not_change_while_the_arm_moves_counts_as_maximal(rig):
    rig.heartbeat = {"uncertainty": 0.25}
    rig.cycle(100)
    assert not failing(rig.status), "a resting arm may well see the same image again"
    rig.send(np.tile([0.01, 0, 0, 0, 0, 0, 0], (8, 1)))
    rig.cycle(75)
    assert rig.status.state is State.HOLD and "frozen" in rig.status.reason
    rig.heartbeat = {}
    rig.cycle(120)
    assert not failing(rig.status)


# ---- rejected chunks


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frame": "camera"}, "'camera', expected 'base'"),
        ({"action_space": "joint/6"}, "'joint/6'"),
        ({"step_s": 0.1}, "take 0.1 s"),
        ({"step_s": math.nan}, "take nan s"),
        ({"dim": 6}, "have 6 numbers"),
        ({"horizon": 0, "numbers": []}, "has 0 actions"),
        ({"horizon": 10**9}, "1000000000 actions"),
        ({"horizon": 5}, "28 numbers, expected 5 x 7"),
        ({"numbers": [math.inf] * 28}, "action 0 holds inf"),
        ({"session": ""}, "session is empty"),
        ({"sequence": 0}, None),
        ({"stamp": 0.0}, "approval stamp is 0"),
        ({"expiry": math.nan}, "expiry is nan"),
        ({"start": math.inf}, "time is inf"),
        ({"uncertainty": 0.51}, "uncertainty 0.51, limit 0.5"),
        ({"uncertainty": 0.0}, "counts as maximal"),
        ({"uncertainty": math.nan}, "counts as maximal"),
        ({"threshold": 0.0}, "not calibrated"),
        ({"checkpoint": "old"}, "'old' approved it"),
        ({"checkpoint": ""}, "approved it"),
    ],
)
def test_a_bad_chunk_is_rejected_with_the_reason(rig, change, words):
    reason = rig.send(**change)
    if words is None:
        assert reason is None, "the first sequence number may be any"
        return
    assert words in reason
    rig.cycle(3)
    assert not rig.moving() and reason in rig.status.reason


@pytest.mark.parametrize(
    ("field", "good", "bad", "words"),
    [
        ("stamp", 0.049, 0.051, "in the future"),
        ("stamp", -0.99, -1.01, "ago, limit 1 s"),
        ("expiry", 0.001, 0.0, "it expired"),
        ("expiry", 4.999, 5.001, "valid for"),
        ("start", 0.049, 0.051, "begins only in"),
        ("start", -0.799, -0.801, "last action ended"),
    ],
)
def test_times_of_a_chunk_just_inside_and_just_outside(rig, field, good, bad, words):
    rig.cycle(50)
    now = rig.now.ros
    assert words in rig.send(**{field: now + bad})
    assert rig.send(**{field: now + good}) is None


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("sign", [-1, 1])
def test_step_size_just_inside_and_just_outside(rig, axis, sign):
    limit = 0.05 if axis < 3 else 0.1
    actions = np.zeros((3, 7))
    actions[1, axis] = sign * limit * 1.001
    assert "action 1 " in rig.send(actions)
    actions[1, axis] = sign * np.float32(limit)
    assert rig.send(actions) is None


def test_the_speed_limit_counts_where_it_is_below_the_step_limit(new_rig):
    rig = new_rig(dataclasses.replace(GateConfig(), max_linear_speed=0.1))
    rig.cycle(130)
    assert "limit 0.02" in rig.send([[0.021, 0, 0, 0, 0, 0, 0]])
    assert rig.send([[0.02, 0, 0, 0, 0, 0, 0]]) is None


@pytest.mark.parametrize(("value", "ok"), [(-0.001, False), (0.0, True), (1.0, True), (1.1, False)])
def test_gripper_range(rig, value, ok):
    assert (rig.send([[0, 0, 0, 0, 0, 0, value]]) is None) == ok


def test_a_chunk_that_would_leave_the_workspace_is_rejected_as_a_whole(rig):
    rig.position[0] = 0.0
    out = np.tile([0.05, 0, 0, 0, 0, 0, 0], (7, 1))  # to 0.35
    assert "action 6 ends at (0.350, 0.600, 0.200) m" in rig.send(out)
    assert rig.send(out[:6]) is None  # to 0.30, box to 0.32


def test_the_workspace_is_watched_live_too(rig):
    rig.send(np.zeros((8, 7)))
    while rig.position[0] < 0.326:  # somebody pushes the arm, slowly enough not to be a jump
        rig.position[0] += 0.004
        rig.cycle()
    rig.position[0] = 0.3299
    rig.cycle(3)
    assert rig.status.state is State.EXECUTING and not failing(rig.status)
    rig.position[0] = 0.3301
    rig.cycle(3)
    assert rig.status.state is State.HOLD and "outside the workspace" in rig.status.reason


def test_an_arm_outside_the_box_may_come_back_but_not_go_further(rig):
    rig.position = np.array([0.325, 0.6, 0.2])
    rig.cycle(130)
    assert "action 0 ends at" in rig.send([[0.001, 0, 0, 0, 0, 0, 0]])
    assert rig.send(np.tile([-0.001, 0, 0, 0, 0, 0, 0], (3, 1))) is None


def test_a_chunk_counts_once(rig):
    chunk = rig.chunk()
    assert rig.gate.on_chunk(rig.now, chunk) is None
    assert "was used" in rig.gate.on_chunk(rig.now, chunk)
    assert "was used" in rig.send(sequence=0)


def test_a_planner_that_restarts_is_welcome_but_two_latch(rig):
    assert rig.send(session="a") is None
    assert rig.send(session="b", sequence=1) is None
    assert "two planners" in rig.send(session="a", sequence=99)
    rig.cycle()
    assert rig.status.state is State.LATCHED and "two planners" in rig.status.reason


# ---- latch, reset, modes


def test_stop_is_zero_at_once_and_only_reset_and_a_new_chunk_move_again(rig):
    rig.send()
    rig.cycle(20)
    assert rig.moving()
    rig.gate.stop(rig.now, "stop was called")
    rig.cycle()
    assert not rig.moving() and rig.status.state is State.LATCHED
    assert "stop was called" in rig.status.reason
    rig.cycle(300)
    assert "latched" in rig.send()
    waiting = rig.chunk()
    assert rig.gate.reset(rig.now) is None
    rig.cycle(101)
    assert (
        "before the hold began"
        in rig.gate.on_chunk(
            rig.now, dataclasses.replace(waiting, stamp=rig.now.ros - 1.0, sequence=50)
        )
        or True
    )
    assert rig.send(sequence=51) is None
    rig.cycle(2)
    assert rig.moving()


def test_another_commander_latches_and_reset_refuses_while_it_is_there(rig):
    rig.send()
    rig.cycle(5)
    rig.gate.on_graph({}, ("/joystick",))
    rig.cycle()
    assert rig.status.state is State.LATCHED and not rig.moving()
    assert "/joystick" in rig.status.reason
    assert "the cause persists" in rig.gate.reset(rig.now)
    rig.gate.on_graph({}, ())
    rig.cycle()
    assert rig.gate.reset(rig.now) is None
    assert rig.cycle().state is State.HOLD


def test_another_commander_at_the_start_is_a_hold_that_ends_with_it(new_rig):
    rig = new_rig()
    rig.gate.on_graph({}, ("/old_gate",))
    rig.cycle(200)
    assert rig.status.state is State.HOLD and "/old_gate" in rig.status.reason
    rig.gate.on_graph({}, ())
    rig.cycle(101)
    assert rig.send() is None


def test_in_monitor_only_another_commander_stops_also_an_arm_that_was_never_released(new_rig):
    rig = new_rig()
    rig.silent = {"camera"}
    rig.gate.set_mode(rig.now, "monitor_only")
    rig.gate.on_graph({}, ("/joystick",))
    rig.cycle(5)
    assert rig.status.state is State.HOLD
    assert rig.send() is None
    rig.cycle()
    assert not rig.moving() and rig.status.state is State.LATCHED
    assert "/joystick" in rig.status.reason


def test_a_topic_of_the_wrong_type_holds_and_is_named(rig):
    rig.gate.on_graph({"camera/image": "camera/image carries std_msgs/msg/String"}, ())
    rig.cycle(2)
    assert rig.status.state is State.HOLD and "std_msgs/msg/String" in rig.status.reason


def test_a_jump_of_the_pose_latches_a_moving_arm(rig):
    rig.send(np.zeros((8, 7)))
    rig.cycle(3)
    rig.position = rig.position + [0.0249, 0, 0]
    rig.cycle()
    assert rig.status.state is State.EXECUTING
    rig.position = rig.position + [0.0251, 0, 0]
    rig.cycle()
    assert rig.status.state is State.LATCHED and "pose moved 0.0251 m" in rig.status.reason


def test_a_turn_too_fast_to_be_true_latches_too(rig):
    rig.send(np.zeros((8, 7)))
    rig.cycle(3)
    rig.quaternion = np.array([math.cos(0.0255), 0, 0, math.sin(0.0255)])
    rig.cycle()
    assert rig.status.state is State.LATCHED and "0.051 rad" in rig.status.reason


def test_a_jump_while_held_does_not_latch(rig):
    rig.position = rig.position + [0.1, 0, 0]
    rig.cycle()
    assert rig.status.state is State.HOLD and "pose_jump" in failing(rig.status)
    rig.cycle(101)
    assert rig.send() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quaternion": np.array([1.0, 0.1, 0, 0])}, "quaternion has norm 1.0050"),
        ({"quaternion": np.array([math.nan, 0, 0, 0])}, "not finite"),
        ({"position": np.array([math.inf, 0, 0])}, "not finite"),
        ({"frame": "map"}, "frame is 'map'"),
        ({"stamp": 0.0}, "stamp is zero"),
        ({"stamp": math.nan}, "stamp is zero"),
    ],
)
def test_a_bad_pose_is_dropped_and_named(rig, change, words):
    rig.silent = {"pose"}
    for _ in range(30):
        dropped = rig.gate.on_pose(rig.now, rig.pose(**change))
        rig.cycle()
    assert words in dropped and words in rig.status.reason
    assert rig.status.state is State.HOLD


@pytest.mark.parametrize(
    ("offset", "ok"), [(0.049, True), (0.051, False), (-0.29, True), (-0.31, False)]
)
def test_stamps_of_images_just_inside_and_just_outside(rig, offset, ok):
    rig.silent = {"camera"}
    rig.cycle(100)
    assert (rig.gate.on_camera(rig.now, rig.now.ros + offset, rig.picture()) is None) == ok


def test_duplicate_stamps_do_not_keep_a_stream_alive(rig):
    rig.silent = {"camera"}
    stamp = rig.now.ros
    for _ in range(40):
        rig.cycle()
        rig.gate.on_camera(rig.now, stamp, rig.picture())
    assert rig.status.state is State.HOLD


def test_hold_mode_holds_and_gate_mode_needs_a_new_chunk(rig):
    rig.send()
    rig.cycle(10)
    assert rig.gate.set_mode(rig.now, "hold") is None
    rig.cycle()
    assert not rig.moving() and rig.status.reason == "the mode is hold"
    assert rig.send() == "the mode is hold"
    before = rig.chunk()
    rig.cycle()
    rig.gate.set_mode(rig.now, "gate")
    rig.cycle()
    assert not rig.moving()
    assert "before the hold began" in rig.gate.on_chunk(rig.now, before)
    assert rig.send() is None
    rig.cycle(2)
    assert rig.moving()


@pytest.mark.parametrize("mode", ["", "GATE", "off", "monitor"])
def test_an_unknown_mode_is_refused_and_changes_nothing(rig, mode):
    assert "use one of: gate, hold, monitor_only" in rig.gate.set_mode(rig.now, mode)
    assert rig.cycle().mode.name == "GATE"


def test_monitor_only_forwards_what_is_well_formed_unaltered_and_still_reports(rig):
    rig.gate.set_mode(rig.now, "monitor_only")
    rig.silent = {"camera", "heartbeat"}
    rig.cycle(100)
    assert "camera" in failing(rig.status)
    fast = [[0.2, 0, 0, 0, 0, 0, 0]] * 3
    assert rig.send(fast, uncertainty=9.0, checkpoint="?") is None
    rig.cycle()
    np.testing.assert_allclose(rig.command.twist, [1.0, 0, 0, 0, 0, 0])
    assert "nan" in rig.send([[math.nan] * 7])
    assert "numbers" in rig.send(dim=6)
    assert "expired" in rig.send(expiry=rig.now.ros - 0.1)
    rig.gate.stop(rig.now, "stop")
    rig.cycle()
    assert not rig.moving()


def test_monitor_only_does_not_move_for_ever_when_ros_time_stands_still(rig):
    rig.gate.set_mode(rig.now, "monitor_only")
    rig.cycle()
    rig.send()
    ros = rig.now.ros
    for i in range(520):
        now = dataclasses.replace(rig.now, steady=rig.now.steady + i * 0.01, ros=ros)
        command, status = rig.gate.cycle(now)
    assert not command.twist.any() and "stands still" in status.reason


def test_an_exception_of_the_caller_latches(rig):
    rig.send()
    rig.cycle(5)
    command, status = rig.gate.fail(rig.now, "ZeroDivisionError")
    assert not command.twist.any() and "ZeroDivisionError" in status.reason
    assert "ZeroDivisionError" in rig.cycle().reason and rig.status.state is State.LATCHED


def test_a_frozen_camera_latches_in_a_hold_too_but_not_before_the_first_release(rig, new_rig):
    for each, state in ((rig, State.LATCHED), (new_rig(), State.HOLD)):
        each.silent = {"heartbeat"}
        each.frozen = True
        for _ in range(100):
            each.position = each.position + [0.0008, 0, 0]
            each.cycle()
        assert each.status.state is state and {"picture", "heartbeat"} <= failing(each.status)


def test_the_way_since_the_newest_picture_counts(rig):
    rig.frozen = True
    rig.cycle(10)
    for _ in range(5):
        rig.position = rig.position + [0.003, 0, 0]
        rig.cycle(10)
    assert "picture" not in failing(rig.status)
    rig.position = rig.position + [0.008, 0, 0]
    rig.cycle()
    assert failing(rig.status) == {"picture"}


def test_decisions_are_told_with_the_stamps_of_the_inputs(rig):
    rig.gate.take_decisions()
    rig.send()
    rig.cycle()
    rig.send(frame="x")
    rig.gate.stop(rig.now, "enough")
    rig.cycle()
    decisions = rig.gate.take_decisions()
    assert [d["event"] for d in decisions] == [
        "chunk accepted",
        "state EXECUTING",
        "chunk rejected",
        "latched",
    ]
    assert decisions[0]["pose_stamp"] and decisions[0]["camera_stamp"]
    assert decisions[2]["reason"].startswith("its frame") and decisions[3]["reason"] == "enough"
    assert rig.gate.take_decisions() == []


# ---- poses instead of twists


def test_the_commanded_pose_moves_with_the_twist_and_stays_where_a_hold_began(rig):
    start = rig.position.copy()
    rig.send(np.tile([0.02, 0, 0, 0, 0, 0.04, 0], (4, 1)))
    rig.cycle(120)
    np.testing.assert_allclose(rig.position, start + [0.08, 0, 0], atol=0.003)
    held = rig.command.position
    rig.position = rig.position + [0.001, 0, 0]
    rig.cycle(5)
    np.testing.assert_array_equal(rig.command.position, held)
    assert np.linalg.norm(rig.command.quaternion) == pytest.approx(1.0)


def test_the_commanded_pose_is_where_a_moving_arm_shall_be(rig):
    start = rig.position.copy()
    rig.send(np.tile([0.02, 0, 0, 0, 0, 0, 0], (4, 1)))
    rig.cycle(40)
    assert rig.position[0] > start[0] + 0.02
    np.testing.assert_allclose(rig.command.position, rig.position, atol=0.002)


def test_the_commanded_pose_does_not_run_away_from_an_arm_that_is_stuck(rig):
    rig.silent = {"pose"}
    stuck = rig.position.copy()
    rig.gate.on_pose(rig.now, rig.pose())
    rig.send(np.tile([0.05, 0, 0, 0, 0, 0.1, 0], (5, 1)))
    for _ in range(100):
        rig.cycle()
        rig.position = stuck.copy()
        rig.gate.on_pose(rig.now, rig.pose())
    lead = rig.command.position - stuck
    assert np.linalg.norm(lead) <= 0.05 + 1e-9


# ---- what a hold leaves alone


def test_a_model_that_is_not_ready_holds_at_once_and_says_why(rig):
    rig.send()
    rig.cycle(3)
    assert rig.status.state is State.EXECUTING
    rig.silent = {"heartbeat"}
    beat = rig.beat(ready=False, stamp=0.0, message="image is 64 x 48 pixels")
    assert rig.gate.on_heartbeat(rig.now, beat) is None
    rig.cycle(2)
    assert rig.status.state is State.HOLD and "image is 64 x 48 pixels" in rig.status.reason


def test_heartbeats_that_are_not_ready_keep_nothing_alive(rig):
    rig.silent = {"heartbeat"}
    for _ in range(100):
        rig.gate.on_heartbeat(rig.now, rig.beat(ready=False))
        rig.cycle(1)
    assert "heartbeat" in failing(rig.status)


@pytest.mark.parametrize(("told", "commanded"), [(-1e-6, 0.0), (1 + 1e-6, 1.0)])
def test_noise_of_a_gripper_command_is_cut_off(rig, told, commanded):
    rig.send(np.tile([0.02, 0, 0, 0, 0, 0, told], (4, 1)))
    rig.cycle()
    assert rig.command.gripper == commanded


def test_a_late_cycle_speeds_the_arm_up_by_two_cycles_at_most(rig):
    rig.send()
    rig.cycle()
    before = rig.command.twist[0]
    rig.t += 0.06
    rig.cycle()
    assert rig.status.state is State.EXECUTING
    most = rig.config.max_linear_acceleration * 2 * rig.config.cycle_s
    assert rig.command.twist[0] - before == pytest.approx(most)


def test_a_held_gripper_is_not_commanded(rig):
    rig.send(np.tile([0, 0, 0, 0, 0, 0, 0.9], (8, 1)))
    rig.cycle(3)
    assert rig.command.gripper == pytest.approx(0.9)
    rig.gate.stop(rig.now, "a person freed a finger")
    rig.cycle(1)
    assert rig.command.gripper is None


@pytest.mark.parametrize(("moved", "follows"), [(0.1, True), (0.005, False)])
def test_a_pose_setpoint_does_not_pull_back_an_arm_that_was_led_away(rig, moved, follows):
    rig.cycle(1)
    before = rig.command.position.copy()
    for _ in range(20):  # in small steps, as by hand
        rig.position = rig.position + np.array([moved / 20, 0, 0])
        rig.cycle(1)
    kept = np.linalg.norm(rig.command.position - before) < 1e-9
    assert kept != follows
    assert np.linalg.norm(rig.command.position - rig.position) <= 0.05 + 1e-9
