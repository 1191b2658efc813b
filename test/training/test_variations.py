"""Demonstrations are varied as a whole: what moves in them moves as it did."""

import pytest
import torch

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.variations import ENOUGH, MOST, varied, vary


@pytest.fixture
def data(write_scene, tmp_path):
    return EpisodeSet(write_scene(tmp_path / "data", (60, 90, 250)), "train")


def test_the_recorded_episodes_come_first_and_each_keeps_its_actions(data):
    more = varied(data, seed=0)
    assert len(more) == len(more.frames) == len(more.actions) == MOST * len(data)
    for number in range(len(more)):
        own = number % len(data)
        assert torch.equal(more.actions[number], data.actions[own])
        assert torch.equal(more.frames[number], data.frames[own]) == (number < len(data))
    again, other = (varied(data, seed) for seed in (0, 1))
    assert torch.equal(again.frames.flat, more.frames.flat)
    assert not torch.equal(other.frames.flat, more.frames.flat)


def test_enough_episodes_are_not_varied(data, monkeypatch):
    monkeypatch.setattr(f"{varied.__module__}.ENOUGH", len(data))
    assert torch.equal(varied(data, 0).frames.flat, data.frames.flat)
    assert len(data) < ENOUGH


@pytest.mark.parametrize("seed", range(20))
def test_a_variation_is_one_displacement_and_one_light_for_the_whole_episode(seed):
    size, most = 40, 2
    generator = torch.Generator().manual_seed(seed)
    frames = torch.full((5, size, size, 3), 100, dtype=torch.uint8)
    for time in range(5):
        frames[time, 10 + time, 20] = 200
    seen = vary(frames, generator)
    assert seen.shape == frames.shape and seen.dtype == torch.uint8
    where = [(frame[..., 0] == frame[..., 0].max()).nonzero()[0] for frame in seen]
    moved = [place - torch.tensor([10 + time, 20]) for time, place in enumerate(where)]
    assert all(torch.equal(move, moved[0]) for move in moved)
    assert moved[0].abs().max() <= most
    lights = {tuple(frame[0, 0].tolist()) for frame in seen}
    assert len(lights) == 1
    assert all(abs(value - 100) <= 100 * 0.15 + 255 * 0.075 + 1 for value in lights.pop())
