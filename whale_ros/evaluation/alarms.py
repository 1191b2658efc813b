"""`whale evaluate alarms`: what a calibration raises an alarm at, and what it misses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whale_ros.evaluation.calibration import EpisodeScores, passed_predictions, share
from whale_ros.imagination.calibration import MEASURE, Calibration, why_void
from whale_ros.imagination.retracing import K
from whale_ros.world_model.checkpoint import Card

# The columns of the table; an episode counts in each check that is over its limit in it.
CHECKS = ("candidate", "live", "unfamiliarity")


def must_be_of(card: Card, calibration: Calibration) -> None:
    """Raises ValueError if the calibration is of another model, or bounds nothing."""
    running = replace(
        calibration.conditions,
        checkpoint=card.sha256,
        resolution=card.config.tokenizer.resolution,
        k=K,
        action_space=card.action_space.signature,
        measure=MEASURE,
    )
    if why := why_void(calibration, running) or calibration.why_unbounded():
        raise ValueError(why)


def alarms(calibration: Calibration, scored: EpisodeScores) -> dict:
    """Of the episodes of one condition, in units of the calibration's scales: shares of those with
    an alarm, with exact 95 % intervals, and of those with one of each check; and how many of the
    predictions that were off pass."""
    factor = np.full(len(scored.score), calibration.factor())
    count = len(factor)
    over = {name: (getattr(scored, name) > factor[:, None]).any(axis=1) for name in CHECKS}
    return {
        "episodes": count,
        "with_alarm": share(int((scored.score > factor).sum()), count),
        "by_check": {name: round(float(rows.mean()), 4) for name, rows in over.items()},
        "passed_although_wrong": passed_predictions(scored, factor),
    }


def table(report: dict) -> str:
    """The report of the command, for people; shares are in percent."""
    titles = ("episodes", "with an alarm", *CHECKS, "wrong predictions", "of them passed")
    lines = [f"{'condition':22}" + "".join(f"{title:>20}" for title in titles)]
    for condition, row in report["conditions"].items():
        interval, wrong = row["with_alarm"], row["passed_although_wrong"]
        texts = [
            str(row["episodes"]),
            "{share:.0%} ({from:.0%}..{to:.0%})".format(**interval),
            *(f"{row['by_check'][name]:.0%}" for name in CHECKS),
            f"{wrong['bad']} of {wrong['of']}",
            str(wrong["passed"]),
        ]
        lines.append(f"{condition:22}" + "".join(f"{text:>20}" for text in texts))
    limits = ", ".join(f"{name} {limit:.4g}" for name, limit in report["limits"].items())
    return "\n".join([*lines, f"limits: {limits}"])
