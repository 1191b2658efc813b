import json
import math

import pytest

from whale_ros.faults import report
from whale_ros.faults.catalogue import Fault
from whale_ros.faults.oracle import Violation
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
    assert (row.p50_ms, row.p99_ms, row.max_ms, row.n) == (50.0, 99.0, 100.0, 101)
    assert row.seen == "held 101/101, moved again by itself 101/101"
    assert "| 1 | camera stalls | H, A |" in report.table([row])


def test_what_never_stopped_has_no_latency():
    (row,) = report.rows([REJECTS], [trial(REJECTS.name)])
    assert math.isnan(row.p50_ms) and "– / – / –" in report.table([row])


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
    violation = Violation(1.0, HOLDS.name, "hold", "moves")
    trials = [trial(latency_s=None, recovery_s=None, violations=(violation,))]
    report.write(tmp_path / "faults.json", {"core": report.part([HOLDS], trials)})
    written = json.loads((tmp_path / "faults.json").read_text())
    assert "cores" in written["hardware"]
    assert written["core"]["rows"][0]["p99_ms"] is None
    assert written["core"]["violations"][0]["rule"] == "hold"
