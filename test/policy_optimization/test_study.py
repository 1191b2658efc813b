"""What is said of the policies that were tried."""

import json

import pytest

from whale_ros.policy_optimization.pictures import draw_study
from whale_ros.policy_optimization.study import differences, study_table, summarise

EPISODES = 4


@pytest.fixture
def results(tmp_path):
    """Of two seeds cloned and two improved ones."""
    for name, of_seeds in {
        "cloned": ([0.2, 0.4, 0.2, 0.4], [0.4, 0.6, 0.4, 0.6]),
        "on": ([0.8] * EPISODES, [0.6] * EPISODES),
    }.items():
        for seed, returns in enumerate(of_seeds):
            result = {"return": returns, "success": [float(r > 0.5) for r in returns]}
            (tmp_path / f"{name}_{seed}.json").write_text(json.dumps(result))
    return tmp_path


def test_a_summary_tells_each_seed_their_spread_and_what_the_scenes_leave_open(results, offline):
    summary = summarise(results, offline)
    assert list(summary) == ["recorded", "cloned", "on"]
    cloned, on = summary["cloned"], summary["on"]
    assert cloned["seeds"] == [0, 1] and cloned["return"]["episodes"] == 2 * EPISODES
    assert cloned["return"]["of_seeds"] == pytest.approx([0.3, 0.5])
    assert cloned["return"]["mean"] == pytest.approx(0.4)
    assert cloned["return"]["sd_of_seeds"] == pytest.approx(0.2 / 2**0.5)
    low, high = cloned["return"]["interval"]
    assert 0.3 - 1e-6 <= low < 0.4 < high <= 0.5 + 1e-6
    # all scenes came out alike, whatever the seeds did
    assert on["return"]["interval"] == pytest.approx([0.7, 0.7])
    assert on["success"]["mean"] == 1.0 and cloned["success"]["mean"] == pytest.approx(0.25)
    recorded = summary["recorded"]
    assert recorded["return"]["mean"] == pytest.approx(float(offline.progress[:, 1:].mean()))


def test_the_table_and_the_picture_hold_every_policy(results, offline, tmp_path):
    report = {
        "task": "drawer-open-v3",
        "behaviors": ["noisy"],
        "recorded_episodes": 5,
        "episodes": EPISODES,
        "settings": {"penalty_spread": 1.0},
        "policies": summarise(results, offline),
        "differences": {"on minus off": {"mean": 0.1, "interval": [-0.2, 0.3]}},
    }
    *lines, last = study_table(report).splitlines()
    assert last == "return, on minus off: 0.100 (-0.200 .. 0.300)"
    assert [line.split()[0] for line in lines[2:]] == ["recorded", "cloned", "on"]
    assert "0.700" in lines[-1] and "1.000" in lines[-1]
    draw_study(report, tmp_path / "pictures" / "study.png")
    assert (tmp_path / "pictures" / "study.png").read_bytes().startswith(b"\x89PNG")


def test_policies_are_compared_scene_by_scene(results):
    for seed in (0, 1):
        returns = [0.1, 0.3, 0.1, 0.3] if seed == 0 else [0.3, 0.5, 0.3, 0.5]
        (results / f"off_{seed}.json").write_text(json.dumps({"return": returns}))
    compared = differences(results)
    assert list(compared) == ["on minus off", "off minus cloned"]
    constant = compared["off minus cloned"]  # in every scene, however much the scenes differ
    assert constant["mean"] == pytest.approx(-0.1)
    assert constant["interval"] == pytest.approx([-0.1, -0.1])


def test_a_folder_without_results_is_refused(tmp_path, offline):
    with pytest.raises(ValueError, match="no results"):
        summarise(tmp_path, offline)
