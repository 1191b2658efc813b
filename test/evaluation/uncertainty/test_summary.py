"""All tables, from made-up trials; and how they are shown."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from whale_ros.evaluation.uncertainty.report import table, write_html
from whale_ros.evaluation.uncertainty.summary import ALL, BEST, summarise

BOUNDS = {"features": 0.3}
COSTS = {
    "retracing": {"training_steps": 1200.0, "inference_ms": 12.5},
    "ensemble": {"training_steps": 6000.0, "inference_ms": 40.0},
}


def summary_of(trials, bounds=BOUNDS):
    return summarise(trials, COSTS, "retracing", bounds)


def of(summary, score, scope=ALL, error="features", depth=8):
    (row,) = (
        row
        for row in summary["scores"]
        if (row["score"], row["scope"], row["error"], row["depth"]) == (score, scope, error, depth)
    )
    return row


def test_a_score_that_is_the_error_is_perfect_and_reaches_every_aim(made_up_trials):
    made_up_trials.scores["retracing"] = made_up_trials.errors["features"]
    summary = summary_of(made_up_trials)
    row = of(summary, "retracing")
    for key in ("spearman", "auroc", "true_alarms"):
        assert row[key]["value"] == row[key]["from"] == 1
    curves = summary["risk_coverage"][ALL]
    assert curves["retracing"] == curves[BEST] != curves["ensemble"]
    assert len(summary["aims"]) == 5
    assert all(aim["met"] and aim["in_words"].endswith(": met") for aim in summary["aims"])


def test_a_missed_aim_is_told_in_words_with_its_number(made_up_trials):
    made_up_trials.scores["retracing"] = -made_up_trials.errors["features"]
    summary = summary_of(made_up_trials)
    auroc, spearman, *_ = summary["aims"]
    assert not auroc["met"]
    assert (
        "aim at least 0.85, 0.000 (95 % interval 0.000 .. 0.000): MISSED by 0.850"
        in (auroc["in_words"])
    )
    assert spearman["in_words"].endswith("MISSED by 1.550")
    assert auroc["in_words"] in table(summary)


def test_an_aim_without_a_number_is_missed(made_up_trials):
    summary = summary_of(made_up_trials, {"features": 1e9})
    assert not summary["aims"][0]["met"]
    assert "MISSED: there is no such number" in summary["aims"][0]["in_words"]


def test_a_score_that_never_judges_tells_nothing_and_json_knows_it(made_up_trials):
    made_up_trials.scores["broken"] = np.full((len(made_up_trials), 8), np.nan)
    summary = summary_of(made_up_trials)
    row = of(summary, "broken")
    assert (row["auroc"]["value"], row["true_alarms"]["value"]) == (0.5, 0)
    assert row["spearman"]["value"] is None
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_depths_and_scopes_are_never_mixed(made_up_trials):
    nominal = made_up_trials.condition == "nominal"
    error = made_up_trials.errors["features"]
    score = np.where(nominal[:, None], error, -error)
    score[:, 3] *= -1
    made_up_trials.scores["retracing"] = score
    summary = summary_of(made_up_trials)
    assert of(summary, "retracing", "nominal")["spearman"]["value"] == 1
    assert of(summary, "retracing", "nominal", depth=4)["spearman"]["value"] == -1
    assert of(summary, "retracing")["spearman"]["value"] < 0


def test_windows_whose_error_is_not_defined_do_not_count(made_up_trials):
    summary = summary_of(made_up_trials)
    row = of(summary, "retracing", error="pixels")
    assert row["windows"] == 216 - 31
    assert row["spearman"]["value"] > 0.5
    assert "auroc" not in row


def test_a_score_is_no_better_than_itself(made_up_trials):
    made_up_trials.scores["ensemble"] = made_up_trials.scores["retracing"]
    for row in summary_of(made_up_trials)["differences"]:
        assert (row["auroc"]["value"], row["auroc"]["from"], row["auroc"]["to"]) == (0, 0, 0)


def test_without_a_rival_there_is_nothing_to_compare_with(made_up_trials):
    del made_up_trials.scores["ensemble"]
    summary = summary_of(made_up_trials)
    assert summary["differences"] == []
    assert not any("minus" in aim["aim"] for aim in summary["aims"])
    assert "retracing" in table(summary)


def test_trials_without_what_is_needed_are_refused(made_up_trials):
    with pytest.raises(ValueError, match="no bound of the error in features"):
        summary_of(made_up_trials, {"pixels": 0.1})
    with pytest.raises(ValueError, match="compared with 'nominal', but there are only .*shift"):
        summary_of(made_up_trials.select(made_up_trials.condition == "shift"))


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self._open = [], [], "", []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_all_it_shows_and_runs_nothing(made_up_trials, tmp_path):
    made_up_trials.scores["<script>alert(1)</script>"] = made_up_trials.scores["ensemble"]
    summary = summary_of(made_up_trials)
    summary["settings"] |= {"hardware": "a & b", "seed": 0}
    summary["further_tables"] = {"physical floor": {"k = 1": {"features": 0.0123, "windows": 7}}}
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    write_html(summary, {'a "picture"': tmp_path / "p.png"}, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert "http" not in text.replace("http-equiv", "")
    assert [value for name, value in page.attributes if name == "src"] == [
        "data:image/png;base64,iVBORw=="
    ]
    assert ("alt", 'a "picture"') in page.attributes
    (policy,) = (v for n, v in page.attributes if n == "content" and v.startswith("default-src"))
    assert policy.startswith("default-src 'none';")
    for expected in ("<script>alert(1)</script>", "a & b", "physical floor", "0.0123", "shift 0.06",
                     *(aim["in_words"] for aim in summary["aims"])):  # fmt: skip
        assert expected in page.text


def test_terminal_and_page_show_the_same_numbers(made_up_trials, tmp_path):
    summary = summary_of(made_up_trials)
    write_html(summary, {}, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    row = of(summary, "ensemble")["spearman"]
    number = f"{row['value']:.3f} ({row['from']:.3f} .. {row['to']:.3f})"
    assert number in table(summary)
    assert number in page.text
