"""LPIPS from weight files of the published names and shapes, with random numbers in them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whale_ros.evaluation.lpips import HEADS, NETWORK, load_lpips

# As published: layer of torchvision's AlexNet, outputs, inputs, kernel, stride, padding.
LAYERS = [
    (0, 64, 3, 11, 4, 2), (3, 192, 64, 5, 1, 2), (6, 384, 192, 3, 1, 1), (8, 256, 384, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def weights():
    generator = torch.Generator().manual_seed(0)
    network, heads = {}, {}
    for number, (layer, outputs, inputs, kernel, _, _) in enumerate(LAYERS):
        shape = (outputs, inputs, kernel, kernel)
        scale = (inputs * kernel**2) ** -0.5
        network[f"features.{layer}.weight"] = scale * torch.randn(shape, generator=generator)
        network[f"features.{layer}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
        heads[f"lin{number}.model.1.weight"] = torch.rand(1, outputs, 1, 1, generator=generator)
    network["classifier.6.bias"] = torch.zeros(1000)  # not needed, but in the file
    return network, heads


@pytest.fixture
def folder(weights, tmp_path):
    for name, content in zip((NETWORK, HEADS), weights, strict=True):
        torch.save(content, tmp_path / name)
    return tmp_path


def pictures(seed: int) -> torch.Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def by_definition(weights, first: torch.Tensor, second: torch.Tensor) -> float:
    """Equation 1 of the paper for one pair of pictures (3, R, R), summed place by place."""
    network, heads = weights
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    x, y = ((2 * picture - 1 - shift) / scale for picture in (first, second))
    distance = 0.0
    for number, (layer, _, _, _, stride, padding) in enumerate(LAYERS):
        if number in (1, 2):
            x, y = (F.max_pool2d(z, 3, 2) for z in (x, y))
        kernel, bias = network[f"features.{layer}.weight"], network[f"features.{layer}.bias"]
        x, y = (F.conv2d(z[None], kernel, bias, stride, padding)[0].relu() for z in (x, y))
        a, b = x.double().numpy(), y.double().numpy()
        head = heads[f"lin{number}.model.1.weight"].flatten().double().numpy()
        places = [
            (head * (a[:, i, j] / np.linalg.norm(a[:, i, j])
                     - b[:, i, j] / np.linalg.norm(b[:, i, j])) ** 2).sum()
            for i in range(a.shape[1]) for j in range(a.shape[2])
        ]  # fmt: skip
        distance += float(np.mean(places))
    return distance


def test_distances_are_those_of_the_definition(folder, weights):
    first, second = pictures(1), pictures(2)
    found = load_lpips(folder)(first, second)
    expected = [by_definition(weights, a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


def test_a_picture_is_like_itself_and_two_are_unlike_each_other_both_ways(folder):
    lpips, first, second = load_lpips(folder), pictures(1), pictures(2)
    assert (lpips(first, first) == 0).all()
    assert (lpips(first, second) > 0).all()
    torch.testing.assert_close(lpips(first, second), lpips(second, first))


@pytest.mark.parametrize("name", [NETWORK, HEADS])
def test_a_file_that_is_absent_or_broken_is_named(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(ValueError, match=f"{name} holds no weights"):
        load_lpips(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is not there"):
        load_lpips(folder)


def test_weights_of_other_shapes_are_refused_by_name(folder, weights):
    network, heads = weights
    torch.save(heads | {"lin2.model.1.weight": torch.rand(1, 99, 1, 1)}, folder / HEADS)
    with pytest.raises(ValueError, match="heads.2"):
        load_lpips(folder)
    torch.save(network, folder / HEADS)
    with pytest.raises(ValueError, match="heads.0"):
        load_lpips(folder)


def test_a_file_that_would_run_code_is_refused(folder):
    class Harmful:
        def __reduce__(self):
            return print, ("loaded",)

    torch.save({"lin0.model.1.weight": Harmful()}, folder / HEADS)
    with pytest.raises(ValueError, match=f"{HEADS} holds no weights"):
        load_lpips(folder)
