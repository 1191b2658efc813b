"""How sure a difference between two models is: resampling episodes with replacement."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

RESAMPLES = 2000


def interval(
    statistic: Callable[[Tensor], Tensor], episodes: int, seed: int = 0
) -> tuple[float, float, float]:
    """Value of a statistic, and the ends of its 95 % interval (percentile bootstrap).

    statistic: takes how often each episode counts (..., E) float, returns (...). NaN says that it
    is not defined: such resamples do not count, and if there are no others, all is NaN.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(episodes, (RESAMPLES, episodes), generator=generator)
    times = torch.zeros(RESAMPLES, episodes).scatter_add_(1, drawn, torch.ones(drawn.shape))
    low, high = statistic(times).nanquantile(torch.tensor([0.025, 0.975])).tolist()
    return float(statistic(torch.ones(episodes))), low, high
