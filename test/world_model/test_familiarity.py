"""Pictures of the scene that was trained on are familiar, others are not."""

import numpy as np
import pytest
import torch

from whale_ros.data.frames import fit
from whale_ros.world_model.familiarity import COMPONENTS, SIZE, Familiarity
from whale_ros.world_model.frames import to_float


@pytest.fixture(scope="module")
def pictures(rendered):
    """(12, 3, 64, 64) float in [0, 1]."""
    return to_float(torch.from_numpy(np.stack([fit(picture, 64) for picture in rendered])))


@pytest.fixture(scope="module")
def familiarity(pictures):
    """Fitted on every other picture, each many times with a little noise."""
    many = pictures[::2].repeat(50, 1, 1, 1)
    fitted = Familiarity()
    fitted.fit(many + 0.01 * torch.randn(many.shape, generator=torch.Generator().manual_seed(0)))
    return fitted


def test_the_residual_is_that_of_the_plain_principal_component_analysis(pictures):
    fitted = Familiarity()
    generator = torch.Generator().manual_seed(0)
    training = torch.rand(300, 3, 32, 32, generator=generator)
    fitted.fit(training)

    def thumbnails(frames):
        return frames.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)).flatten(1).double().numpy()

    x = thumbnails(training)
    mean = x.mean(0)
    _, _, rows = np.linalg.svd(x - mean, full_matrices=False)
    basis = rows[:COMPONENTS]
    new = torch.rand(7, 3, 32, 32, generator=generator)
    y = thumbnails(new) - mean
    expected = np.sqrt(((y - y @ basis.T @ basis) ** 2).mean(1))
    assert x.shape[1] == 3 * SIZE * SIZE
    np.testing.assert_allclose(fitted(new), expected, atol=1e-4)


def test_frames_between_those_of_training_are_more_familiar_than_other_scenes(
    familiarity, pictures
):
    known = familiarity(pictures[1::2]).max()
    shifted = pictures.roll(8, dims=-1)
    for other in (torch.zeros_like(pictures), shifted, 1 - pictures, pictures.flip(-1)):
        assert familiarity(other).min() > 1.5 * known


@pytest.mark.parametrize("leading", [(), (12,), (3, 4), (2, 3, 2)])
def test_any_leading_dimensions_are_judged_one_by_one(familiarity, pictures, leading):
    frames = pictures[0] if leading == () else pictures.unflatten(0, leading)
    judged = familiarity(frames)
    assert judged.shape == leading
    alone = torch.cat([familiarity(picture[None]) for picture in pictures])
    torch.testing.assert_close(judged.flatten(), alone[: judged.numel()], atol=1e-5, rtol=0)


def test_a_few_pictures_are_enough_to_fit(pictures):
    fitted = Familiarity()
    fitted.fit(pictures)
    assert torch.isfinite(fitted(pictures)).all()
    assert fitted(pictures).max() < 1e-3
