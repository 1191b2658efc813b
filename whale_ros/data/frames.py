"""Camera pictures at the model's resolution."""

from __future__ import annotations

import cv2
import numpy as np


def fit(image: np.ndarray, resolution: int) -> np.ndarray:
    """The central square of an image (height, width, 3), area-averaged to the resolution."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    return cv2.resize(square, (resolution, resolution), interpolation=cv2.INTER_AREA)
