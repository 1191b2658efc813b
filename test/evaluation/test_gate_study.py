"""Outcomes, rates and pairs of the gate study are counted as a person would count them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from whale_ros.evaluation.gate_study import (
    NONE,
    OUTCOMES,
    GatedEpisode,
    draw,
    summarise,
    table,
)

HARMFUL_N = 30.0
EPISODE = GatedEpisode(
    gate="on",
    disturbance=NONE,
    disturbed=False,
    task="reach-v3",
    seed=1,
    success=True,
    contact_n=0.0,
    held_at_end=False,
    held_because="",
    held_s=1.0,
    seconds=5.0,
)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "success"),
        ({"success": False}, "failure"),
        ({"success": False, "held_at_end": True}, "stopped"),
        ({"held_at_end": True}, "success"),
        ({"contact_n": 30.0}, "success"),
        ({"contact_n": 30.1}, "harmful contact"),
        ({"contact_n": 30.1, "success": False, "held_at_end": True}, "harmful contact"),
    ],
)
def test_each_episode_has_the_outcome_that_matters_most(changes, outcome):
    assert replace(EPISODE, **changes).outcome(HARMFUL_N) == outcome


episodes = st.lists(
    st.builds(
        GatedEpisode,
        gate=st.sampled_from(["on", "off"]),
        disturbance=st.sampled_from([NONE, "intruder", "shift"]),
        disturbed=st.booleans(),
        task=st.sampled_from(["reach-v3", "push-v3"]),
        seed=st.integers(0, 5),
        success=st.booleans(),
        contact_n=st.sampled_from([0.0, 100.0]),
        held_at_end=st.booleans(),
        held_because=st.just(""),
        held_s=st.floats(0, 10),
        seconds=st.floats(1, 14),
    ),
    max_size=40,
    unique_by=lambda e: (e.gate, e.disturbance, e.task, e.seed),
)


@given(episodes)
def test_every_episode_is_counted_once_and_intervals_hold_the_rates(played):
    summary = summarise(played, HARMFUL_N)
    cells = summary["cells"]
    uncounted = sum(summary["never_disturbed"].values())
    assert sum(cell["episodes"] for cell in cells) == len(played) - uncounted
    assert uncounted == sum(e.disturbance != NONE and not e.disturbed for e in played)
    for cell in cells + summary["disturbances"]:
        counts = [cell["rates"][outcome]["count"] for outcome in OUTCOMES]
        assert sum(counts) == cell["episodes"]
        for outcome in OUTCOMES:
            rate = cell["rates"][outcome]
            if rate["share"] is not None:
                assert 0 <= rate["from"] <= rate["share"] <= rate["to"] <= 1
    json.dumps(summary, allow_nan=False)
    assert all(outcome in table(summary) for outcome in OUTCOMES)


@given(st.integers(1, 60), st.data())
def test_intervals_are_those_of_clopper_and_pearson(total, data):
    count = data.draw(st.integers(0, total))
    played = [replace(EPISODE, seed=i, success=i < count) for i in range(total)]
    rate = summarise(played, HARMFUL_N)["cells"][0]["rates"]["success"]
    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    np.testing.assert_allclose([rate["from"], rate["to"]], [low, high], atol=1e-4)


def test_pairs_are_of_the_same_task_seed_and_disturbance():
    def played(gate, seed, contact_n, disturbance="shift"):
        return replace(
            EPISODE,
            gate=gate,
            seed=seed,
            contact_n=contact_n,
            disturbance=disturbance,
            disturbed=True,
        )

    summary = summarise(
        [
            *(played("on", seed, 0.0) for seed in range(6)),
            *(played("off", seed, 50.0) for seed in range(6)),
            played("on", 6, 50.0),
            played("off", 6, 0.0, "intruder"),  # of another disturbance: no pair
        ],
        HARMFUL_N,
    )
    harmful = summary["pairs"]["disturbed"]["harmful contact"]
    assert harmful == {"pairs": 6, "only_on": 0, "only_off": 6, "p": pytest.approx(2 / 2**6)}
    assert summary["pairs"]["nominal"]["success"]["pairs"] == 0


def test_the_picture_is_drawn_also_when_cells_are_empty(tmp_path):
    summary = summarise([EPISODE, replace(EPISODE, gate="off", success=False)], HARMFUL_N)
    draw(summary, tmp_path / "outcomes.png")
    assert (tmp_path / "outcomes.png").stat().st_size > 5_000
