"""The tokenizer on pictures of the real renderer."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.data.frames import fit
from whale_ros.world_model.frames import to_bytes, to_float
from whale_ros.world_model.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def pictures(rendered, small_config):
    """(12, 3, 32, 32) float in [0, 1]."""
    resolution = small_config.tokenizer.resolution
    return to_float(torch.from_numpy(np.stack([fit(p, resolution) for p in rendered])))


def test_any_leading_dimensions_are_encoded(small_model, pictures):
    codes = small_model.tokenizer.encode(pictures.unflatten(0, (3, 4)))
    assert codes.shape == (3, 4, 4, 3) and codes.dtype == torch.long
    one_by_one = torch.stack([small_model.tokenizer.encode(p[None])[0] for p in pictures])
    assert (codes.flatten(0, 1) == one_by_one).all()


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_codes_stay_in_range_and_all_levels_can_occur(random_model, seed, contrast):
    generator = torch.Generator().manual_seed(seed)
    tokenizer = random_model().tokenizer
    codes = tokenizer.encode(0.5 + contrast * torch.randn(16, 3, 32, 32, generator=generator))
    assert codes.min() >= 0 and codes.max() < tokenizer.config.code_levels


def test_saturated_encoders_reach_the_outer_levels_and_not_beyond(random_model, pictures):
    tokenizer = random_model().tokenizer
    with torch.no_grad():
        for parameter in tokenizer.encoder.head.parameters():
            parameter.mul_(1e6)
    codes = tokenizer.encode(pictures)
    assert (codes.min(), codes.max()) == (0, tokenizer.config.code_levels - 1)


def test_values_of_codes_run_from_minus_one_to_one_in_equal_steps(small_model):
    values = small_model.tokenizer.values(torch.arange(5))
    assert values.tolist() == [-1, -0.5, 0, 0.5, 1]


def test_decoded_pictures_are_pictures(small_model, pictures):
    decoded = small_model.tokenizer.decode(small_model.tokenizer.encode(pictures), pictures)
    assert decoded.shape == pictures.shape
    assert decoded.min() >= 0 and decoded.max() <= 1
    assert torch.isfinite(decoded).all()


def test_a_few_steps_of_training_lower_the_loss_in_both_halves(small_config, pictures):
    torch.manual_seed(0)
    tokenizer = Tokenizer(small_config.tokenizer)
    optimizer = torch.optim.Adam(tokenizer.parameters(), 1e-3)
    reference = pictures[[0]].expand_as(pictures)
    losses = []
    for _ in range(15):
        loss, metrics = tokenizer(pictures, reference)
        optimizer.zero_grad()
        loss.backward()
        if not losses:
            for part in (tokenizer.encoder, tokenizer.decoder):
                assert all(p.grad is not None for p in part.parameters())
                assert any(p.grad.abs().max() > 0 for p in part.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    decoded = tokenizer.decode(tokenizer.encode(pictures), reference)
    error = (decoded - pictures).square().mean()
    assert float(metrics["psnr_db"]) == pytest.approx(-10 * math.log10(error.item()), abs=1.0)


@given(st.integers(0, 1000))
def test_bytes_survive_the_way_through_floats(seed):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (2, 3, 4, 4, 3), generator=generator, dtype=torch.uint8)
    floats = to_float(frames)
    assert floats.shape == (2, 3, 3, 4, 4)
    assert (to_bytes(floats) == frames).all()
