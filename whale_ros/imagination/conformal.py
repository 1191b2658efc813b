"""Split conformal prediction, and its adaptive form: bounds that new scores keep, in probability.

Scores that are exchangeable with the n stored ones stay at or below the bound with a probability
of at least 1 - alpha, whatever they measure (Vovk et al., Algorithmic Learning in a Random World,
2005; Angelopoulos and Bates, arXiv 2107.07511). Ranks are computed in fractions: in floating point
(n + 1)(1 - alpha) may land just above the whole number that it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

MAX_ALPHA = Fraction(1, 2)  # of the adaptive form: its bound never falls below the median


def rank(count: int, alpha: float | Fraction) -> int:
    """ceil((count + 1)(1 - alpha)); a float alpha is the decimal that it is printed as.

    Raises ValueError unless alpha is between 0 and 1.
    """
    exact = alpha if isinstance(alpha, Fraction) else Fraction(str(alpha))
    if not 0 < exact < 1:
        raise ValueError(f"alpha must be between 0 and 1, not {alpha}")
    return math.ceil((count + 1) * (1 - exact))


def least_count(alpha: float | Fraction) -> int:
    """Of scores that bound anything. Raises ValueError unless alpha is between 0 and 1."""
    rank(0, alpha)
    exact = alpha if isinstance(alpha, Fraction) else Fraction(str(alpha))
    return math.ceil(1 / exact) - 1


def bound(scores: Sequence[float], alpha: float | Fraction) -> float:
    """The score of that rank; infinite if there are too few scores, which bounds nothing.

    A score of NaN counts as infinite. Raises ValueError unless alpha is between 0 and 1.
    """
    place = rank(len(scores), alpha)
    if place > len(scores):
        return math.inf
    return sorted(math.inf if math.isnan(score) else float(score) for score in scores)[place - 1]


class AdaptiveBound:
    """Follows a slow drift of the scores (Gibbs and Candes 2021, arXiv 2106.00170, equation 2).

    alpha_{t+1} = alpha_t + gamma (alpha - err_t), where err_t says whether score t is over the
    bound at 1 - alpha_t. In the long run a share of alpha of the scores is, as long as alpha_t
    stays in its range. The range ends where the bound is the largest finite score that is stored:
    what was never seen at calibration is not learnt to be normal.
    """

    def __init__(self, scores: Sequence[float], alpha: float, gamma: float) -> None:
        """Raises ValueError if there are too few scores for alpha, or one out of range."""
        self._scores = sorted(map(float, scores))
        self._goal, self._gamma = Fraction(str(alpha)), Fraction(str(gamma))
        endless = sum(not math.isfinite(score) for score in scores)
        self._lowest = Fraction(1 + endless, len(scores) + 1)
        if not self._lowest <= self._goal <= MAX_ALPHA:
            raise ValueError(
                f"{len(scores)} scores allow an alpha of {float(self._lowest):.4g} to "
                f"{float(MAX_ALPHA):g}, not {alpha:g}"
            )
        if not 0 < self._gamma < 1:
            raise ValueError(f"gamma must be between 0 and 1, not {gamma:g}")
        self.alpha = self._goal

    @property
    def value(self) -> float:
        return bound(self._scores, self.alpha)

    def update(self, score: float) -> None:
        """Learn from one more score."""
        error = not score <= self.value  # of NaN too
        alpha = self.alpha + self._gamma * (self._goal - error)
        self.alpha = min(max(alpha, self._lowest), MAX_ALPHA)
