"""Cells put together over seeds, and the table that people read."""

from __future__ import annotations

from statistics import mean, stdev

from whale_ros.evaluation.rounding import rounded

# What is told of either robot: title, digits, and whether more is better.
NUMBERS = {
    "moving_pixels_psnr_db": ("PSNR [dB]", 2, True),
    "feature_distance": ("features", 3, False),
    "hand_error_cm": ("hand [cm]", 2, False),
    "object_error_cm": ("object [cm]", 2, False),
    "consistency": ("consistency", 3, True),
    "uncertainty_auroc": ("AUROC", 3, True),
}
GATE = {"gate_pass_rate": ("gate passes", 3, True)}
TITLES = {
    "real": "real pictures (the rulers' floor)",
    "copy": "last frame copied",
    "base": "shipped base, not fine-tuned",
    "finetuned": "fine-tuned",
    "scratch": "from scratch",
}


def summarise(done: list[dict], settings: dict) -> dict:
    """A row for each method and number of demonstrations: mean and spread over seeds."""
    rows: list[dict] = []
    for method in TITLES:
        counts = {cell["demonstrations"] for cell in done if cell["method"] == method}
        for count in sorted(counts, key=lambda number: number or 0):
            same = [c for c in done if (c["method"], c["demonstrations"]) == (method, count)]
            row: dict = {"method": method, "demonstrations": count, "seeds": len(same)}
            for part, known in (("new", NUMBERS), ("old", NUMBERS), ("gate", GATE)):
                row[part] = {name: _over(same, part, name, known[name][1]) for name in known}
            if method == "base":  # without a calibration a gate does not open
                row["gate"]["gate_pass_rate"] = {"mean": 0.0, "spread": None}
            rows.append(row)
    return {
        "settings": settings,
        "rows": rows,
        "against_scratch": _against_scratch(rows),
        "worse_on_the_old_robot_percent": _worse(rows),
    }


def table(summary: dict) -> str:
    """For the terminal; every row once of the new robot, then of the old one."""
    lines = []
    for part, title in (("new", "the new robot"), ("old", "the old robot")):
        known = NUMBERS | (GATE if part == "new" else {})
        heads = "".join(f"{head:>16}" for head, *_ in known.values())
        lines += [f"{title:38}{'n':>4}{'seeds':>7}{heads}"]
        for row in summary["rows"]:
            numbers = {**row[part], **(row["gate"] if part == "new" else {})}
            texts = [_text(numbers[name], digits) for name, (_, digits, _) in known.items()]
            start = f"  {TITLES[row['method']]:36}{row['demonstrations'] or '':>4}{row['seeds']:>7}"
            lines.append(start + "".join(f"{text:>16}" for text in texts))
        lines.append("")
    for count, times in summary["against_scratch"].items():
        lines.append(f"consistency with {count} demonstrations: {times:.2f} times from scratch")
    for count, parts in summary["worse_on_the_old_robot_percent"].items():
        worse = ", ".join(f"{NUMBERS[name][0]} {part:+.1f} %" for name, part in parts.items())
        lines.append(f"worse on the old robot after {count} demonstrations: {worse}")
    return "\n".join(lines)


def _over(cells: list[dict], part: str, name: str, digits: int) -> dict:
    values = [cell[part].get(name) for cell in cells]
    known = [value for value in values if value is not None]
    return {
        "mean": rounded(mean(known), digits) if known else None,
        "spread": rounded(stdev(known), digits) if len(known) > 1 else None,
    }


def _against_scratch(rows: list[dict]) -> dict[str, float]:
    """By number of demonstrations, how many times that of scratch the consistency is."""
    found = {
        (row["method"], row["demonstrations"]): row["new"]["consistency"]["mean"] for row in rows
    }
    return {
        str(count): round(value / found["scratch", count], 3)
        for (method, count), value in found.items()
        if method == "finetuned" and value is not None and found.get(("scratch", count))
    }


def _worse(rows: list[dict]) -> dict[str, dict[str, float]]:
    """By number of demonstrations, by how much each number is worse than the base's."""
    before: dict = next((row["old"] for row in rows if row["method"] == "base"), {})
    result: dict[str, dict[str, float]] = {}
    for row in (row for row in rows if row["method"] == "finetuned"):
        parts = {}
        for name, (_, _, more_is_better) in NUMBERS.items():
            was, now = (numbers.get(name, {}).get("mean") for numbers in (before, row["old"]))
            if was and now is not None:
                parts[name] = round(100 * (was - now if more_is_better else now - was) / was, 1)
        result[str(row["demonstrations"])] = parts
    return result


def _text(value: dict, digits: int) -> str:
    if value["mean"] is None:
        return "-"
    spread = "" if value["spread"] is None else f" +- {value['spread']:.{digits}f}"
    return f"{value['mean']:.{digits}f}{spread}"
