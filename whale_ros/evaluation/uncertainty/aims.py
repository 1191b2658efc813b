"""What was aimed at, beside what was reached, in words."""

from __future__ import annotations

AUROC = 0.85
BELOW_RIVAL = 0.01
SPEARMAN = 0.55
COST_SHARE = 0.2


def aims(summary: dict) -> list[dict]:
    """For each aim: what it is, the number and its interval, whether it is met, and a sentence."""
    main, rival = summary["main_score"], summary["rival"]
    error, depth = summary["main_error"], summary["main_depth"]
    at = f"at {depth} steps, within task"
    bad = f"AUROC for bad predictions (error in {error} over {summary['bounds'][error]:g})"
    result = []
    for scope in ("all conditions", "nominal"):
        (row,) = (
            row
            for row in summary["scores"]
            if (row["scope"], row["error"], row["depth"], row["score"])
            == (scope, error, depth, main)
        )
        if scope == "all conditions":
            result.append(_aim(f"{bad}, {scope}, {at}", row["auroc"], AUROC))
        result.append(
            _aim(f"Spearman with the error in {error}, {scope}, {at}", row["spearman"], SPEARMAN)
        )
    for row in summary["differences"]:
        if (row["scope"], row["error"]) == ("all conditions", error):
            result.append(_aim(f"{bad}, {main} minus {rival}, {at}", row["auroc"], -BELOW_RIVAL))
    costs = [summary["costs"].get(name, {}).get("training_steps") for name in (main, rival)]
    if None not in costs and costs[1]:
        share = {"value": round(costs[0] / costs[1], 4), "from": None, "to": None}
        result.append(_aim(f"training of {main} over that of {rival}", share, at_most=COST_SHARE))
    return result


def _aim(
    name: str, estimate: dict, at_least: float | None = None, at_most: float | None = None
) -> dict:
    """One of the two bounds is given."""
    value, low, high = (estimate[key] for key in ("value", "from", "to"))
    wanted = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    bound = at_least if at_least is not None else at_most
    if value is None:
        met, outcome = False, "MISSED: there is no such number here"
    else:
        short = bound - value if at_least is not None else value - bound
        met = short <= 0
        within = "" if low is None else f" (95 % interval {low:.3f} .. {high:.3f})"
        outcome = f"{value:.3f}{within}: " + ("met" if met else f"MISSED by {short:.3f}")
    return {
        "aim": name,
        "wanted": wanted,
        "value": value,
        "from": low,
        "to": high,
        "met": met,
        "in_words": f"{name}: aim {wanted}, {outcome}",
    }
