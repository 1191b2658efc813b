import json
import math

import pytest

from whale_ros.faults import report
from whale_ros.faults.fault import Fault, union
from whale_ros.faults.oracle import LATCH, Violation
from whale_ros.faults.trial import Trial

HOLDS = Fault(1, "camera stalls", "H", False, lambda _world: None)
REJECTS = Fault(23, "a stale plan", "X", False, lambda _world: None)


def trial(fault=HOLDS.name, **change):
    values = dict(
        fault=fault,
        held=True,
        recovered=True,
        latency_s=0.02,
        recovery_s=1.2,
        unsafe=0,
        violations=(),
    )
    return Trial(**{**values, **change})


def test_a_row_tells_percentiles_in_milliseconds_and_how_often():
    trials = [trial(latency_s=ms / 1000) for ms in range(101)]
    (row,) = report.rows([HOLDS, REJECTS], trials)
    assert (row.detection_to_zero_ms, row.n) == (report.Latency(50.0, 99.0, 100.0), 101)
    assert row.seen == "held 101/101, moved again by itself 101/101"
    assert "| 1 | camera stalls | H, A |" in report.table([row])


def test_what_never_stopped_has_no_latency():
    (row,) = report.rows([REJECTS], [trial(REJECTS.name)])
    assert math.isnan(row.detection_to_zero_ms.p50) and "– / – / –" in report.table([row])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unsafe": 3}, "camera stalls: 3 unsafe commands"),
        ({"held": False}, "camera stalls: 1 times not held"),
        ({"recovered": False}, "camera stalls: 1 times not moving again"),
    ],
)
def test_whatever_is_not_as_demanded_is_named(change, words):
    assert report.missed([HOLDS], [trial()]) == []
    (line,) = report.missed([HOLDS], [trial(), trial(**change)])
    assert words in line


def test_the_file_is_json_and_says_on_what_it_was_measured(tmp_path):
    violation = Violation(1.0, HOLDS.name, LATCH, "moves")
    trials = [trial(latency_s=None, recovery_s=None, violations=(violation,))]
    report.write(tmp_path / "faults.json", {"core": report.part([HOLDS], trials)})
    written = json.loads((tmp_path / "faults.json").read_text())
    assert "cores" in written["hardware"]
    row = written["core"]["rows"][0]
    assert {"fault", "required", "seen", "detection_to_zero_ms", "recovery_s", "n"} <= row.keys()
    assert row["detection_to_zero_ms"] == {"p50": None, "p99": None, "max": None}
    assert written["core"]["violations"][0]["rule"] == LATCH
    assert written["core"]["motions_after_latch"] == 1


@pytest.mark.parametrize(("slow", "wrong"), [(1, []), (12, ["camera stalls: 1 time(s) a p99"])])
def test_a_class_that_is_slow_as_a_rule_is_missed_and_one_of_few_trials_is_not(slow, wrong):
    lines = report.missed([HOLDS], [trial(latency_s=0.2)] * slow)
    assert [line[: len(wrong[0])] for line in lines] == wrong


def test_pairs_and_triples_are_rows_by_what_they_demand_and_misses_keep_their_names():
    both = union([HOLDS, REJECTS])
    assert both.demand == "H, A"
    tried = [(both, trial(both.name)), (both, trial(both.name, held=False))]
    part = report.combined_part(tried)
    assert [row.fault for row in part["rows"]] == ["pairs that demand H, A"]
    assert part["rows"][0].n == part["injections"] == 2
    assert part["missed"] == [
        "camera stalls + a stale plan: 1 times not held in time, or not tried while moving"
    ]
