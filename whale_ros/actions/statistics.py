"""What actions a dataset holds, for a checkpoint's card."""

from __future__ import annotations

import numpy as np


def statistics(actions: np.ndarray) -> dict[str, list[float]]:
    """Mean, standard deviation, least and greatest of actions (..., 7), for each dimension.

    In the units of the action space: [m], [rad], and the gripper from 0 to 1.
    """
    flat = actions.reshape(-1, actions.shape[-1]).astype(np.float64)
    rows = {"mean": flat.mean(0), "std": flat.std(0), "min": flat.min(0), "max": flat.max(0)}
    return {name: [round(float(value), 6) for value in row] for name, row in rows.items()}
