"""The printed numbers of prediction quality, against a slow count of the same."""

import json

import numpy as np
import pytest
import torch

from benchmarks.imagination import imagine_naively
from whale_ros.evaluation.prediction import (
    HORIZON,
    MOVING,
    REPORTED_STEPS,
    STRIDE,
    evaluate_prediction,
    feature_errors,
    foretell,
    held_out_windows,
)
from whale_ros.world_model.frames import to_float

HISTORY = 6


@pytest.fixture(scope="module")
def report(small_model, held_out):
    return evaluate_prediction(small_model, held_out)


def starts(held_out):
    frames = held_out.frames.shape[1]
    return [
        (e, s)
        for e in range(len(held_out))
        for s in range(0, frames - HISTORY - HORIZON + 1, STRIDE)
    ]


def test_windows_are_pieces_of_episodes_with_their_actions(held_out):
    (window,) = held_out_windows(held_out, HISTORY)
    assert len(window.actions) == len(starts(held_out))
    for row, (e, s) in enumerate(starts(held_out)):
        frames = to_float(held_out.frames[e, s : s + HISTORY + HORIZON])
        assert torch.equal(window.past_frames[row], frames[:HISTORY])
        assert torch.equal(window.future_frames[row], frames[HISTORY:])
        now = s + HISTORY - 1  # the newest observed frame
        assert torch.equal(window.past_actions[row], held_out.actions[e, s:now])
        assert torch.equal(window.actions[row], held_out.actions[e, now : now + HORIZON])
        assert window.episodes[row] == e


@torch.inference_mode()
def test_psnr_is_that_of_the_mean_error_counted_window_by_window(small_model, held_out, report):
    errors = {name: [] for name in ("model", "ceiling", "copy")}
    moving = []
    for e, s in starts(held_out):
        past = to_float(held_out.frames[e : e + 1, s : s + HISTORY])
        now = s + HISTORY - 1
        actions = held_out.actions[e : e + 1, s : now + HORIZON]
        real = to_float(held_out.frames[e, now + 1 : now + 1 + HORIZON])
        last = past[0, -1:]
        rollout = imagine_naively(
            small_model,
            small_model.encode(past),
            actions[:, : HISTORY - 1],
            actions[:, HISTORY - 1 :],
        )
        decode, reference = small_model.tokenizer.decode, last.expand_as(real)
        errors["model"].append(((decode(rollout.latents[0], reference) - real) ** 2).numpy())
        ceiling = decode(small_model.encode(real), reference)
        errors["ceiling"].append(((ceiling - real) ** 2).numpy())
        errors["copy"].append(((last - real) ** 2).numpy())
        moving.append(((real - last).abs() > MOVING).any(1).numpy())
    mask = np.stack(moving)  # (windows, H, R, R)
    for name, rows in errors.items():
        error = np.stack(rows).mean(2)
        for step in REPORTED_STEPS:
            whole = -10 * np.log10(error[:, step - 1].mean())
            moved = -10 * np.log10(error[:, step - 1][mask[:, step - 1]].mean())
            assert report["psnr_db"][name][str(step)] == pytest.approx(whole, abs=0.02)
            assert report["moving_pixels_psnr_db"][name][str(step)] == pytest.approx(
                moved, abs=0.02
            )


def test_copying_the_last_frame_scores_the_same_whatever_the_model(random_model, held_out, report):
    other = evaluate_prediction(random_model(1), held_out)
    for metric in ("psnr_db", "moving_pixels_psnr_db"):
        assert other[metric]["copy"] == report[metric]["copy"]
        assert other[metric]["model"] != report[metric]["model"]


def test_a_model_that_follows_actions_scores_differently_with_those_of_others(report):
    assert report["psnr_db"]["shuffled"] != report["psnr_db"]["model"]


def test_a_report_is_repeatable_and_says_what_it_counted(small_model, held_out, report):
    assert evaluate_prediction(small_model, held_out) == report
    assert (report["windows"], report["episodes"]) == (len(starts(held_out)), len(held_out))
    assert json.loads(json.dumps(report)) == report


@torch.inference_mode()
def test_feature_errors_are_distances_to_the_real_frames(small_model, held_out):
    (window,) = held_out_windows(held_out, HISTORY)
    rollout = foretell(small_model, window, window.actions)
    found = feature_errors(small_model, window, rollout)
    codes = small_model.encode(window.future_frames[2, 5][None])[0]
    expected = (rollout.features[2, 5] - (codes / 2 - 1)).square().mean().sqrt()
    assert found.shape == (len(window.actions), HORIZON)
    assert float(found[2, 5]) == pytest.approx(float(expected), abs=1e-5)


def test_episodes_that_are_too_short_are_refused_with_both_lengths(small_model, held_out):
    class Short:
        frames, actions = held_out.frames[:, :13], held_out.actions[:, :12]

    with pytest.raises(ValueError, match="13 frames.*14"):
        evaluate_prediction(small_model, Short())
