"""A linear probe reads from z what is in it, and nothing else."""

import cv2
import numpy as np
import pytest
import torch

from whale_ros.data.episodes import EpisodeInfo
from whale_ros.evaluation.behavior_pictures import draw_z, principal
from whale_ros.evaluation.behavior_probe import embed, linear_accuracy, probe_behavior
from whale_ros.imagination.live import HISTORY
from whale_ros.training.pretrain import SEQUENCE
from whale_ros.world_model.frames import to_float


class Episodes:
    """Two behaviours that go to opposite sides; the task shows nowhere."""

    def __init__(self, seed: int, count: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.frames = torch.randint(256, (1, 9, 32, 32, 3), generator=generator).byte()
        self.frames = self.frames.expand(count, -1, -1, -1, -1)
        side = torch.arange(count) % 2
        self.actions = 0.002 * torch.randn(count, 8, 7, generator=generator)
        self.actions[:, :, 0] += 0.05 * (2 * side - 1)[:, None]
        tasks = torch.randint(2, (count,), generator=generator)
        self.infos = [
            EpisodeInfo(f"{i}", "validation", "ab"[tasks[i]], ["left", "right"][side[i]], i)
            for i in range(count)
        ]

    def __len__(self):
        return len(self.infos)


@torch.inference_mode()
def test_episodes_are_embedded_from_as_many_frames_as_in_training(small_model, held_out):
    found = embed(small_model, held_out, 3)
    assert len(held_out.frames[0]) > SEQUENCE
    codes = small_model.encode(
        to_float(torch.stack([held_out.frames[e][:SEQUENCE] for e in range(3)]))
    )
    actions = small_model.normalised(
        torch.stack([held_out.actions[e][: SEQUENCE - 1] for e in range(3)])
    )
    close = torch.testing.assert_close
    close(found.posterior, small_model.behavior.posterior(codes, actions), atol=1e-4, rtol=1e-4)
    prior = small_model.behavior.infer(codes, actions)
    close(found.prior_at_the_end, prior[:, -1], atol=1e-4, rtol=1e-4)
    close(found.prior_after_history, prior[:, HISTORY - 1], atol=1e-4, rtol=1e-4)


def test_what_shows_in_the_actions_is_told_and_what_shows_nowhere_is_not(small_model):
    found = probe_behavior(small_model, Episodes(0, 60), Episodes(1, 60))
    assert found["behavior"]["posterior"] > 0.95 and found["behavior"]["chance"] == 0.5
    assert abs(found["task"]["posterior"] - 0.5) < 0.2


def test_a_probe_tells_three_classes_that_lines_part():
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    labels = torch.arange(60) % 3
    names = ["abc"[label] for label in labels]
    known, unknown = (centres[labels] + torch.randn(60, 3, generator=generator) for _ in range(2))
    assert linear_accuracy(known, names, unknown, names) == 1
    assert linear_accuracy(known, names, unknown, names[1:] + names[:1]) == 0


def test_principal_components_keep_distances_of_points_in_a_plane():
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 5, generator=generator)
    z = torch.randn(20, 2, generator=generator) @ plane + 3
    points, shares = principal(z)
    torch.testing.assert_close(torch.cdist(points, points), torch.cdist(z, z), atol=1e-3, rtol=1e-3)
    variances = np.linalg.eigvalsh(np.cov(z.numpy().T))
    assert shares == pytest.approx(list(variances[:-3:-1] / variances.sum()), abs=1e-4)


def test_a_picture_of_z_shows_behaviours_in_different_colours(small_model, tmp_path):
    draw_z(small_model, [Episodes(0, 10)], tmp_path / "z.png")
    picture = cv2.imread(str(tmp_path / "z.png")).reshape(-1, 3)
    colours = {tuple(colour) for colour in picture[np.ptp(picture, axis=1) > 80]}
    assert {(180, 119, 31), (14, 127, 255)} <= colours  # of the first two, blue before red
