"""The story of a fine-tuning in numbers, and what in it must hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from whale_ros.evaluation.demo_log import DemoLog
from whale_ros.evaluation.demo_summary import (
    commands_while_held,
    held_seconds,
    kind_of_hold,
    summarise,
)

BASE, LEARNING = "base", "base while another learns"
NOT_CALIBRATED, CALIBRATED = "fine-tuned", "fine-tuned and calibrated"
CHUNKS = 5  # fewer show nothing
SHOWN_STEP = "8"
LATE = {"camera", "pose", "heartbeat"}  # checks of how old the newest message is


@dataclass
class Story:
    """What happened. Checkpoints are the SHA-256 of their weights."""

    demonstrations: list[bool] = field(default_factory=list)  # recorded to learn from; success
    calibrating: list[bool] = field(default_factory=list)  # recorded to calibrate with
    seconds: dict[str, float] = field(default_factory=dict)  # of each part of the work
    gate: dict[str, DemoLog] = field(default_factory=dict)  # by the model that runs
    ran: dict[str, set[str]] = field(default_factory=dict)  # by the same; what the nodes told
    base: str = ""
    base_afterwards: str = ""  # of the file, when all is over
    finetuned: str = ""
    card: dict = field(default_factory=dict)  # of the fine-tuned one
    went_on: bool = False  # some of the work was there already, and is not in the seconds


def summarise_story(story: Story) -> dict:
    before = story.card["training"]["moving_pixels_psnr_db_before"]
    after = story.card["metrics"]["moving_pixels_psnr_db"]
    planning = summarise(story.gate[CALIBRATED])
    return {
        "demonstrations": {
            "recorded": len(story.demonstrations),
            "successes": sum(story.demonstrations),
            "episodes_learnt_from": story.card["training"]["episodes"],
            "episodes_held_out": story.card["training"]["held_out_episodes"],
            "recorded_to_calibrate": len(story.calibrating),
            "successes_to_calibrate": sum(story.calibrating),
        },
        "seconds": {name: round(seconds, 1) for name, seconds in story.seconds.items()}
        | {"all": round(sum(story.seconds.values()), 1)},
        "went_on": story.went_on,
        "held_out_moving_pixels_psnr_db": {
            "before": before["model"],
            "after": after["model"],
            "copy of the last frame": after["copy"],
        },
        "checkpoints": {
            "base": story.base,
            "base_afterwards": story.base_afterwards,
            "finetuned": story.finetuned,
            "that_ran": {name: sorted(ran) for name, ran in story.ran.items()},
        },
        "gate": {
            name: {
                "chunks_executed": _chunks(log),
                "held_s_by_reason": held_seconds(log),
                "reason": reason(log),
                "commands_while_held": commands_while_held(log),
            }
            for name, log in story.gate.items()
        },
        "planning": planning,
    }


def why_failed(summary: dict) -> list[str]:
    """What should have held and did not, in words."""
    failures = []
    gate, checkpoints = summary["gate"], summary["checkpoints"]
    ran = checkpoints["that_ran"]
    for name, why in (
        (BASE, "a model that has never seen this robot"),
        (LEARNING, "a model that has never seen this robot"),
        (NOT_CALIBRATED, "a model without a calibration"),
    ):
        if chunks := gate[name]["chunks_executed"]:
            failures.append(f"the gate let {chunks} chunks of {why} pass")
    if "calibration" not in (said := gate[NOT_CALIBRATED]["reason"]):
        failures.append(f"without a calibration the gate says {said!r}, which does not tell so")
    if checkpoints["base_afterwards"] != checkpoints["base"]:
        failures.append("the base was changed on the disk")
    for name, expected in (
        (BASE, "base"),
        (LEARNING, "base"),
        (NOT_CALIBRATED, "finetuned"),
        (CALIBRATED, "finetuned"),
    ):
        if ran[name] != [checkpoints[expected]]:
            shown = ", ".join(sha[:12] for sha in ran[name]) or "none"
            failures.append(f"while it should run {name}, there ran {shown}")
    psnr = summary["held_out_moving_pixels_psnr_db"]
    before, after = psnr["before"][SHOWN_STEP], psnr["after"][SHOWN_STEP]
    if None in (before, after) or after <= before:
        failures.append(
            f"held-out demonstrations are foretold no better: {after} dB, before {before} dB"
        )
    if (chunks := gate[CALIBRATED]["chunks_executed"]) < CHUNKS:
        failures.append(
            f"only {chunks} chunks moved the arm after the swap; the gate says: "
            f"{gate[CALIBRATED]['reason']}{_busy(gate[CALIBRATED]['held_s_by_reason'])}"
        )
    if moved := sum(phase["commands_while_held"] for phase in gate.values()):
        failures.append(f"{moved} commands to move while held")
    return failures


def table(summaries: dict[str, dict]) -> str:
    """A line for each story, by its number of demonstrations."""
    heads = (
        "demonstrations",
        "minutes",
        "of them learning",
        "PSNR before",
        "after",
        "chunks",
        "successes",
    )
    lines = ["".join(f"{head:>18}" for head in heads)]
    for count, summary in summaries.items():
        psnr, seconds = summary["held_out_moving_pixels_psnr_db"], summary["seconds"]
        cells = (
            count,
            f"{seconds['all'] / 60:.1f}",
            f"{seconds['finetune'] / 60:.1f}",
            f"{psnr['before'][SHOWN_STEP]} dB",
            f"{psnr['after'][SHOWN_STEP]} dB",
            summary["gate"][CALIBRATED]["chunks_executed"],
            ", ".join(summary["planning"]["task_success"].values()),
        )
        lines.append("".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def reason(log: DemoLog) -> str:
    """Why the gate held for longest, in its newest words; empty if it never held."""
    kinds = list(held_seconds(log))[:1]
    reasons = [n.reason for n in log.gate if not n.executing and kind_of_hold(n) in kinds]
    return reasons[-1] if reasons else ""


def _busy(held_s_by_reason: dict[str, float]) -> str:
    """Whether messages that came late held the gate for longest, in words."""
    longest = next(iter(held_s_by_reason), "")
    late = LATE & set(longest.split(" and "))
    return " (messages come too late: is the machine busy?)" if late else ""


def _chunks(log: DemoLog) -> int:
    """Begun while this was noted down."""
    counts = [note.chunks_executed for note in log.gate]
    return counts[-1] - counts[0] if counts else 0
