"""Numbers as reports hold them: JSON knows no infinity and no NaN."""

from __future__ import annotations

import math


def rounded(number: float, digits: int) -> float | None:
    """None if there is no such number: a PSNR of no error, or of no moving pixel."""
    return round(number, digits) if math.isfinite(number) else None
