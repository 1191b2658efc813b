"""Judging events that were written down by hand."""

import json

import pytest

from whale_ros.faults.judge import SYSTEM_LIMITS, EventLog, judge, read_events

MOVE = [0.1, 0, 0, 0, 0, 0]
STAND = [0.0] * 6
WHAT = {"fault": "camera stalls", "holds": True, "latches": False}
WHAT |= {"moved": True, "recovered": True, "alone": True}
CHUNK = {"expiry": 1e9, "step_s": 10.0, "twists": [MOVE], "source": "planner"}


def run(events):
    (trial,) = judge(sorted(events, key=lambda event: event[0]), SYSTEM_LIMITS)
    return trial


def drive(begin, end, twist):
    """A command every 10 ms; the arm does not go anywhere, for the limits' sake."""
    for i in range(round((end - begin) * 100)):
        yield [begin + i * 0.01, "command", twist]
        yield [begin + i * 0.01, "position", [0.0, 0.6, 0.2]]


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
    assert trial.latency_s == pytest.approx(0.1, abs=0.011)  # 0.3 s after the last image
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
    trial = run([*events, [3.0, "command", STAND], [3.01, "done", WHAT | {"holds": False}]])
    assert trial.unsafe == unsafe


def test_two_planners_are_due_when_the_first_one_speaks_again():
    events = story(stops=1.4)
    events[-1][2] = WHAT | {"latches": True}
    events += [[0.6, "demand at next plan", {"latches": True}]]
    events += [[0.8, "approved", CHUNK | {"start": 0.8}]]
    trial = run(events)
    assert trial.unsafe and "hold" in {violation.rule for violation in trial.violations}


def test_events_of_many_processes_are_read_in_order_and_a_broken_line_is_passed_over(tmp_path):
    for name, time in (("a", 2.0), ("b", 1.0)):
        EventLog(tmp_path / f"{name}.jsonl").write(time, "heard", "camera")
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write(json.dumps([3.0, "well again"])[:-4])
    assert read_events(tmp_path) == [[1.0, "heard", "camera"], [2.0, "heard", "camera"]]
