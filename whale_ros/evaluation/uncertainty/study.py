"""`whale evaluate uncertainty`: loads what it needs, measures, and writes the report."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from whale_ros.data.episodes import read_manifest
from whale_ros.evaluation.hardware import hardware
from whale_ros.evaluation.lpips import load_lpips
from whale_ros.evaluation.position_probe import train_position_probe
from whale_ros.evaluation.provenance import describe_data, must_differ_in_seed_only
from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.uncertainty.benchmark import (
    measure_choices,
    measure_costs,
    measure_disagreements,
    run,
)
from whale_ros.evaluation.uncertainty.errors import Errors
from whale_ros.evaluation.uncertainty.floor import above_floor, measure_floor
from whale_ros.evaluation.uncertainty.pictures import (
    draw_conditions,
    draw_reliability,
    draw_risk_coverage,
    draw_stories,
)
from whale_ros.evaluation.uncertainty.report import write_html
from whale_ros.evaluation.uncertainty.scores import ENSEMBLE, MAIN, SAMPLES, Scores
from whale_ros.evaluation.uncertainty.stories import tell_stories
from whale_ros.evaluation.uncertainty.summary import summarise
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials
from whale_ros.imagination.retracing import K
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import Card, load_checkpoint

# What makes a prediction bad, settled before anything was measured: half-way from the truth to
# where copying the last frame is at 8 steps (0.58), and a hand's width.
BOUNDS = {"features": 0.5, "hand_cm": 5.0}
FLOOR_EPISODES = 4  # of each task and behaviour
SEED = 0
PAGE = "report.html"


def study(
    data: Path,
    conditions: Path,
    checkpoint: Path,
    members: list[Path],
    output: Path,
    lpips: Path | None,
) -> dict:
    """The summary of the report, which is written to `output` with its pictures.

    data: folder of the checkpoint's training; conditions: of `whale collect --for study`.
    """
    loaded = [load_checkpoint(folder) for folder in (checkpoint, *members)]
    cards = [card for _, card in loaded]
    must_differ_in_seed_only(list(zip((checkpoint, *members), cards, strict=True)))
    model = loaded[0][0]
    train = EpisodeSet(data, "train")
    train.must_fit(cards[0].config)
    if train.object_position is None:
        raise ValueError(f"{data} does not tell where the object was, as `whale collect` does")
    scores = Scores(
        model,
        [member for member, _ in loaded[1:]],
        train,
        load_lpips(lpips) if lpips else None,
        SEED,
    )
    errors = Errors(
        model,
        train_position_probe(train, train.hand_position, seed=SEED),
        train_position_probe(train, train.object_position, seed=SEED),
    )
    _, infos = read_manifest(conditions)
    splits = list(dict.fromkeys(info.split for info in infos))
    if NOMINAL not in splits:
        raise ValueError(
            f"{conditions} has no split {NOMINAL!r}; `whale collect --for study` makes it"
        )
    output.mkdir(parents=True, exist_ok=True)
    choices = measure_choices(scores, errors, EpisodeSet(data, "validation"))
    trials = run(scores, errors, conditions, splits)
    nominal = EpisodeSet(conditions, NOMINAL)
    floor = measure_floor(model, FLOOR_EPISODES)
    summary = summarise(trials, _costs(scores, trials, nominal, cards), MAIN, BOUNDS)
    summary["settings"] |= {
        "hardware": hardware(),
        "torch": torch.__version__,
        "seed": SEED,
        "checkpoint": cards[0].sha256,
        "members_of_the_ensemble": len(cards),
        "k": list(K),
        "samples_of_Monte_Carlo": SAMPLES,
        "training_data": describe_data(train, cards)["manifest_sha256"],
        "conditions": describe_data(nominal, cards)["manifest_sha256"],
    }
    summary["further_tables"] = {
        "What retracing could have been: Spearman with the error in features, within task, "
        "on validation episodes": choices,
        "The physical floor: two ways of the real simulator to the same place, for each k": floor,
        "What retracing the model disagrees by, for each k, and how much of that is above the "
        "floor": above_floor(measure_disagreements(scores, nominal), floor),
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    write_html(
        summary, _draw(scores, errors, trials, summary, nominal, conditions, output), output / PAGE
    )
    return summary


def _costs(scores: Scores, trials: Trials, nominal: EpisodeSet, cards: list[Card]) -> dict:
    """Training steps of all networks that a score needs, and milliseconds for a rollout."""
    steps = [c.training["behavior_steps"] + c.training["dynamics_steps"] for c in cards]
    milliseconds = measure_costs(scores, nominal)
    costs = {
        name: {
            "training_steps": sum(steps) if name == ENSEMBLE else steps[0],
            "inference_ms": rounded(milliseconds[name], 2) if name in milliseconds else None,
        }
        for name in trials.scores
    }
    return costs | {
        name: {"training_steps": None, "inference_ms": rounded(value, 2)}
        for name, value in milliseconds.items()
        if name not in costs
    }


def _draw(
    scores: Scores,
    errors: Errors,
    trials: Trials,
    summary: dict,
    nominal: EpisodeSet,
    conditions: Path,
    output: Path,
) -> dict[str, Path]:
    """Pictures by caption."""
    rival = [name for name in (ENSEMBLE,) if name in trials.scores]
    pictures = {
        "Reliability: what is said, and what came": output / "reliability.png",
        "Risk and coverage: the error of what is still trusted": output / "risk_coverage.png",
        "Every condition": output / "conditions.png",
        "Three episodes": output / "stories.png",
    }
    reliability, coverage, kinds, stories = pictures.values()
    draw_reliability(trials, [MAIN, *rival], BOUNDS, reliability)
    draw_risk_coverage(summary, coverage)
    draw_conditions(trials, MAIN, kinds)
    draw_stories(tell_stories(scores, errors, trials, nominal, conditions), stories)
    return pictures
