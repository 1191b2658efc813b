"""Model-predictive search for actions: CEM and MPPI over what the world model imagines.

Candidates are drawn from a normal distribution of the new actions, which is then moved towards
those that scored best: in CEM (cross-entropy method, as in arXiv 1805.12114) it is fitted to the
best quarter, in MPPI (arXiv 1509.01149) its mean becomes their average, weighted by the exponential
of the score. From plan to plan the mean is kept, less the time that has passed (warm start), and
goes on as it ended: with time for one round only, a direction that was good is tried again.
Motion is searched for, the gripper is not: it stays as it is, or does what the policy does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from whale_ros.actions.space import DIM, GRIPPER, ActionSpace
from whale_ros.planning.commitment import stand_still
from whale_ros.planning.proposals import fit, noise, own_name, spread

ELITES = 0.25  # share of the candidates that CEM is fitted to
TEMPERATURE = 0.3  # of MPPI, in standard deviations of the scores
KEPT = 0.3  # of the distribution before: with few candidates the best are so by chance
NARROWEST = 0.2  # of the widest spread: a search that has converged must still be able to turn


class Search:
    """method: cem or mppi. A search goes on from plan to plan; `begin` starts the next one.

    limits: a tighter space for what is searched, which the policy's own need not keep to.
    """

    def __init__(self, method: str, space: ActionSpace, limits: ActionSpace | None = None) -> None:
        self._is_cem = method == "cem"
        self._space = space
        self._limits = limits or space
        self._mean = np.empty((0, DIM))
        self._spread = np.empty((0, DIM))  # in units of `noise`, so 1 is the widest
        self._start_s = 0.0  # when the first action of the mean begins
        self._best: np.ndarray | None = None  # tail (n, 7) that scored best in this plan

    def begin(self, start_s: float, steps: int, gripper: float) -> None:
        """Start a plan of `steps` new actions, the first of which begins at start_s.

        Beyond what was planned before, the mean goes on as it ended.
        """
        done = round((start_s - self._start_s) / self._space.step_s)
        if 0 <= done <= len(self._mean) and len(self._mean):
            index = np.minimum(np.arange(done, done + steps), len(self._mean) - 1)
            self._mean = self._mean[index]
        else:
            self._mean, done = stand_still(steps, gripper), len(self._spread)
        self._mean[:, GRIPPER] = gripper
        self._spread = np.concatenate([self._spread[done:], np.ones((steps, DIM))])[:steps]
        self._start_s, self._best = start_s, None

    def widen(self, width: float) -> None:
        """Look further around than usual if width is above 1."""
        if width > 1:
            self._spread = np.full_like(self._spread, width)

    def propose(
        self,
        committed: np.ndarray,
        policy: Sequence[np.ndarray],
        count: int,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """`count` different candidates (H, 7) by name, as `proposals.propose`; after `begin`."""
        steps = len(self._mean)
        tails = self._tails([fit(tail, steps) for tail in policy if len(tail)], rng)
        candidates: dict[str, np.ndarray] = {}
        while len(candidates) < count:
            name, tail = next(tails)
            actions = np.concatenate([committed, tail])
            if not any(np.array_equal(actions, other) for other in candidates.values()):
                candidates[name] = actions
        return candidates

    def learn(self, candidates: np.ndarray, scores: np.ndarray) -> None:
        """Move towards what scored low, of candidates (K, H, 7) and scores (K,).

        Those that are not finite, because they were rejected, are stayed away from.
        """
        good = np.isfinite(scores)
        if not good.any():
            self._spread = np.ones_like(self._spread)
            return
        self._spread = np.minimum(self._spread, 1)  # once wide was enough
        tails, scores = candidates[good][:, -len(self._mean) :], scores[good]
        self._best = tails[scores.argmin()]
        if self._is_cem:
            elites = tails[np.argsort(scores)[: max(2, round(ELITES * len(candidates)))]]
            mean = elites.mean(axis=0)
            widest = np.maximum(spread(self._limits), 1e-9)
            found = np.clip(elites.std(axis=0) / widest, NARROWEST, 1.0)
            self._spread = KEPT * self._spread + (1 - KEPT) * found
        else:
            weights = np.exp(-(scores - scores.min()) / (TEMPERATURE * scores.std() + 1e-9))
            mean = np.einsum("k,ksd->sd", weights / weights.sum(), tails)
        gripper = self._best[:, GRIPPER]  # it is open or closed, not half of both
        self._mean = KEPT * self._mean + (1 - KEPT) * mean
        self._mean[:, GRIPPER] = gripper

    def _tails(
        self, policy: list[np.ndarray], rng: np.random.Generator
    ) -> Iterator[tuple[str, np.ndarray]]:
        """New actions (steps, 7) by name, without end."""
        if self._best is not None:
            yield "best so far", self._limits.clip(self._best)
        for i, tail in enumerate(policy):
            yield own_name(i), self._space.clip(tail)
        still = stand_still(len(self._mean), float(self._mean[0, GRIPPER]))
        yield "still", self._limits.clip(still)
        yield "mean", self._limits.clip(self._mean)
        number = 0
        while True:
            number += 1
            drawn = self._mean + self._spread * noise(len(self._mean), self._limits, rng)
            yield f"sampled {number}", self._limits.clip(drawn)
