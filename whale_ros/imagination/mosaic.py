"""Imagined frames as one picture: a row a candidate, framed green if trusted, red if not."""

from __future__ import annotations

import cv2
import numpy as np

TRUSTED, UNTRUSTED = (60, 170, 70), (205, 60, 50)  # RGB
BORDER = 3  # pixels
ZOOM = 2


def mosaic(pictures: np.ndarray, labels: list[str], trusted: list[bool]) -> np.ndarray:
    """Pictures (K, H, R, R, 3) uint8 to one (height, width, 3) uint8 RGB."""
    rows = []
    for row, label, good in zip(pictures, labels, trusted, strict=True):
        strip = np.concatenate(list(row), axis=1)
        strip = cv2.resize(strip, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
        colour = TRUSTED if good else UNTRUSTED
        strip[:BORDER], strip[-BORDER:] = colour, colour
        strip[:, :BORDER], strip[:, -BORDER:] = colour, colour
        cv2.putText(strip, label, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
        rows.append(strip)
    return np.concatenate(rows, axis=0)
