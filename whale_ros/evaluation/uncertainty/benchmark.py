"""Tells every score the same windows, under all conditions, and notes what really happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.evaluation.uncertainty.errors import Errors
from whale_ros.evaluation.uncertainty.estimates import estimate
from whale_ros.evaluation.uncertainty.metrics import spearman
from whale_ros.evaluation.uncertainty.scores import ENSEMBLE, MAIN, Imagined, Scores
from whale_ros.evaluation.uncertainty.spoiled import SPOILED
from whale_ros.evaluation.uncertainty.summary import DEPTHS, MAIN_ERROR
from whale_ros.evaluation.uncertainty.trials import NOMINAL, Trials
from whale_ros.evaluation.windows import Window, held_out_windows, windows_at
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.imagination.retracing import K, judge
from whale_ros.training.dataset import EpisodeSet

SPOILED_EPISODES = 30  # of the nominal ones, whose pictures are spoiled
TIMED_ROLLOUTS = 16


def run(scores: Scores, errors: Errors, folder: Path, splits: list[str]) -> Trials:
    """All windows of the splits; those of `nominal` again with their pictures spoiled.

    A split is named after its condition and severity, as in "shift_0.06".
    """
    notes = _Notes(scores, errors, scores.of)
    first_episode = 0
    for split in splits:
        data = EpisodeSet(folder, split)
        name, _, severity = split.partition("_")
        windows = list(_windows(data))
        for window in tqdm(windows, split, unit="batch"):
            notes.add(data, window, first_episode, name, float(severity or 0))
        if split == NOMINAL:
            few = [w for w in windows if int(w.episodes.max()) < SPOILED_EPISODES] or windows[:1]
            for name, (_, severities, spoil) in SPOILED.items():
                for amount in tqdm(severities, name, unit="severity"):
                    for window in few:
                        notes.add(data, spoil(window, amount), first_episode, name, amount)
        first_episode += len(data)
    return notes.trials()


def measure_choices(scores: Scores, errors: Errors, validation: EpisodeSet) -> dict[str, dict]:
    """Spearman with the error in features, within task, of what the main score could have been.

    By name and steps. On data that nothing else is reported on, so that choosing is no cheating.
    """
    notes = _Notes(scores, errors, scores.choices)
    for window in tqdm(list(_windows(validation)), "choices", unit="batch"):
        notes.add(validation, window, 0, NOMINAL, 0.0)
    trials = notes.trials()
    return {
        name: {
            f"{depth} steps": estimate(
                spearman,
                (score[:, depth - 1], trials.errors[MAIN_ERROR][:, depth - 1]),
                trials,
                sure=False,
            )["value"]
            for depth in DEPTHS
        }
        for name, score in trials.scores.items()
    }


def measure_disagreements(scores: Scores, data: EpisodeSet) -> dict[str, dict[str, float]]:
    """Mean distance in features between a frame and its retracing, for each k and some depths."""
    told = [
        scores.retraced(scores.imagine(window)).disagreements
        for window in tqdm(list(_windows(data)), "disagreements", unit="batch")
    ]
    mean = torch.cat(told).nanmean(0)
    return {
        str(k): {f"{depth} steps": float(mean[depth - 1, column]) for depth in DEPTHS}
        for column, k in enumerate(K)
    }


def measure_costs(scores: Scores, data: EpisodeSet) -> dict[str, float]:
    """CPU milliseconds of each score for a rollout, beside those of the rollout itself."""
    window = next(_windows(data, TIMED_ROLLOUTS))
    imagined = scores.imagine(window)
    retracing = scores.retraced(imagined)
    ways: dict[str, Callable[[], object]] = {
        "the rollout itself": lambda: scores.imagine(window),
        MAIN: lambda: judge(scores.model, imagined.rollout),
        "retracing, every step": lambda: scores.retraced(imagined),
        "retracing, one random k": lambda: scores.random_k(retracing),
        ENSEMBLE: lambda: scores.ensemble(imagined),
        "Monte Carlo": lambda: scores.monte_carlo(imagined),
        "distance to data": lambda: scores.distance_to_data(imagined),
        "familiarity": lambda: scores.familiarity(imagined),
    }
    return {name: _milliseconds(work) / TIMED_ROLLOUTS for name, work in ways.items()}


class _Notes:
    """Batches of trials, until they are put together."""

    def __init__(
        self, scores: Scores, errors: Errors, tell: Callable[[Imagined], dict[str, Tensor]]
    ) -> None:
        self._imagine, self._tellers = scores.imagine, (errors.of, tell)
        self._columns: defaultdict[str, list[np.ndarray]] = defaultdict(list)
        self._tables: tuple[defaultdict, defaultdict] = (defaultdict(list), defaultdict(list))

    def add(
        self, data: EpisodeSet, window: Window, first_episode: int, name: str, severity: float
    ) -> None:
        imagined = self._imagine(window)
        for table, tell in zip(self._tables, self._tellers, strict=True):
            for key, value in tell(imagined).items():
                table[key].append(value.cpu().numpy())
        infos = [data.infos[episode] for episode in window.episodes.tolist()]
        columns = {
            "condition": np.array([name] * len(infos)),
            "severity": np.full(len(infos), severity),
            "task": np.array([info.task for info in infos]),
            "behavior": np.array([info.behavior for info in infos]),
            "episode": first_episode + window.episodes.numpy(),
            "start": window.starts.numpy(),
            "failed": data.failed[window.episodes].numpy(),
        }
        for key, column in columns.items():
            self._columns[key].append(column)

    def trials(self) -> Trials:
        errors, scores = (
            {key: np.concatenate(values) for key, values in table.items()} for table in self._tables
        )
        columns: dict = {key: np.concatenate(values) for key, values in self._columns.items()}
        return Trials(**columns, errors=errors, scores=scores)


def _windows(data: EpisodeSet, episodes: int | None = None) -> Iterator[Window]:
    """Of all episodes, or of the first ones in a single batch."""
    if episodes is None:
        return held_out_windows(data, HISTORY, MAX_HORIZON)
    pairs = torch.tensor([(episode, 0) for episode in range(min(episodes, len(data)))])
    return iter([windows_at(data, pairs, HISTORY, MAX_HORIZON)])


def _milliseconds(work: Callable[[], object]) -> float:
    """The least of three, so that a first time does not count."""
    times = []
    for _ in range(3):
        began = process_time()
        work()
        times.append(process_time() - began)
    return 1000 * min(times)
