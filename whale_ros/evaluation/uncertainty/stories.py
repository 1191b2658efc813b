"""Three episodes told in full: one that went well, one that failed, one that was disturbed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from whale_ros.evaluation.uncertainty.errors import Errors
from whale_ros.evaluation.uncertainty.metrics import threshold
from whale_ros.evaluation.uncertainty.pictures import Story
from whale_ros.evaluation.uncertainty.scores import MAIN, Scores
from whale_ros.evaluation.uncertainty.spoiled import SPOILED
from whale_ros.evaluation.uncertainty.summary import MAIN_DEPTH, MAIN_ERROR
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials
from whale_ros.evaluation.windows import windows_at
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_bytes

POLICY = "noisy"  # means to succeed, and does not always


def tell_stories(
    scores: Scores, errors: Errors, trials: Trials, nominal: EpisodeSet, conditions: Path
) -> list[Story]:
    """The first episodes of their kind, not the best looking ones.

    The disturbed one is of the split with the largest median error.
    """
    alarm = threshold(trials.scores[MAIN][trials.condition == NOMINAL, MAIN_DEPTH - 1])
    worst = _worst_split(trials)
    disturbed = EpisodeSet(conditions, worst)
    chosen = [
        ("succeeded", nominal, _first(nominal, succeeded=True)),
        ("failed", nominal, _first(nominal, succeeded=False)),
        (f"disturbed: {worst}", disturbed, 0),
    ]
    return [
        _tell(scores, errors, title, data, episode, alarm)
        for title, data, episode in chosen
        if episode is not None
    ]


def _worst_split(trials: Trials) -> str:
    """Of those that were recorded as such, not spoiled afterwards."""
    recorded = [
        (name, severity)
        for name, severity in trials.kinds()
        if name not in SPOILED and name != NOMINAL
    ]

    def median_error(kind: tuple[str, float]) -> float:
        here = trials.of_kind(*kind)
        return float(np.median(trials.errors[MAIN_ERROR][here, MAIN_DEPTH - 1]))

    name, severity = max(recorded, key=median_error)
    return f"{name}_{severity:g}" if severity else name


def _first(data: EpisodeSet, succeeded: bool) -> int | None:
    """The first episode of POLICY with that outcome."""
    for episode, info in enumerate(data.infos):
        if info.behavior == POLICY and bool(data.failed[episode]) != succeeded:
            return episode
    return None


def _tell(
    scores: Scores, errors: Errors, title: str, data: EpisodeSet, episode: int, alarm: float
) -> Story:
    starts = torch.arange(len(data.frames[episode]) - HISTORY - MAX_HORIZON + 1)
    pairs = torch.stack([torch.full_like(starts, episode), starts], dim=1)
    window = windows_at(data, pairs, HISTORY, MAX_HORIZON, scores.model.device)
    imagined = scores.imagine(window)
    info = data.infos[episode]
    return Story(
        title=f"{info.task}, {info.behavior}, seed {info.seed}: {title}",
        times=(starts + HISTORY - 1).numpy() * data.action_space.step_s,
        score=scores.of(imagined)[MAIN][:, MAIN_DEPTH - 1].numpy(),
        threshold=alarm,
        error=errors.of(imagined)[MAIN_ERROR][:, MAIN_DEPTH - 1].cpu().numpy(),
        frames=to_bytes(window.last[:, 0]).cpu().numpy(),
    )
