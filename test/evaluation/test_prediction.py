"""The printed numbers of prediction quality, against a slow count of the same."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.imagination import imagine_naively
from whale_ros.evaluation.lpips import Lpips
from whale_ros.evaluation.prediction import (
    HEADLINE_STEP,
    HISTORY,
    HORIZON,
    MOVING,
    REPORTED_STEPS,
    WAYS,
    evaluate_prediction,
    ssim,
    tokenizer_psnr,
)
from whale_ros.evaluation.prediction_pictures import LABELS, SHOWN_STEPS, draw_psnr, draw_windows
from whale_ros.evaluation.tables import prediction_table
from whale_ros.evaluation.windows import STRIDE, another_episode
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.frames import to_float


class Corner(nn.Module):
    """Stands in for a trained probe: says that the hand is where the first pixel's colour says."""

    def forward(self, frames):
        return frames[:, :, 0, 0]


@pytest.fixture(scope="module")
def report(small_model, held_out):
    torch.manual_seed(0)
    return evaluate_prediction(small_model, held_out, probe=Corner(), lpips=Lpips().eval())


@pytest.fixture(scope="module")
@torch.inference_mode()
def slowly(small_model, held_out):
    """Frames and tokens of every window, foretold one by one: {way: [(frames, codes)]}, real."""
    ways = {name: [] for name in WAYS}
    real, episodes = [], []
    other = another_episode(len(held_out), 0)
    for e in range(len(held_out)):
        for s in range(0, len(held_out.frames[e]) - HISTORY - HORIZON + 1, STRIDE):
            past = to_float(held_out.frames[e][None, s : s + HISTORY])
            now = s + HISTORY - 1
            future = to_float(held_out.frames[e][now + 1 : now + 1 + HORIZON])
            last = past[0, -1:].expand_as(future)
            encode, decode = small_model.encode, small_model.tokenizer.decode
            for name, row in (("model", e), ("shuffled", int(other[e]))):
                codes = imagine_naively(
                    small_model,
                    encode(past),
                    held_out.actions[e][None, s:now],
                    held_out.actions[row][None, now : now + HORIZON],
                ).latents[0]
                ways[name].append((decode(codes, last), codes))
            ways["copy"].append((last, encode(last)))
            rebuilt = decode(encode(future), last)
            ways["ceiling"].append((rebuilt, encode(rebuilt)))
            hand = held_out.hand_position[e][now + 1 : now + 1 + HORIZON]
            real.append((future, last, hand))
            episodes.append(e)
    return ways, real, np.array(episodes)


def errors(slowly, name):
    """Squared errors (windows, H, R, R), and where pixels move."""
    ways, real, _ = slowly
    rows = [((f - r) ** 2).mean(1) for (f, _), (r, _, _) in zip(ways[name], real, strict=True)]
    moving = [((r - last).abs() > MOVING).any(1) for r, last, _ in real]
    return torch.stack(rows).numpy(), torch.stack(moving).numpy()


@pytest.mark.parametrize("name", WAYS)
def test_psnr_is_that_of_the_mean_error_counted_window_by_window(report, slowly, name):
    error, moving = errors(slowly, name)
    for step in REPORTED_STEPS:
        whole = -10 * np.log10(error[:, step - 1].mean())
        moved = -10 * np.log10(error[:, step - 1][moving[:, step - 1]].mean())
        assert report["psnr_db"][name][str(step)] == pytest.approx(whole, abs=0.02)
        assert report["moving_pixels_psnr_db"][name][str(step)] == pytest.approx(moved, abs=0.02)
    assert len(report["moving_pixels_psnr_db_of_every_step"][name]) == HORIZON


@pytest.mark.parametrize("name", WAYS)
@torch.inference_mode()
def test_the_other_numbers_are_means_or_quantiles_over_windows(report, slowly, name, small_model):
    ways, real, _ = slowly
    torch.manual_seed(0)
    lpips = Lpips().eval()
    for step in REPORTED_STEPS:
        at = [(f[step - 1], c[step - 1]) for f, c in ways[name]]
        true = [(r[step - 1], hand[step - 1]) for r, _, hand in real]
        codes = [small_model.encode(r[None])[0] for r, _ in true]
        apart = [
            ((c - d).float() / 2).square().mean().sqrt()
            for (_, c), d in zip(at, codes, strict=True)
        ]
        found = report["feature_distance"][name][str(step)]
        assert found == pytest.approx(float(np.mean(apart)), abs=1e-3)
        looks = [float(lpips(f[None], r[None])) for (f, _), (r, _) in zip(at, true, strict=True)]
        assert report["lpips"][name][str(step)] == pytest.approx(np.mean(looks), rel=1e-2)
        hands = [
            100 * float((f[:, 0, 0] - hand).norm())
            for (f, _), (_, hand) in zip(at, true, strict=True)
        ]
        for metric, share in (("median", 0.5), ("worst_tenth", 0.9)):
            found = report[f"hand_error_cm_{metric}"][name][str(step)]
            assert found == pytest.approx(np.quantile(hands, share), rel=1e-2)


