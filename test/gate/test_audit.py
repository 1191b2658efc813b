import json
import math
import time

import pytest

from whale_ros.gate.audit import AuditLog


def wait(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_json_line_a_decision_after_a_line_about_the_run(tmp_path):
    log = AuditLog(tmp_path / "new" / "audit.jsonl", {"parameters": "abc"})
    log.write([{"event": "reset", "value": math.nan}, {"event": "stop", "value": math.inf}])
    log.close()
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "reset", "stop"]
    assert lines[0]["parameters"] == "abc" and lines[1]["value"] == "nan"


def test_it_appends(tmp_path):
    for _ in range(2):
        AuditLog(tmp_path / "audit.jsonl", {}).close()
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 2


def test_what_cannot_be_written_is_counted_and_told_once_it_can(tmp_path):
    folder = tmp_path / "folder"
    folder.write_text("a file where the folder should be")
    log = AuditLog(folder / "audit.jsonl", {})
    log.write([{"event": "stop"}])
    wait(lambda: log.lost == 2)
    assert str(log.path) in log.problem
    folder.unlink()
    log.write([{"event": "reset"}])
    log.close()
    (line,) = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert line == {"event": "reset", "lost_before": 2}
    assert not log.problem


def test_a_full_disk_does_not_stop_it():
    from pathlib import Path

    if not Path("/dev/full").exists():
        pytest.skip("NOT TESTED: no /dev/full here")
    log = AuditLog(Path("/dev/full"), {})
    started = time.monotonic()
    log.write([{"event": "x"}] * 5000)
    assert time.monotonic() - started < 5
    wait(lambda: "No space left" in log.problem)
    log.close()
    assert log.lost >= 5000
