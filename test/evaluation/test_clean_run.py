"""The numbers of a clean run, and a process's usage as the kernel tells it."""

import os
import threading

import pytest

from whale_ros.evaluation.clean_run import (
    CleanRun,
    Stop,
    Usage,
    draw,
    read_usage,
    summarise,
    table,
)


def _run(**usage) -> CleanRun:
    stops = [
        Stop(12.0, 1.5, ("heartbeat",), "newest heartbeat is old", "reach-v3", 7),
        Stop(40.0, 0.5, ("familiarity",), "unfamiliar", "push-v3", 8),
        Stop(90.0, 1.0, ("heartbeat",), "newest heartbeat is old", "push-v3", 8),
    ]
    episodes = [("reach-v3", 7, True), ("push-v3", 8, False)]
    return CleanRun(100.0, 80.0, 17.0, stops, episodes, usage)


def test_a_stop_lasts_until_the_arm_moves_again():
    run = CleanRun()
    for begin_s, seconds, moves, checks, reason in (
        (0.0, 1.0, True, (), ""),
        (1.0, 0.25, False, (), "waiting for an approved chunk"),
        (1.25, 0.5, False, ("uncertainty",), "unsure"),
        (1.75, 1.0, False, (), "all checks pass, 1.00 s until release"),
        (2.75, 0.25, False, ("heartbeat", "uncertainty"), "late"),
        (3.0, 2.0, True, (), ""),
        (5.0, 0.5, False, ("familiarity",), "unfamiliar"),
    ):
        run.add(begin_s, seconds, moves, checks, reason, ("push-v3", 3))
    run.end_stop()
    assert run.stops == [
        Stop(1.25, 1.75, ("uncertainty", "heartbeat"), "unsure", "push-v3", 3),
        Stop(5.0, 0.5, ("familiarity",), "unfamiliar", "push-v3", 3),
    ]
    assert (run.seconds, run.executing_s, run.waiting_s) == (5.5, 3.0, 0.25)


def test_stops_are_added_up_by_check():
    summary = summarise(_run())
    assert summary["false_stop_share"] == 0.03
    assert summary["false_stop_s_by_check"] == {"heartbeat": 2.5, "familiarity": 0.5}
    assert (summary["episodes"], summary["successes"]) == (2, 1)
    assert "3.00 % of the time, 3 stops" in table(summary)


def test_growth_is_that_of_the_straight_line_after_settling():
    # 5 MiB a minute all along, and 100 at once in the beginning, which is settling.
    samples = [Usage(60.0 * m, 100.0 * (m > 1) + 5.0 * m, 18, 4) for m in range(21)]
    told = summarise(_run(gate=samples))["processes"]["gate"]
    assert told["rss_mib"]["growth_per_hour"] == pytest.approx(300)
    assert told["rss_mib"]["settled"] == 120 and told["rss_mib"]["largest"] == 200
    assert told["threads"] == {"settled": 4, "last": 4, "largest": 4, "growth_per_hour": 0}


def test_nothing_moved():
    summary = summarise(CleanRun())
    assert summary["false_stop_share"] is None and "no motion" in table(summary)


def test_usage_is_that_of_the_process(tmp_path):
    before = read_usage(os.getpid(), 0.0)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    with (tmp_path / "file").open("w"):
        after = read_usage(os.getpid(), 1.0)
    done.set()
    thread.join()
    assert after.file_descriptors == before.file_descriptors + 1
    assert after.threads == before.threads + 1
    assert 10 < after.rss_mib < 10_000


def test_it_is_drawn(tmp_path):
    samples = [Usage(float(t), 100.0, 18, 4) for t in range(5)]
    draw(_run(gate=samples, planner=samples), tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 10_000
