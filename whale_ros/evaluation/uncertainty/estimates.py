"""Numbers with their intervals, within task: the mean over tasks of what each task gives.

Pooled over tasks a score looks better than it is, because it need only tell the tasks apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from whale_ros.evaluation.bootstrap import interval
from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.uncertainty.trials import Trials

DIGITS = 4
SCORE_DIGITS = 6  # of values that are in no unit
AT_ONCE = 100  # resamples; more are slower, since they do not fit into a processor's cache
ALL_TASKS = "all tasks as one"

Metric = Callable[..., np.ndarray]  # of columns (W,), then weights (..., W): (...)
Columns = tuple[np.ndarray, ...]  # (W,) each


def estimate(
    metric: Metric, columns: Columns, trials: Trials, sure: bool = True, pooled: bool = False
) -> dict:
    """Mean over tasks, the ends of its 95 % interval over episodes, and what each task gives.

    Tasks without a number are left out of the mean. sure: whether to work out the interval.
    pooled: over all tasks as if they were one.
    """
    task = np.full(len(trials), ALL_TASKS) if pooled else trials.task
    once = np.ones(len(trials))
    values = {}
    for name in np.unique(task).tolist():
        here = task == name
        values[name] = float(metric(*(column[here] for column in columns), once[here]))
    defined = [task == name for name, value in values.items() if np.isfinite(value)]
    numbers = ("value", "from", "to")
    result: dict = dict.fromkeys(numbers)
    if defined and sure:
        names, episode = np.unique(trials.episode, return_inverse=True)

        def mean(times: Tensor) -> Tensor:
            parts = times.double().view(-1, len(names)).split(AT_ONCE)
            return torch.cat([mean_of(part.numpy()) for part in parts]).view(times.shape[:-1])

        def mean_of(counts: np.ndarray) -> Tensor:
            each = [
                metric(*(column[here] for column in columns), counts[:, episode[here]])
                for here in defined
            ]
            return torch.from_numpy(np.mean(each, axis=0)).float()

        ends = interval(mean, len(names))
        result = {name: rounded(end, DIGITS) for name, end in zip(numbers, ends, strict=True)}
    elif defined:
        of_defined = [value for value in values.values() if np.isfinite(value)]
        result["value"] = rounded(float(np.mean(of_defined)), DIGITS)
    return result | {"of_each_task": {name: rounded(v, DIGITS) for name, v in values.items()}}
