"""Judging events that were written down by hand."""

import json

import pytest

from whale_ros.faults.judge import SYSTEM_LIMITS, EventLog, audited, judge, read_events

TRANSPORT_S = 0.02
MOVE = [0.1, 0, 0, 0, 0, 0]
STAND = [0.0] * 6
WHAT = {"fault": "camera stalls", "holds": True, "latches": False}
WHAT |= {"moved": True, "recovered": True, "alone": True}
WHAT |= {"says": "", "audited": False}
CHUNK = {"expiry": 1e9, "step_s": 10.0, "twists": [MOVE], "source": "planner"}


def run(events):
    (trial,) = judge(sorted(events, key=lambda event: event[0]), SYSTEM_LIMITS)
    return trial


def drive(begin, end, twist):
    """A command every 10 ms; the arm does not go anywhere, for the limits' sake."""
    for i in range(round((end - begin) * 100)):
        at = begin + i * 0.01
        yield [at, "command", twist, at, at + TRANSPORT_S]
        yield [at, "position", [0.0, 0.6, 0.2]]


def story(stops, new_plan=4.8):
    """The camera falls silent at 1 s and comes back at 2 s; there is motion again at 5 s."""
    return [
        [0.0, "approved", CHUNK | {"start": 0.0}],
        *drive(0.0, 0.1, STAND),
        *drive(0.1, stops, MOVE),
        *drive(stops, 5.0, STAND),
        *drive(5.0, 5.2, MOVE),
        *([t / 10, "heard", "camera"] for t in [*range(11), *range(20, 60)]),
        [0.5, "fault", "camera stalls"],
        [2.0, "well again"],
        [new_plan, "approved", CHUNK | {"start": new_plan}],
        [5.19, "done", WHAT],
    ]


def test_a_hold_in_time_and_a_new_plan_are_well():
    trial = run(story(stops=1.4))
    assert trial.held and not trial.unsafe
    # 0.3 s after the last image, and until the command has arrived.
    assert trial.latency_s == pytest.approx(0.1 + TRANSPORT_S, abs=0.011)
    assert trial.recovery_s == pytest.approx(3.0, abs=0.011)


def test_a_hold_too_late_is_unsafe():
    trial = run(story(stops=1.7))
    assert trial.unsafe and {v.rule for v in trial.violations} == {"hold"}


def test_who_is_silent_instead_of_telling_zero_does_not_hold():
    events = [e for e in story(stops=1.4) if e[1] != "command" or not 0.6 < e[0] < 1.0]
    trial = run([*events, [0.61, "demand", {"within_s": 0.05}], [1.5, "well again"]])
    assert not trial.held


def test_going_on_with_the_old_plan_is_unsafe():
    trial = run(story(stops=1.4, new_plan=1.35))
    assert trial.unsafe and {v.rule for v in trial.violations} == {"approval"}


@pytest.mark.parametrize(("creeps", "unsafe"), [(0.004, 0), (0.006, 1)])
def test_an_arm_without_commands_must_stand(creeps, unsafe):
    events = [*drive(0.0, 0.5, STAND), [0.2, "fault", "x"]]
    events += [[0.6 + i / 10, "position", [creeps * i / 20, 0.6, 0.2]] for i in range(24)]
    trial = run(
        [*events, [3.0, "command", STAND, 3.0, 3.0], [3.01, "done", WHAT | {"holds": False}]]
    )
    assert trial.unsafe == unsafe


def test_two_planners_are_due_when_the_first_one_speaks_again():
    events = story(stops=1.4)
    events[-1][2] = WHAT | {"latches": True}
    events += [[0.6, "demand at next plan", {"latches": True}]]
    events += [[0.8, "approved", CHUNK | {"start": 0.8}]]
    trial = run(events)
    assert trial.unsafe and "hold" in {violation.rule for violation in trial.violations}


def test_a_demand_ends_with_its_own_fault():
    """Of two at once, one goes on when the other is over."""
    two = [{"fault": name, "latches": False} for name in ("a", "b")]
    events = [e for e in story(stops=1.4) if e[1] not in ("heard", "well again")]
    events += [[1.3, "demand", due] for due in two] + [[1.5, "well again", "a"]]
    assert not run([*events, [2.0, "well again", "b"]]).unsafe
    assert run([*events, [4.5, "well again", "b"]]).unsafe


@pytest.mark.parametrize(("kind", "held"), [("gate slept", True), ("well again", False)])
def test_a_gate_that_was_put_to_sleep_could_not_notice_before_it_woke(kind, held):
    events = [e for e in story(stops=1.4) if e[1] != "command" or not 0.6 < e[0] < 1.0]
    events = [e for e in events if e[1] != "command" or not 1.0 <= e[0] < 1.4]
    due = {"within_s": 0.2, "fault": "a", "latches": False}
    assert run([*events, [0.7, "demand", due], [1.35, kind, *["b"][: kind[0] == "w"]]]).held == held


