"""The summary as tables of text, which the terminal and the browser show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from whale_ros.evaluation.uncertainty.wording import (
    ERRORS,
    anything,
    condition_name,
    number,
    plain,
)

WITHIN = "Mean over tasks of what each task gives; in brackets the 95 % interval over episodes."


@dataclass
class Section:
    title: str
    note: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def sections(summary: dict) -> Iterator[Section]:
    """In the order in which one reads them. Raises KeyError if the summary is none."""
    yield _about(summary)
    for scope in ("all conditions", "nominal"):
        yield _scores(summary, scope)
    if summary["differences"]:
        yield _differences(summary)
    yield _depths(summary)
    yield _errors(summary)
    yield _tasks(summary)
    for scope in ("all conditions", "nominal"):
        yield _failures(summary, scope)
    for name in (summary["main_score"], summary["rival"]):
        if name in summary["conditions"][0]["scores"]:
            yield _conditions(summary, name)
    yield _detection(summary)
    for title, table in summary.get("further_tables", {}).items():
        header = list(next(iter(table.values())))
        yield Section(
            title,
            "",
            ["", *header],
            [[name, *map(anything, row.values())] for name, row in table.items()],
        )


def _about(summary: dict) -> Section:
    bounds = ", ".join(f"{ERRORS[e]} over {b:g}" for e, b in summary["bounds"].items())
    rows = [
        ["windows, episodes", f"{summary['windows']}, {summary['episodes']}"],
        ["tasks", ", ".join(summary["tasks"])],
        ["behaviours", ", ".join(summary["behaviors"])],
        ["a prediction is bad if", bounds],
        *([name.replace("_", " "), anything(value)] for name, value in summary["settings"].items()),
    ]
    return Section("What was measured, and on what", rows=rows)


def _scores(summary: dict, scope: str) -> Section:
    error = summary["main_error"]
    header = ["score", "Spearman", "AUROC", "TPR at 5 % FPR", "risk-coverage area"]
    rows = []
    for row in _of(summary, scope=scope, error=error, depth=summary["main_depth"]):
        cost = summary["costs"].get(row["score"], {})
        numbers = [number(row[key]) for key in ("spearman", "auroc", "true_alarms", "area")]
        spent = [anything(cost.get("training_steps")), anything(cost.get("inference_ms"))]
        rows.append([row["score"], *numbers, *spent])
    note = (
        f"Within task, at {summary['main_depth']} steps; truth: {ERRORS[error]}, "
        f"bad over {summary['bounds'][error]:g}. {WITHIN} Area: mean error of the most trusted "
        "share, over all shares; less is better. Inference: of one rollout, beside itself."
    )
    return Section(
        f"Foretelling errors, {scope}", note, [*header, "training steps", "inference [ms]"], rows
    )


def _differences(summary: dict) -> Section:
    rows = [
        [row["scope"], ERRORS[row["error"]], number(row["auroc"])] for row in summary["differences"]
    ]
    return Section(
        f"AUROC of {summary['main_score']} minus {summary['rival']}",
        f"In the same resamples of episodes. {WITHIN}",
        ["scope", "bad by", "difference"],
        rows,
    )


def _depths(summary: dict) -> Section:
    error = summary["main_error"]
    found = _of(summary, scope="all conditions", error=error)
    tables = {f"step {row['depth']}": _of(summary, **_kind(row)) for row in found}
    note = f"All conditions, within task; truth: {ERRORS[error]}."
    return _side_by_side("At other depths", note, tables)


def _errors(summary: dict) -> Section:
    found = _of(summary, scope="all conditions", depth=summary["main_depth"])
    tables = {ERRORS[row["error"]]: _of(summary, **_kind(row)) for row in found}
    note = f"All conditions, within task, at {summary['main_depth']} steps."
    return _side_by_side("By what error is measured in", note, tables)


def _side_by_side(title: str, note: str, tables: dict[str, list[dict]]) -> Section:
    """Spearman and, where there is a bound, AUROC; tables: rows of all scores, by label."""
    columns = [
        (f"{name}, {label}", [row[key]["value"] for row in rows])
        for key, name in (("spearman", "Spearman"), ("auroc", "AUROC"))
        for label, rows in tables.items()
        if key in rows[0]
    ]
    names = [row["score"] for row in next(iter(tables.values()))]
    rows = [[name, *(plain(values[i]) for _, values in columns)] for i, name in enumerate(names)]
    return Section(title, note, ["score", *(label for label, _ in columns)], rows)


def _tasks(summary: dict) -> Section:
    found = _of(
        summary,
        scope="all conditions",
        error=summary["main_error"],
        depth=summary["main_depth"],
    )
    rows = [
        [row["score"], *(f"{plain(row['spearman']['of_each_task'][task])} / "
                         f"{plain(row['auroc']['of_each_task'][task])}"
                         for task in summary["tasks"])]
        for row in found
    ]  # fmt: skip
    note = "Spearman / AUROC, all conditions. A dash: nothing to tell apart."
    return Section("Each task", note, ["score", *summary["tasks"]], rows)


def _failures(summary: dict, scope: str) -> Section:
    found = [row for row in summary["failures"] if row["scope"] == scope]
    header = ["score", "AUROC", "TPR at 5 % FPR", "failures alarmed", "median lead [s]"]
    rows = [
        [
            row["score"],
            *(number(row[key]) for key in ("auroc", "true_alarms", "alarmed")),
            anything(row["median_lead_s"]),
            plain(row["successes_alarmed"]),
        ]
        for row in found
    ]
    note = (
        f"{found[0]['failures']} episodes that fail and {found[0]['successes']} that succeed, by "
        "their worst window. AUROC and TPR within task. Alarm: above what 5 % of the nominal "
        "episodes that succeed exceed, one threshold for all tasks; lead: from the first alarm "
        "of an episode that fails to its end."
    )
    return Section(f"Foretelling task failure, {scope}", note, [*header, "successes alarmed"], rows)


def _conditions(summary: dict, name: str) -> Section:
    errors = list(summary["conditions"][0]["median_error"])
    header = ["condition", "windows", "failed", *(f"median, {ERRORS[e]}" for e in errors)]
    header += ["bad", "median score", "AUROC against nominal", "above 95 % of nominal"]
    rows = []
    for row in summary["conditions"]:
        score = row["scores"][name]
        rows.append(
            [
                condition_name(row["condition"], row["severity"]),
                str(row["windows"]),
                plain(row["failed"]),
                *(plain(row["median_error"][error]) for error in errors),
                plain(row["bad"][summary["main_error"]]),
                anything(score["median"]),
                *(plain(score[key]) for key in ("auroc_against_nominal", "above_nominal_95")),
                *(plain(score[key]) for key in ("spearman", "auroc")),
            ]
        )
    note = (
        f"At {summary['main_depth']} steps. The last two columns: Spearman with the error and "
        "AUROC for bad predictions within this condition, mean over tasks."
    )
    return Section(
        f"Each condition, score: {name}", note, [*header, "Spearman", "AUROC, bad"], rows
    )


def _detection(summary: dict) -> Section:
    rows = summary["conditions"]
    names = [condition_name(row["condition"], row["severity"]) for row in rows]
    return Section(
        "AUROC of each condition against nominal",
        f"Within task, at {summary['main_depth']} steps; 0.5: cannot tell them apart.",
        ["score", *names],
        [
            [name, *(plain(row["scores"][name]["auroc_against_nominal"]) for row in rows)]
            for name in rows[0]["scores"]
        ],
    )


def _kind(row: dict) -> dict:
    return {key: row[key] for key in ("scope", "error", "depth")}


def _of(summary: dict, **wanted: object) -> list[dict]:
    return [
        row for row in summary["scores"] if all(row[key] == value for key, value in wanted.items())
    ]