def test_the_floor_of_the_hand_is_what_the_probe_reads_from_real_frames(report, slowly):
    _, real, _ = slowly
    for step in REPORTED_STEPS:
        floor = [100 * float((r[step - 1, :, 0, 0] - h[step - 1]).norm()) for r, _, h in real]
        found = report["hand_error_cm_median"]["real frames"][str(step)]
        assert found == pytest.approx(np.median(floor), rel=1e-2)


def test_the_gain_is_a_difference_of_psnr_within_its_interval(report):
    values = report["moving_pixels_psnr_db"]
    for other in ("copy", "shuffled"):
        gain = report["moving_pixels_gain_db"][f"over {other}"]
        step = str(HEADLINE_STEP)
        assert gain["db"] == pytest.approx(values["model"][step] - values[other][step], abs=0.011)
        assert gain["from"] <= gain["db"] <= gain["to"]
    over_copy = report["moving_pixels_gain_db"]["over copy"]
    assert over_copy["from"] < over_copy["to"]


def test_the_actions_of_another_episode_are_imagined_differently(slowly):
    ways, _, _ = slowly
    pairs = zip(ways["model"], ways["shuffled"], strict=True)
    assert any((codes != other).any() for (_, codes), (_, other) in pairs)


def ssim_by_definition(first: np.ndarray, second: np.ndarray) -> float:
    """Equation 13 of Wang et al. (2004) at every place of one channel, borders left out."""
    axis = np.arange(-5, 6)
    weights = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for y in range(first.shape[0] - 10):
        for x in range(first.shape[1] - 10):
            a, b = first[y : y + 11, x : x + 11], second[y : y + 11, x : x + 11]
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            spread_a = (weights * (a - mean_a) ** 2).sum()
            spread_b = (weights * (b - mean_b) ** 2).sum()
            together = (weights * (a - mean_a) * (b - mean_b)).sum()
            likeness = (2 * mean_a * mean_b + 1e-4) * (2 * together + 9e-4)
            values.append(
                likeness / ((mean_a**2 + mean_b**2 + 1e-4) * (spread_a + spread_b + 9e-4))
            )
    return float(np.mean(values))


def test_ssim_is_as_its_inventors_define_it():
    first, second = torch.rand(2, 1, 1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    second = 0.5 * first + 0.5 * second
    expected = np.mean(
        [
            ssim_by_definition(a, b)
            for a, b in zip(first[0, 0].numpy(), second[0, 0].numpy(), strict=True)
        ]
    )
    assert float(ssim(first, second)) == pytest.approx(expected, abs=1e-4)
    assert float(ssim(first, first)) == pytest.approx(1)


def test_copying_the_last_frame_scores_the_same_whatever_the_model(random_model, held_out, report):
    other = evaluate_prediction(random_model(1), held_out)
    for metric in ("psnr_db", "moving_pixels_psnr_db", "ssim"):
        assert other[metric]["copy"] == report[metric]["copy"]
        assert other[metric]["model"] != report[metric]["model"]


def test_a_report_is_repeatable_and_says_what_it_counted(small_model, held_out, report, slowly):
    again = evaluate_prediction(small_model, held_out)
    assert again == {key: report[key] for key in again}
    absent = {"lpips", "hand_error_cm_median", "hand_error_cm_worst_tenth"}
    assert set(report) - set(again) == absent
    assert (report["windows"], report["episodes"]) == (len(slowly[2]), len(held_out))
    assert json.loads(json.dumps(report)) == report


def test_the_tokenizer_s_own_error_is_measured_without_imagining(small_model, held_out, report):
    assert tokenizer_psnr(small_model, held_out) == report["moving_pixels_psnr_db"]["ceiling"]["8"]


def test_episodes_without_motion_give_a_report_that_is_json(small_model, held_out, tmp_path):
    still = copy.copy(held_out)
    still.frames = Sequences([frames[:1].expand_as(frames) for frames in held_out.frames])
    report = evaluate_prediction(small_model, still)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    steps = dict.fromkeys(map(str, REPORTED_STEPS))
    assert report["moving_pixels_psnr_db"] == dict.fromkeys(WAYS, steps)
    assert report["psnr_db"]["copy"] == steps and report["psnr_db"]["model"]["1"] is not None
    gain = report["moving_pixels_gain_db"]["over copy"]
    assert gain == {"step": HEADLINE_STEP, "db": None, "from": None, "to": None}
    printed = prediction_table(report)
    assert printed.splitlines()[-1].split()[-3:] == ["(-", "..", "-)"]
    draw_psnr(report, tmp_path / "psnr.png")


def test_pictures_are_drawn_for_windows_and_for_the_steps(small_model, held_out, report, tmp_path):
    import cv2

    draw_windows(small_model, held_out, tmp_path)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == [f"window_{i}.png" for i in range(4)]
    pictures = [cv2.imread(str(tmp_path / name)) for name in drawn]
    assert all(p.shape[1] > 64 * len(SHOWN_STEPS) for p in pictures)
    assert all(p.shape[0] > 64 * len(LABELS) for p in pictures)
    assert (pictures[0] != pictures[1]).any()
    draw_psnr(report, tmp_path / "psnr.png")
    assert cv2.imread(str(tmp_path / "psnr.png")).std() > 1
