"""Cells become rows: means over seeds, beside scratch and beside the base."""

from whale_ros.evaluation.finetuning.summary import NUMBERS, summarise, table


def cell(method, consistency, old_psnr, old_hand, count=None, seed=None):
    unknown = dict.fromkeys(NUMBERS)
    return {
        "method": method,
        "demonstrations": count,
        "seed": seed,
        "new": unknown | {"consistency": consistency},
        "old": unknown | {"moving_pixels_psnr_db": old_psnr, "hand_error_cm": old_hand},
        "gate": {},
    }


CELLS = [
    cell("base", 0.5, 20.0, 2.0),
    cell("finetuned", 0.9, 19.0, 2.0, 20, 0),
    cell("finetuned", 0.7, 19.4, 1.8, 20, 1),
    cell("scratch", 0.5, 10.0, 9.0, 20, 0),
]


def test_seeds_are_put_together_and_compared_with_scratch():
    summary = summarise(CELLS, {})
    row = next(row for row in summary["rows"] if row["method"] == "finetuned")
    assert (row["demonstrations"], row["seeds"]) == (20, 2)
    assert row["new"]["consistency"] == {"mean": 0.8, "spread": 0.141}
    assert summary["against_scratch"] == {"20": 1.6}
    assert "consistency with 20 demonstrations: 1.60 times" in table(summary)


def test_worse_than_the_base_is_positive_whatever_the_number():
    summary = summarise(CELLS, {})
    assert summary["worse_on_the_old_robot_percent"] == {
        "20": {"moving_pixels_psnr_db": 4.0, "hand_error_cm": -5.0}
    }
    assert "PSNR [dB] +4.0 %, hand [cm] -5.0 %" in table(summary)


def test_a_table_of_what_is_there_already_has_no_gaps():
    assert summarise([], {})["rows"] == []
    alone = summarise(CELLS[1:2], {})
    assert alone["against_scratch"] == {}
    assert alone["rows"][0]["new"]["consistency"] == {"mean": 0.9, "spread": None}
    assert "last frame" not in table(alone)
