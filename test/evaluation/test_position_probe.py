"""The probe learns to read a position from a picture."""

from types import SimpleNamespace

import pytest
import torch

from whale_ros.evaluation.position_probe import train_position_probe
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.frames import to_float

SIDE = 8  # pixels of the square that is the hand
METRES = 0.01  # a pixel


def episodes(seed: int, count: int):
    """A white square on grey; the position of its corner in metres, and nothing in the third."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(64 - SIDE, (count, 5, 2), generator=generator)
    axis = torch.arange(64)
    inside = [(axis >= corner[..., i, None]) & (axis < corner[..., i, None] + SIDE) for i in (0, 1)]
    square = inside[0].unsqueeze(-1) & inside[1].unsqueeze(-2)
    frames = torch.where(square, 255, 100).byte().unsqueeze(-1).expand(-1, -1, -1, -1, 3)
    position = torch.cat([METRES * corner, torch.zeros(count, 5, 1)], dim=-1)
    return SimpleNamespace(frames=Sequences(frames), hand_position=Sequences(position))


@pytest.fixture(scope="module")
def trained():
    data = episodes(0, 400)
    return train_position_probe(data, data.hand_position, steps=150)


def test_it_reads_positions_that_it_was_not_trained_on(trained):
    unseen = episodes(1, 40)
    found = trained(to_float(unseen.frames.flat))
    error = (found - unseen.hand_position.flat).norm(dim=-1)
    guess = unseen.hand_position.flat - unseen.hand_position.flat.mean(0)
    assert error.median() < 0.2 * guess.norm(dim=-1).median()


def test_pictures_of_another_size_are_read_as_well(trained):
    frames = to_float(episodes(1, 2).frames.flat)
    larger = torch.nn.functional.interpolate(frames, scale_factor=2)
    torch.testing.assert_close(trained(larger), trained(frames), atol=1e-4, rtol=0)


def test_the_same_seed_gives_the_same_probe():
    data = episodes(0, 4)
    one, same, other = (
        train_position_probe(data, data.hand_position, steps=2, seed=s) for s in (0, 0, 1)
    )
    frames = to_float(episodes(1, 2).frames.flat)
    assert torch.equal(one(frames), same(frames))
    assert not torch.equal(one(frames), other(frames))
