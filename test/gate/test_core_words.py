"""What the gate says: in its status, in its audit log, and as reasons."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Mode, State

SLOW = np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1))
STATUS = Path(__file__).parents[2] / "msg/GateStatus.msg"


def test_states_and_modes_are_numbered_as_in_the_message():
    text = STATUS.read_text()
    for state in State:
        assert f"uint8 {state.name}={state.value} " in text
    for mode in Mode:
        assert f"uint8 MODE_{mode.name}={mode.value} " in text


def test_at_the_start_nothing_was_done(new_rig):
    status = new_rig().cycle()
    assert (status.state, status.mode, status.chunk_id) == (State.HOLD, Mode.GATE, "")
    assert (status.chunks_executed, status.chunks_rejected) == (0, 0)
    gate = new_rig().gate
    assert not gate.has_heartbeat and gate.take_decisions() == []
    assert (gate.state, gate.mode) == (State.HOLD, Mode.GATE)


def test_before_the_first_cycle_it_says_that_it_has_just_started(new_rig):
    rig = new_rig()
    rig.gate.on_heartbeat(rig.now, rig.beat())
    assert rig.gate.has_heartbeat
    assert rig.send(stamp=rig.now.ros) == (
        "it was approved before the hold began: started just now"
    )
    assert rig.send(stamp=rig.now.ros + 0.001) == "the gate holds: started just now"


# ---- checks

HEALTHY = {
    "command_topic": (0.0, 0.0, "nobody else publishes arm commands", False),
    "topics": (0.0, 0.0, "topics have the expected types", False),
    "checkpoint": (0.0, 0.0, "no chunk to compare checkpoints for", False),
    "network": (
        0.0, 1.0, "camera, pose and world model are all silent for 0.000 s, limit 1 s", False,
    ),
    "loop": (0.01, 0.1, "the gate's last cycle took 0.010 s, limit 0.1 s", True),
}  # fmt: skip


def checks(rig):
    return {check.name: check for check in rig.status.checks}


def told(check):
    return round(check.value, 6), check.threshold, check.message, check.urgent


def test_every_check_is_told_each_cycle_in_the_same_order(new_rig):
    names = [
        "camera", "picture", "picture_kind", "pose", "pose_content", "pose_jump", "skew",
        "workspace", "heartbeat", "uncertainty", "familiarity", "clock", "clock_jump", "network",
        "loop", "checkpoint", "command_topic", "topics",
    ]  # fmt: skip
    rig = new_rig()
    for _ in range(12):
        assert [check.name for check in rig.cycle().checks] == names
    assert all(check.ok for check in rig.status.checks)
    for name, expected in HEALTHY.items():
        assert told(checks(rig)[name]) == expected
    rig = new_rig(dataclasses.replace(GateConfig(), estop_topic="estop"))
    assert [check.name for check in rig.cycle().checks if check.name not in names] == ["estop"]


def test_who_else_commands_is_named_and_counted(rig):
    rig.gate.on_graph({}, ("/a", "/b"))
    rig.cycle()
    check = checks(rig)["command_topic"]
    assert not check.ok and told(check) == (
        2.0, 0.0, "others publish arm commands: /a, /b", False,
    )  # fmt: skip


def test_what_is_wrong_with_topics_is_told_and_counted(rig):
    rig.gate.on_graph({"x": "x is wrong", "y": "y is wrong"}, ())
    rig.cycle()
    check = checks(rig)["topics"]
    assert not check.ok and told(check) == (2.0, 0.0, "x is wrong; y is wrong", False)


def test_both_checkpoints_are_named(rig):
    assert rig.send() is None
    rig.cycle()
    same = checks(rig)["checkpoint"]
    assert same.ok and told(same) == (
        0.0, 0.0, "chunk by checkpoint 'abc', watched by 'abc'", False,
    )  # fmt: skip
    rig.heartbeat = {"checkpoint": "0123456789abcdef"}
    rig.cycle(130)
    assert rig.send(checkpoint="0123456789abcdef") is None
    rig.heartbeat = {"checkpoint": "fedcba9876543210"}
    while checks(rig)["checkpoint"].ok:
        rig.cycle()
    assert told(checks(rig)["checkpoint"]) == (
        1.0, 0.0, "chunk by checkpoint '0123456789ab', watched by 'fedcba987654'", False,
    )  # fmt: skip


def test_silence_of_all_is_measured_in_the_gates_own_cycles(rig):
    rig.cycle(10 - round(rig.t * 100) % 10)  # all three came in this cycle
    rig.silent = {"camera", "pose", "heartbeat"}
    rig.cycle(100)
    check = checks(rig)["network"]
    assert check.ok and check.value == pytest.approx(1.0)
    rig.cycle(1)
    check = checks(rig)["network"]
    assert not check.ok and check.threshold == 1.0
    assert check.message == ("camera, pose and world model are all silent for 1.010 s, limit 1 s")


def test_silence_is_counted_from_the_start(new_rig):
    rig = new_rig()
    rig.silent = {"camera", "pose", "heartbeat"}
    rig.cycle(50)
    assert checks(rig)["network"].value == pytest.approx(0.5)


@pytest.mark.parametrize("stream", ["camera", "pose", "heartbeat"])
def test_any_of_them_ends_the_silence(rig, stream):
    rig.silent = {"camera", "pose", "heartbeat"}
    rig.cycle(50)
    rig.silent -= {stream}
    rig.cycle(10)
    assert checks(rig)["network"].value < 0.1


def test_a_gate_that_slept_counts_a_tenth_of_a_second_of_silence(rig):
    rig.silent = {"camera", "pose", "heartbeat"}
    rig.cycle(20)
    before = checks(rig)["network"].value
    rig.t = round(rig.t + 7.0, 2)
    rig.cycle()
    assert checks(rig)["network"].value == pytest.approx(before + 0.1)


@pytest.mark.parametrize(("took_s", "ok"), [(0.0, True), (0.1, True), (0.11, False), (-0.5, False)])
def test_a_cycle_takes_a_tenth_of_a_second_at_most_and_never_less_than_nothing(new_rig, took_s, ok):
    rig = new_rig()
    now = dataclasses.replace(rig.now, steady=0.0)
    rig.gate.cycle(now)
    _, status = rig.gate.cycle(dataclasses.replace(now, steady=took_s))
    (check,) = [check for check in status.checks if check.name == "loop"]
    assert check.ok == ok and check.value == took_s and check.urgent
    assert check.message == f"the gate's last cycle took {took_s:.3f} s, limit 0.1 s"


def test_a_slow_loop_may_take_three_of_its_cycles(new_rig):
    rig = new_rig(GateConfig(cycle_s=0.05))
    rig.cycle()
    assert checks(rig)["loop"].threshold == pytest.approx(0.15)


# ---- reasons


def test_a_hold_says_how_long_it_lasts_and_what_began_it(new_rig):
    rig = new_rig()
    rig.silent = {"camera"}
    rig.cycle(20)
    assert rig.status.reason == "no camera message yet"
    rig.silent = set()
    rig.cycle(20)
    begun = rig.status.reason
    left = 1.0 - 0.01 * rig.gate._debounce.good
    assert begun == (
        f"all checks pass, {left:.2f} s until release; was held because: no camera message yet"
    )


def test_several_causes_are_all_told(rig):
    rig.silent = {"camera", "heartbeat"}
    rig.cycle(60)
    camera, heartbeat = (checks(rig)[name].message for name in ("camera", "heartbeat"))
    assert rig.status.reason == f"{camera}; {heartbeat}"
    assert rig.send() == f"the gate holds: {camera}; {heartbeat}"


def test_what_became_of_the_last_chunk_is_told_while_waiting(rig):
    waiting = "waiting for an approved chunk"
    assert rig.status.reason == waiting
    reason = rig.send(frame="x")
    assert rig.cycle().reason == f"{waiting}; chunk 'chunk 1' was rejected: {reason}"
    assert rig.send() is None
    rig.cycle(120)
    assert rig.status.reason == f"{waiting}; chunk 'chunk 2' is finished"
    rig.send(expiry=rig.now.ros + 0.05)
    rig.cycle(10)
    assert rig.status.reason == f"{waiting}; chunk 'chunk 3' expired"
    assert (rig.status.chunks_executed, rig.status.chunks_rejected) == (2, 1)


def test_a_chunk_also_expires_on_the_steady_clock(rig):
    """In mode monitor_only, in which a clock that stands still does not hold."""
    rig.gate.set_mode(rig.now, "monitor_only")
    rig.cycle()
    assert rig.send(expiry=rig.now.ros + 4.9) is None
    ros, told = rig.now.ros, {}
    for cycles in range(1, 503):
        now = dataclasses.replace(rig.now, steady=rig.now.steady + cycles * 0.01, ros=ros)
        told[cycles] = rig.gate.cycle(now)[1].reason
    assert not any(told[cycles] for cycles in range(1, 500))
    assert told[502] == (
        "waiting for an approved chunk; chunk 'chunk 1' expired on the steady clock: "
        "ROS time stands still"
    )


def test_a_chunk_of_the_future_does_not_move(rig):
    """ROS time went back by less than a jump, again and again."""
    rig.gate.set_mode(rig.now, "monitor_only")
    rig.cycle()
    assert rig.send() is None
    approved = rig.now.ros
    for behind_s, moves in ((0.0, True), (0.04, True), (0.06, False)):
        rig.t = round(rig.t + 0.01, 6)
        now = dataclasses.replace(rig.now, ros=approved - behind_s)
        rig.gate._clock.look(dataclasses.replace(now, steady=now.steady - 0.01))
        command, status = rig.gate.cycle(now)
        assert command.twist.any() == moves
    assert status.reason.endswith("was approved in the future: ROS time went back")


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda rig: rig.gate.stop(rig.now, "enough"), "enough"),
        (lambda rig: rig.gate.fail(rig.now, "E: so"), "internal error of the gate: E: so"),
    ],
)
def test_a_latch_says_what_began_it_and_keeps_to_it(rig, act, words):
    act(rig)
    rig.gate.stop(rig.now, "something else")
    assert rig.cycle().reason == f"latched until reset: {words}"
    assert rig.send() == f"the gate is latched: {words}"


def test_a_failure_gives_what_to_publish_at_once(rig):
    rig.send()
    rig.cycle(20)
    command, status = rig.gate.fail(rig.now, "E: so")
    assert not command.twist.any() and command.gripper is None
    assert status.state is State.LATCHED and status.chunk_id == ""
    assert status.reason == "latched until reset: internal error of the gate: E: so"


def test_two_planners_are_named(rig):
    rig.send(session="a")
    rig.send(session="b", sequence=0)
    assert rig.send(session="a", sequence=9) == (
        "its session 'a' was replaced by 'b': two planners"
    )
    assert rig.cycle().reason == (
        "latched until reset: two planners approve chunks, one in session 'a'"
    )
    assert rig.gate.reset(rig.now) is None
    rig.cycle(101)
    assert rig.send(session="a", sequence=9) is None, "a reset chooses who speaks next"


def test_modes_are_told_and_unknown_ones_refused(rig):
    assert rig.gate.set_mode(rig.now, "fast") == (
        "unknown mode 'fast', use one of: gate, hold, monitor_only"
    )
    assert rig.gate.set_mode(rig.now, "hold") is None
    assert rig.cycle().reason == "the mode is hold" and rig.status.mode is Mode.HOLD
    assert rig.gate.set_mode(rig.now, "gate") is None
    early = rig.chunk(stamp=rig.now.ros)
    assert rig.gate.on_chunk(rig.now, early) == (
        "it was approved before the hold began: mode was set to gate"
    )


# ---- the audit log


def test_a_decision_holds_all_that_it_was_made_from(rig):
    rig.cycle(10 - round(rig.t * 100) % 10)  # all three came in this cycle
    rig.gate.take_decisions()
    chunk = rig.chunk()
    assert rig.gate.on_chunk(rig.now, chunk) is None
    (decision,) = rig.gate.take_decisions()
    assert decision == {
        "time": rig.now.ros,
        "event": "chunk accepted",
        "reason": "",
        "state": "HOLD",
        "mode": "GATE",
        "failing": [],
        "camera_stamp": rig.now.ros,
        "pose_stamp": rig.now.ros,
        "heartbeat_stamp": rig.now.ros,
        "uncertainty_now": rig.gate._confidence.heartbeat.uncertainty,
        "checkpoint_now": "abc",
        "chunk_id": chunk.id,
        "session": "s1",
        "sequence": chunk.sequence,
        "chunk_stamp": chunk.stamp,
        "expiry": chunk.expiry,
        "checkpoint": "abc",
        "uncertainty": 0.2,
        "uncertainty_threshold": 0.5,
    }


def test_a_decision_before_anything_came_says_so(new_rig):
    rig = new_rig()
    rig.gate.stop(rig.now, "enough")
    (decision,) = rig.gate.take_decisions()
    assert math.isnan(decision.pop("camera_stamp"))
    assert decision == {
        "time": rig.now.ros,
        "event": "latched",
        "reason": "enough",
        "state": "LATCHED",
        "mode": "GATE",
        "failing": [],
        "pose_stamp": None,
        "heartbeat_stamp": None,
        "uncertainty_now": None,
        "checkpoint_now": None,
    }


def test_rejections_are_counted_and_a_reset_says_that_it_was_one(rig):
    for _ in range(2):
        rig.send(frame="x")
    assert rig.cycle().chunks_rejected == 2
    rig.gate.stop(rig.now, "enough")
    rig.gate.reset(rig.now)
    assert rig.cycle().reason == (
        "all checks pass, 0.99 s until release; was held because: reset just now"
    )


def test_each_kind_of_decision_is_written_down(rig):
    rig.gate.take_decisions()
    reason = rig.send(frame="x")
    rig.send()
    rig.cycle()
    rig.gate.set_mode(rig.now, "hold")
    rig.cycle()
    rig.gate.set_mode(rig.now, "gate")
    rig.gate.on_graph({}, ("/a",))
    rig.cycle()
    refused = rig.gate.reset(rig.now)
    rig.gate.on_graph({}, ())
    rig.cycle()
    rig.gate.reset(rig.now)
    assert rig.gate.reset(rig.now) is None, "nothing to decide"
    others = "others publish arm commands: /a"
    assert refused == f"the cause persists: {others}"
    decisions = rig.gate.take_decisions()
    assert [(d["event"], d["reason"], d["state"], d["mode"]) for d in decisions] == [
        ("chunk rejected", reason, "HOLD", "GATE"),
        ("chunk accepted", "", "HOLD", "GATE"),
        ("state EXECUTING", "", "EXECUTING", "GATE"),
        ("mode set", "", "HOLD", "HOLD"),
        ("mode set", "", "HOLD", "GATE"),
        ("latched", others, "LATCHED", "GATE"),
        ("reset refused", others, "LATCHED", "GATE"),
        ("reset", "", "HOLD", "GATE"),
    ]
    assert decisions[5]["failing"] == ["command_topic"]


@pytest.mark.parametrize(
    ("prepare", "state", "mode"),
    [
        (lambda rig: None, "HOLD", "GATE"),  # waiting for a chunk
        (lambda rig: rig.gate.set_mode(rig.now, "hold"), "HOLD", "HOLD"),
        (lambda rig: rig.gate.stop(rig.now, "enough"), "LATCHED", "GATE"),
        (lambda rig: rig.gate.set_mode(rig.now, "monitor_only"), "HOLD", "MONITOR_ONLY"),
    ],
)
def test_a_check_that_begins_to_fail_is_written_down_once_where_it_changes_nothing(
    rig, prepare, state, mode
):
    prepare(rig)
    rig.cycle()
    rig.gate.take_decisions()
    rig.silent = {"heartbeat"}
    rig.cycle(70)
    (decision,) = rig.gate.take_decisions()
    assert (decision["event"], decision["state"], decision["mode"]) == ("checks fail", state, mode)
    assert "newest heartbeat message is" in decision["reason"]
    assert decision["failing"] == ["heartbeat"]
    rig.silent = {"heartbeat", "camera"}
    rig.cycle(50)
    (decision,) = rig.gate.take_decisions()
    assert (decision["event"], decision["failing"]) == ("checks fail", ["camera", "heartbeat"])
    camera, heartbeat = decision["reason"].split("; ")
    assert camera.startswith("newest camera") and heartbeat.startswith("newest heartbeat")
    assert camera.endswith("limit 0.3 s")
    rig.silent = set()
    rig.cycle(120)
    rig.silent = {"camera"}
    rig.cycle(50)
    assert [d["failing"] for d in rig.gate.take_decisions()] == [["camera"]], "again, once released"


def test_the_end_of_motion_is_a_decision(rig):
    rig.send()
    rig.cycle()
    rig.gate.take_decisions()
    rig.cycle(120)
    (decision,) = rig.gate.take_decisions()
    assert (decision["event"], decision["state"]) == ("state HOLD", "HOLD")
    assert decision["reason"] == "waiting for an approved chunk; chunk 'chunk 1' is finished"
