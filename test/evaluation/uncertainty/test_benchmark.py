"""Trials of a small study: every window is noted once, with what happened to it."""

import numpy as np
import pytest
import torch
from torch import nn

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.evaluation.uncertainty.benchmark import (
    SPOILED_EPISODES,
    measure_choices,
    measure_costs,
    run,
)
from whale_ros.evaluation.uncertainty.errors import Errors
from whale_ros.evaluation.uncertainty.spoiled import SPOILED
from whale_ros.training.dataset import EpisodeSet

STEPS, WINDOWS = 19, 2  # of an episode
EPISODES = {"nominal": 2, "shift_0.06": 1}
SEVERITIES = sum(len(severities) for _, severities, _ in SPOILED.values())


class Corner(nn.Module):
    """Stands in for a trained probe: a thing is where the first pixel's colour says."""

    def forward(self, frames):
        return frames[:, :, 0, 0]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    infos = []
    for split, count in EPISODES.items():
        for i in range(count):
            actions = rng.uniform(-0.02, 0.02, (STEPS, 7)).astype(np.float32)
            actions[:, 6] = 0
            positions = rng.uniform(-0.3, 0.3, (2, STEPS + 1, 3)).astype(np.float32)
            episode = Episode(
                frames=rng.integers(0, 256, (STEPS + 1, 32, 32, 3)).astype(np.uint8),
                actions=actions,
                hand_position=positions[0],
                object_position=positions[1],
                progress=np.zeros(STEPS + 1, np.float32),
                success=np.arange(STEPS + 1) > (STEPS - 1 if i else STEPS + 1),
            )
            info = EpisodeInfo(f"{split}/{i}.npz", split, "reach-v3", "expert", seed=i)
            save_episode(folder / info.file, episode)
            infos.append(info)
    write_manifest(folder, ActionSpace(), infos)
    return folder


@pytest.fixture
def trials(small_model, scores, study):
    return run(scores, Errors(small_model, Corner(), Corner()), study, list(EPISODES))


def test_every_window_is_noted_once_under_every_condition(trials):
    assert EPISODES["nominal"] <= SPOILED_EPISODES
    expected = WINDOWS * (sum(EPISODES.values()) + SEVERITIES * EPISODES["nominal"])
    assert len(trials) == expected
    keys = set(zip(trials.condition, trials.severity, trials.episode, trials.start, strict=True))
    assert len(keys) == expected
    assert trials.kinds()[-1] == ("shift", 0.06)
    for column in (*trials.errors.values(), *trials.scores.values()):
        assert column.shape == (expected, 8)


def test_a_spoiled_episode_keeps_its_number_and_another_has_its_own(trials):
    nominal = set(trials.episode[trials.condition == "nominal"])
    assert set(trials.episode[trials.condition == "blurred"]) == nominal
    assert nominal.isdisjoint(trials.episode[trials.condition == "shift"])


def test_an_episode_that_never_succeeds_has_failed(trials):
    assert (trials.failed == (trials.episode != 1)).all()


def test_a_constant_is_all_that_scores_of_a_broken_camera_may_share(trials):
    nominal = trials.of_kind("nominal", 0)
    frozen = trials.of_kind("frozen", 5)
    for name, score in trials.scores.items():
        same = np.array_equal(score[nominal], score[frozen])
        assert same == (name in ("constant",)), name


def test_every_choice_is_compared_at_every_depth(small_model, scores, study):
    errors = Errors(small_model, Corner(), Corner())
    choices = measure_choices(scores, errors, EpisodeSet(study, "nominal"))
    for name, by_depth in choices.items():
        assert list(by_depth) == ["1 steps", "4 steps", "8 steps"], name
        assert all(v is None or -1 <= v <= 1 for v in by_depth.values()), name  # None: all alike


@torch.inference_mode()
def test_costs_are_told_for_a_rollout_and_every_way_that_costs_something(scores, study):
    costs = measure_costs(scores, EpisodeSet(study, "nominal"))
    assert {"the rollout itself", "retracing", "ensemble", "Monte Carlo"} <= costs.keys()
    assert all(cost > 0 for cost in costs.values())
