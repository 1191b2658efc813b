"""The physical floor, on the real simulator."""

import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.evaluation.uncertainty.floor import above_floor, measure_floor
from whale_ros.imagination.retracing import K
from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint


@pytest.fixture(scope="module")
def floor():
    model, _ = load_checkpoint(SHIPPED)
    return measure_floor(model, episodes=1)


def test_every_k_is_measured_where_no_gripper_switches(floor):
    windows = [floor[str(k)]["windows"] for k in K]
    assert windows == sorted(windows, reverse=True)  # longer windows hold a switch more often
    assert windows[-1] > 10


def test_the_hand_ends_nearly_where_it_did(floor):
    """A few millimetres, less than a tenth of what the actions between may move it."""
    for k in K:
        reach_cm = 100 * (k + 1) * ActionSpace().max_translation_m
        assert 0 < floor[str(k)]["hand_cm_mean"] < 0.1 * reach_cm


def test_what_is_above_the_floor_is_the_difference_to_it():
    told = above_floor({"1": {"8 steps": 0.3}}, {"1": {"features_mean": 0.1}})
    assert told == {"1": {"8 steps": 0.3, "8 steps, above": 0.2}}


def test_two_ways_that_differ_a_little_differ_a_little_in_features(floor):
    assert all(0 < floor[str(k)]["features_mean"] < 0.2 for k in K)
