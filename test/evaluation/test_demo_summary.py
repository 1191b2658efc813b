"""The demonstration's numbers, on notes written by hand."""

import dataclasses

import numpy as np
import pytest

from whale_ros.evaluation.demo_log import DemoLog, DisturbanceNote, EpisodeNote, GateNote
from whale_ros.evaluation.demo_summary import summarise, why_failed


def log(held=(), failing=("familiarity",), speed=0.1):
    """Five seconds of 100 Hz; within the spans `held` the gate holds and commands zero."""
    notes = DemoLog()
    for i in range(500):
        time = i / 100
        executing = not any(begin <= time < end for begin, end in held)
        notes.gate.append(
            GateNote(
                time,
                executing,
                "" if executing else "a reason: more",
                () if executing else failing,
                f"chunk {i // 20}" if executing else "",
                i // 20,
                0.0001,
            )
        )
        twist = np.array([speed if executing else 0.0, 0, 0, 0, 0, 0])
        notes.commands.append((time, twist))
    position = np.zeros(3)
    for time, twist in notes.commands:
        notes.poses.append((time, position))
        position = position + twist[:3] / 100
    notes.images = [(i / 10, np.zeros((2, 2, 3), np.uint8)) for i in range(50)]
    notes.episodes = [EpisodeNote("reach-v3", 0, 0.0, 5.0, True)]
    return notes


def test_the_delay_counts_from_the_disturbance_to_the_hold_that_lasts():
    notes = log(held=[(1.0, 1.05), (2.2, 4.0)])
    notes.disturbances = [DisturbanceNote("blackout", 2.0, 3.5)]
    summary = summarise(notes)
    assert summary["disturbance_to_hold_s"] == pytest.approx(0.2)
    assert summary["disturbances"][0]["to_motion_again_s"] == pytest.approx(0.5)
    assert why_failed(summary) == []


def test_a_pause_within_a_disturbance_is_no_hold():
    notes = log(held=[(2.2, 2.5)])
    notes.disturbances = [DisturbanceNote("blackout", 2.0, 3.5)]
    summary = summarise(notes)
    assert summary["disturbance_to_hold_s"] is None
    assert "did not hold" in why_failed(summary)[0]


def test_waiting_for_a_chunk_is_no_reaction():
    notes = log(held=[(2.2, 4.0)], failing=())
    notes.disturbances = [DisturbanceNote("shift", 2.0, 3.5)]
    assert summarise(notes)["disturbance_to_hold_s"] is None


def test_a_slow_hold_is_a_failure():
    notes = log(held=[(2.5, 4.0)])
    notes.disturbances = [DisturbanceNote("shift", 2.0, 3.5)]
    assert "only after 0.50 s" in why_failed(summarise(notes))[0]


def test_a_command_to_move_while_held_is_counted():
    notes = log(held=[(2.0, 3.0)])
    notes.commands[250] = (notes.commands[250][0], np.full(6, 0.01))
    summary = summarise(notes)
    assert summary["commands_while_held"] == 1
    assert any("while held" in failure for failure in why_failed(summary))


def test_tracking_error_is_what_the_arm_lacks():
    exact, lagging = log(), log()
    lagging.poses = [(t, 0.9 * p) for t, p in lagging.poses]
    assert summarise(exact)["pose_tracking_error_m"] == pytest.approx(0, abs=1e-6)
    expected = 0.1 * 0.19 * 0.1  # a tenth of 0.19 s at 0.1 m/s
    assert summarise(lagging)["pose_tracking_error_m"] == pytest.approx(expected, rel=0.1)


def test_held_seconds_are_told_by_the_check_that_failed():
    assert summarise(log(held=[(1.0, 2.0)]))["held_s_by_reason"] == {"familiarity": 1.0}
    waiting = summarise(log(held=[(1.0, 2.0)], failing=()))
    assert waiting["held_s_by_reason"] == {"a reason": 1.0}


def test_an_arm_that_did_not_move_has_shown_nothing():
    still = log(held=[(0.0, 5.0)])
    still.gate = [dataclasses.replace(note, chunks_executed=0) for note in still.gate]
    assert "0 chunks" in why_failed(summarise(still))[0]


def test_a_machine_that_is_too_slow_is_blamed_for_few_chunks():
    summary = summarise(log())
    summary["chunks_executed"] = 3
    assert why_failed(summary)[0] == "only 3 chunks moved the arm"
    summary["latency_s"]["plan (ask to decision)"] = {"p50": 0.7}
    assert "half of the plans took 0.70 s or more" in why_failed(summary)[0]


def test_a_camera_that_was_never_disturbed_is_told_from_one_that_held_nothing():
    notes = log()
    notes.disturbances = []
    assert any("never moved for long enough" in failure for failure in why_failed(summarise(notes)))
