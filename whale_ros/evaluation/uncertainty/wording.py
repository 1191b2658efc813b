"""How the report of uncertainty writes names and numbers."""

from __future__ import annotations

ERRORS = {
    "features": "distance in features",
    "pixels": "RMS on moving pixels",
    "hand_cm": "hand [cm]",
    "object_cm": "object [cm]",
}


def condition_name(condition: str, severity: float) -> str:
    return condition if not severity else f"{condition} {severity:g}"


def number(estimate: dict) -> str:
    value, low, high = (estimate[key] for key in ("value", "from", "to"))
    return plain(value) if low is None else f"{value:.3f} ({low:.3f} .. {high:.3f})"


def plain(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"


def anything(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
