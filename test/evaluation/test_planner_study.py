"""A policy alone and with the planner, in simulated time."""

import pytest

from whale_ros.evaluation import planner_study
from whale_ros.evaluation.planner_study import ALONE, Outcome, draw, play, summarise, table
from whale_ros.imagination.loaded import load
from whale_ros.sim.arm import SimArm


def test_successes_are_counted_by_method_and_task_with_intervals(tmp_path):
    outcomes = [
        Outcome(method, task, seed, method == "policy" or seed == 0, 0.5, 4, seed)
        for method in (ALONE, "policy")
        for task in ("reach-v3", "push-v3")
        for seed in range(4)
    ]
    rows = {(row["method"], row["task"]): row for row in summarise(outcomes)}
    assert rows[ALONE, "reach-v3"]["success"] == 0.25
    assert rows["policy", "all"]["success"] == 1.0 and rows["policy", "all"]["episodes"] == 8
    low, high = rows["policy", "all"]["interval"]
    assert low == pytest.approx(0.025 ** (1 / 8)) and high == 1.0  # Clopper and Pearson
    assert rows["policy", "push-v3"]["held"] == 6 and rows["policy", "push-v3"]["plans"] == 16
    assert "6 of 16" in table(summarise(outcomes))
    draw(outcomes, tmp_path / "pictures" / "planner.png")
    assert (tmp_path / "pictures" / "planner.png").read_bytes().startswith(b"\x89PNG")


def test_an_expert_reaches_alone_and_with_the_planner_and_a_search_may_not(monkeypatch):
    loaded = load("", "", "", False, (128, 128), "cpu")
    arm = SimArm()
    alone = play(arm, loaded, ALONE, "expert", "reach-v3", 0)
    assert alone.success and alone.plans == 0
    planned = play(arm, loaded, "policy", "expert", "reach-v3", 0)
    assert planned.success and planned.plans >= 2
    monkeypatch.setattr(planner_study, "STEPS", 8)
    searched = play(arm, loaded, "cem", "expert", "reach-v3", 0)
    assert searched.plans >= 2 and not searched.success
    arm.close()