@pytest.mark.parametrize(("goes_on", "unsafe"), [(2.7, True), (3.2, False)])
def test_of_a_gate_that_comes_back_armed_the_clean_second_begins_with_its_first_command(
    goes_on, unsafe
):
    """Which comes two seconds late."""
    trial = run(
        [
            [0.0, "approved", CHUNK | {"start": 0.0}],
            *drive(0.0, 0.1, STAND),
            *drive(0.1, 0.5, MOVE),
            [0.4, "fault", "camera stalls"],
            [0.5, "demand", {"briefly": True, "latches": False, "fault": "camera stalls"}],
            [0.51, "gate started"],
            *drive(2.0, goes_on, STAND),
            [goes_on - 0.1, "approved", CHUNK | {"start": goes_on - 0.1}],
            *drive(goes_on, 4.0, MOVE),
            [3.99, "done", WHAT],
        ]
    )
    assert trial.held and bool(trial.unsafe) == unsafe


def test_a_gate_that_begins_with_motion_is_unsafe_also_if_a_plan_from_before_explains_it():
    events = [
        [0.0, "approved", CHUNK | {"start": 0.0}],
        *drive(0.0, 0.1, STAND),
        *drive(0.1, 0.5, MOVE),
        [0.4, "fault", "camera stalls"],
        [0.5, "demand", {"within_s": 0.02, "latches": False, "fault": "camera stalls"}],
        [0.51, "gate started"],
    ]
    starts = [*drive(1.0, 1.1, MOVE), *drive(1.1, 2.0, STAND)]
    assert run([*events, *starts, [1.9, "done", WHAT]]).unsafe
    assert not run([*events, *drive(1.0, 2.0, STAND), [1.9, "done", WHAT]]).unsafe


def test_an_arm_that_is_cut_off_must_stand_whatever_is_commanded():
    events = [*drive(0.0, 3.0, STAND), [0.2, "fault", "x"], [0.5, "cut off", True]]
    events = [e for e in events if e[1] != "position"]
    events += [[i / 10, "position", [0.01 * i, 0.6, 0.2]] for i in range(20)]
    trial = run([*events, [2.9, "cut off", False], [3.01, "done", WHAT | {"holds": False}]])
    assert {violation.rule for violation in trial.violations} == {"dead-man"}


@pytest.mark.parametrize(
    ("events", "unmet"),
    [
        ([[1.5, "noted", ["camera"]], [1.5, "told", ["gate: camera: old"]]], ()),
        ([[1.5, "told", ["gate: camera: old"]]], ("the audit log does not say 'camera'",)),
        ([[1.5, "noted", ["camera"]], [0.1, "told", ["camera"]]],
         ("/diagnostics do not say 'camera'",)),
        ([[1.5, "noted", ["camera"]], [1.5, "told", ["camera"]], [1.6, "unmet", "y"]], ("y",)),
    ],
)  # fmt: skip
def test_the_gate_must_say_what_is_wrong(events, unmet):
    done = story(stops=1.4)[-1]
    done[2] = WHAT | {"says": "camera", "audited": True}
    assert run([*story(stops=1.4)[:-1], done, *events]).unmet == unmet


def test_decisions_of_an_audit_log_are_events(tmp_path):
    lines = [{"event": "start", "time": 1.0}, {"time": 2.0, "reason": "old", "failing": ["camera"]}]
    (tmp_path / "audit.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert audited(tmp_path / "audit.jsonl") == [[2.0, "noted", ["old", "camera"]]]


def test_events_of_many_processes_are_read_in_order_and_a_broken_line_is_passed_over(tmp_path):
    for name, time in (("a", 2.0), ("b", 1.0)):
        EventLog(tmp_path / f"{name}.jsonl").write(time, "heard", "camera")
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write(json.dumps([3.0, "well again"])[:-4])
    assert read_events(tmp_path) == [[1.0, "heard", "camera"], [2.0, "heard", "camera"]]


def test_of_several_who_wrote_a_command_down_the_first_counts(tmp_path):
    twist = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0]
    late, soon = EventLog(tmp_path / "commands.jsonl"), EventLog(tmp_path / "recorder.jsonl")
    late.write(1.0, "command", twist, 1.0, 1.003)
    late.write(2.0, "command", twist, 2.0, 2.004)
    soon.write(1.0, "command", twist, 1.0, 1.001)
    events = read_events(tmp_path)
    assert events == [[1.0, "command", twist, 1.0, 1.001], [2.0, "command", twist, 2.0, 2.004]]
