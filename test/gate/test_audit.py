import json
import math
import os
import resource
import stat
import threading
import time

import pytest

from whale_ros.gate.audit import QUEUE, AuditLog


def wait(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_json_line_a_decision_after_a_line_about_the_run(tmp_path):
    log = AuditLog(tmp_path / "new" / "deep" / "audit.jsonl", {"parameters": "abc"})
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


def test_a_line_that_cannot_be_made_is_lost_and_the_next_one_is_not(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", {})
    log.write([{"event": object()}])
    wait(lambda: log.lost == 1)
    assert log.problem.startswith(f"cannot write {log.path}: ") and "object" in log.problem
    log.write([{"event": "reset"}])
    log.close()
    assert json.loads(log.path.read_text().splitlines()[1]) == {"event": "reset", "lost_before": 1}


def test_each_loss_is_told_once(tmp_path):
    folder = tmp_path / "folder"
    folder.write_text("a file where the folder should be")
    log = AuditLog(folder / "audit.jsonl", {})
    wait(lambda: log.lost == 1)
    folder.unlink()
    log.write([{"event": "a"}, {"event": "b"}])
    wait(lambda: log.path.exists() and len(log.path.read_text().splitlines()) == 2)
    log.path.rename(tmp_path / "before")
    folder.rmdir()
    folder.write_text("again")
    log.write([{"event": "c"}, {"event": "d"}])
    wait(lambda: log.lost == 3)
    folder.unlink()
    log.write([{"event": "e"}])
    log.close()
    first, second = (tmp_path / "before").read_text(), log.path.read_text()
    assert first == '{"event": "a", "lost_before": 1}\n{"event": "b"}\n'
    assert second == '{"event": "e", "lost_before": 2}\n'


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


def test_everybody_may_read_it_and_its_owner_alone_may_write(tmp_path):
    before = os.umask(0)
    try:
        log = AuditLog(tmp_path / "audit.jsonl", {})
        log.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o644


def test_a_process_does_not_wait_for_it_at_its_end(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", {})
    (thread,) = [t for t in threading.enumerate() if t.name == "audit_log"]
    assert thread.daemon
    log.close()
    assert not thread.is_alive()


@pytest.fixture
def stuck(tmp_path):
    """A log on a disk that takes nothing (a pipe without a reader), its first line under way."""
    os.mkfifo(tmp_path / "audit.jsonl")
    log = AuditLog(tmp_path / "audit.jsonl", {})
    wait(lambda: log._queue.empty())
    yield log
    reader = os.open(log.path, os.O_RDONLY | os.O_NONBLOCK)
    log._queue.queue.clear()
    log.close()
    os.close(reader)


def test_so_many_decisions_wait_for_a_slow_disk_and_others_are_counted(stuck):
    stuck.write({"event": "x"} for _ in range(QUEUE))
    assert stuck.lost == 0 and QUEUE == 1000 and stuck.problem == ""
    stuck.write([{"event": "x"}] * 3)
    assert stuck.lost == 3
    started = time.monotonic()
    stuck.close(timeout_s=0.1)
    assert time.monotonic() - started < 5


def test_a_disk_that_does_not_answer_is_not_waited_for(stuck):
    started = time.monotonic()
    stuck.close(timeout_s=0.1)
    assert time.monotonic() - started < 5


def test_a_disk_that_fills_up_in_the_middle_of_a_line_keeps_none_of_it(tmp_path):
    """Here a file may not grow beyond what the limit on its size allows."""
    log = AuditLog(tmp_path / "audit.jsonl", {"padding": "x" * 2_000_000})
    wait(lambda: log.path.exists() and log.path.stat().st_size > 2_000_000)
    size = log.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        log.write([{"event": "longer than ten bytes"}])
        wait(lambda: log.problem)
        assert log.path.stat().st_size == size and log.lost == 1
        assert log.problem == f"cannot write {log.path}: No space left on device"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.write([{"event": "reset"}, {"event": "stop"}])
    log.close()
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert lines[1:] == [{"event": "reset", "lost_before": 1}, {"event": "stop"}]
    assert not log.problem


def test_what_is_no_number_is_written_in_words(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", {})
    log.write([{"a": 0.5, "b": math.nan, "c": -math.inf, "d": "x", "e": 3, "f": None, "g": [1.0]}])
    log.close()
    line = json.loads(log.path.read_text().splitlines()[1])
    assert line == {"a": 0.5, "b": "nan", "c": "-inf", "d": "x", "e": 3, "f": None, "g": [1.0]}
