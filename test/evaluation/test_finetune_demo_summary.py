"""What the fine-tuning demonstration must show, on notes written by hand."""

import numpy as np
import pytest

from whale_ros.evaluation.demo_log import DemoLog, EpisodeNote, GateNote
from whale_ros.evaluation.finetune_demo_summary import (
    BASE,
    CALIBRATED,
    LEARNING,
    NOT_CALIBRATED,
    Story,
    reason,
    summarise_story,
    table,
    why_failed,
)

OLD, NEW = "0" * 64, "1" * 64


def log(chunks=0, reason="unfamiliar 0.9, limit 0.2", failing=("familiarity",), speed=0.1):
    """Held for two seconds; then two seconds in which so many chunks are executed, if any."""
    notes = DemoLog()
    for i in range(400):
        executing = chunks > 0 and i >= 200
        begun = 7 + (min(chunks, (i - 200) * chunks // 199 + 1) if executing else 0)
        notes.gate.append(
            GateNote(
                i / 100,
                executing,
                "" if executing else reason,
                () if executing else failing,
                str(begun) if executing else "",
                begun,
                0.0,
            )
        )
        notes.commands.append((i / 100, np.full(6, speed if executing else 0.0)))
    notes.episodes = [EpisodeNote("slide-block", 0, 0.0, 4.0, chunks > 0)]
    return notes


@pytest.fixture
def story():
    before = {"model": {"8": 9.5}}
    after = {"model": {"8": 12.0}, "copy": {"8": 9.0}}
    return Story(
        demonstrations=[True] * 9 + [False],
        calibrating=[True] * 12,
        seconds={"record": 60.0, "finetune": 600.0},
        gate={
            BASE: log(),
            LEARNING: log(),
            NOT_CALIBRATED: log(reason="there is no calibration", failing=()),
            CALIBRATED: log(chunks=9),
        },
        ran={BASE: {OLD}, LEARNING: {OLD}, NOT_CALIBRATED: {NEW}, CALIBRATED: {NEW}},
        base=OLD,
        base_afterwards=OLD,
        finetuned=NEW,
        card={
            "training": {
                "episodes": 8,
                "held_out_episodes": 2,
                "moving_pixels_psnr_db_before": before,
            },
            "metrics": {"moving_pixels_psnr_db": after},
        },
    )


def failures(story):
    return why_failed(summarise_story(story))


def test_a_story_as_it_should_be(story):
    summary = summarise_story(story)
    assert why_failed(summary) == []
    assert summary["demonstrations"]["successes"] == 9
    assert summary["seconds"]["all"] == 660
    assert summary["gate"][CALIBRATED]["chunks_executed"] == 9
    assert summary["planning"]["task_success"] == {"slide-block": "1 of 1"}


@pytest.mark.parametrize("name", [BASE, LEARNING, NOT_CALIBRATED])
def test_a_gate_that_opens_too_early_is_a_failure(story, name):
    story.gate[name] = log(chunks=2, reason="there is no calibration")
    (failure,) = failures(story)
    assert "the gate let 2 chunks" in failure


def test_so_is_one_that_does_not_say_that_a_calibration_is_missing(story):
    story.gate[NOT_CALIBRATED] = log(reason="no")
    (failure,) = failures(story)
    assert "says 'no'" in failure


@pytest.mark.parametrize("name", [LEARNING, CALIBRATED])
def test_another_checkpoint_than_expected_is_named(story, name):
    story.ran[name] = {OLD, NEW}
    (failure,) = failures(story)
    assert name in failure and OLD[:12] in failure and NEW[:12] in failure


def test_a_base_that_was_written_to_is_a_failure(story):
    story.base_afterwards = NEW
    assert failures(story) == ["the base was changed on the disk"]


@pytest.mark.parametrize("psnr", [9.5, 9.0, None])
def test_a_model_that_learnt_nothing_is_a_failure(story, psnr):
    story.card["metrics"]["moving_pixels_psnr_db"]["model"]["8"] = psnr
    (failure,) = failures(story)
    assert "no better" in failure


def test_an_arm_that_hardly_moved_has_shown_nothing(story):
    story.gate[CALIBRATED] = log(chunks=2)
    (failure,) = failures(story)
    assert "only 2 chunks" in failure and "unfamiliar 0.9" in failure


def test_a_busy_machine_is_named_as_such(story):
    story.gate[CALIBRATED] = log(chunks=2, failing=("heartbeat", "uncertainty"))
    assert "is the machine busy?" in failures(story)[0]
    story.gate[CALIBRATED] = log(chunks=2, failing=("familiarity",))
    assert "busy" not in failures(story)[0]


def test_commands_while_held_are_a_failure(story):
    notes = story.gate[LEARNING]
    notes.commands[50] = (notes.commands[50][0], np.ones(6))
    assert failures(story) == ["1 commands to move while held"]


def test_the_reason_is_that_for_which_it_held_longest():
    notes = log()
    for note in notes.gate[:50]:
        note.reason, note.failing = "waits for a chunk", ()
    notes.gate[-1].reason, notes.gate[-1].failing = "camera silent", ("camera",)
    assert reason(notes) == "unfamiliar 0.9, limit 0.2"
    assert reason(DemoLog()) == ""


def test_the_table_has_a_line_for_each_story(story):
    head, five, ten = table(
        {"5": summarise_story(story), "10": summarise_story(story)}
    ).splitlines()
    assert head.split()[0] == "demonstrations"
    assert five.split() == ["5", "11.0", "10.0", "9.5", "dB", "12.0", "dB", "9", "1", "of", "1"]
    assert ten.split()[1:] == five.split()[1:]
