"""What a candidate is worth, beside how near it comes to the policy: a sum, lower is better.

The distance to a goal image is measured in the world model's own feature space: any robot can be
shown a picture of the finished task. The distance to a goal position needs no picture, and no
imagination either. A learned value (`world_model/value.py`) reads how many steps are left to the
goal image. The uncertainty as a penalty prefers the surer of two candidates that pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whale_ros.actions.space import POSITION


@dataclass(frozen=True)
class Weights:
    image: float = 1.0  # of the distance in features
    pose: float = 0.0  # of the distance in metres
    uncertainty: float = 0.0
    value: float = 0.0  # of the steps left to the goal image

    def cost(
        self,
        image: np.ndarray | None,
        pose: np.ndarray | None,
        uncertainty: np.ndarray,
        steps: np.ndarray | None = None,
    ) -> np.ndarray:
        """(K,) of distances, uncertainties and steps (K,); None where there is no such goal."""
        total = self.uncertainty * uncertainty if self.uncertainty else np.zeros(len(uncertainty))
        if image is not None:
            total = total + self.image * image
        if pose is not None:
            total = total + self.pose * pose
        if steps is not None and self.value:
            total = total + self.value * steps
        return total


def ends(candidates: np.ndarray, passed: float, position: np.ndarray) -> np.ndarray:
    """(K, 3) where candidates (K, H, 7) end [m].

    `passed` of the actions are done, and have led to `position` (3,).
    """
    left = np.clip(np.arange(1, candidates.shape[1] + 1) - passed, 0, 1)
    return position + (candidates[:, :, POSITION] * left[:, None]).sum(axis=1)
