"""What is reported of behaviour-conditioning, against a slow count of the same."""

import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.evaluation.behavior import (
    CONTEXTS,
    HISTORY,
    HORIZON,
    METRICS,
    STRIDE,
    WAYS,
    Measured,
    compare,
    evaluate_behavior,
    measure,
    of_another_behavior,
)
from whale_ros.evaluation.prediction import HEADLINE_STEP, MOVING, REPORTED_STEPS
from whale_ros.world_model.frames import to_float


@pytest.fixture(scope="module")
def models(random_model):
    return [random_model(seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def report(models, held_out):
    return evaluate_behavior(models, held_out)


@pytest.fixture(scope="module")
def measured(models, held_out):
    return measure(models[0], held_out)


@torch.inference_mode()
def slowly(model, data, context: int, way: str, step: int) -> dict[str, float]:
    """The numbers of METRICS, window by window, step by step, each from what `WAYS` says."""
    lender = of_another_behavior([info.behavior for info in data.infos], 0)
    distances, surprises, errors, moving = [], [], [], []
    for e in range(len(data)):
        for s in range(0, len(data.frames[e]) - HISTORY - HORIZON + 1, STRIDE):
            codes = model.encode(to_float(data.frames[e]))[None]
            now = s + HISTORY - 1
            begin = now - context + 1

            def own_z(episode, s=s, now=now):
                seen = model.encode(to_float(data.frames[episode][s : now + 1]))[None]
                done = data.actions[episode][None, s:now]
                return model.behavior.infer(seen, model.normalised(done))[:, -1]

            z = {
                "inferred": None,
                "own": own_z(e),
                "another's": own_z(int(lender[e])),
                "none": model.dynamics.no_behavior[None],
            }[way]
            actions = data.actions[e][None]
            state = model.start(codes[:, begin : now + 1], actions[:, begin:now], z)
            for t in range(step):
                state, output = model.step(state, actions[:, now + t])
            real = codes[0, now + step]
            distances.append(float(((output.latent[0] - real).float() / 2).square().mean().sqrt()))

            last, future = (to_float(data.frames[e, t]) for t in (now, now + step))
            picture = model.decode(output.latent, last)[0]
            moves = ((future - last).abs() > MOVING).any(0)
            errors.append((picture - future).square().mean(0)[moves].sum())
            moving.append(moves.sum())

            state = model.start(codes[:, begin : now + step], actions[:, begin : now + step - 1], z)
            logits, _ = model.dynamics(
                codes[:, begin : now + step],
                model.normalised(actions[:, begin : now + step]),
                state.z,
            )
            likely = logits[0, -1].log_softmax(-1).gather(-1, real.unsqueeze(-1))
            surprises.append(-float(likely.mean()))
    return {
        "feature_distance": float(np.mean(distances)),
        "moving_pixels_psnr_db": -10 * np.log10(float(sum(errors) / sum(moving))),
        "cross_entropy_nats": float(np.mean(surprises)),
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_numbers_are_those_of_windows_foretold_one_by_one(models, held_out, measured, context, way):
    found = measured[context]
    everybody = torch.ones(len(held_out))
    for step in (1, REPORTED_STEPS[-1]):
        expected = slowly(models[0], held_out, context, way, step)
        for metric in METRICS:
            value = found.value(metric, way, everybody)[REPORTED_STEPS.index(step)]
            assert float(value) == pytest.approx(expected[metric], rel=1e-3), (metric, step)


def test_a_report_gives_mean_and_spread_over_models(models, held_out, report):
    everybody = torch.ones(len(held_out))
    for context in CONTEXTS:
        values = [
            float(measure(model, held_out)[context].value("feature_distance", "own", everybody)[0])
            for model in models
        ]
        found = report[f"context_of_{context}"]["feature_distance"]["own"]["1"]
        assert found["mean"] == pytest.approx(np.mean(values), abs=1e-5)
        assert found["spread"] == pytest.approx(np.std(values, ddof=1), abs=1e-5)
    assert json.loads(json.dumps(report)) == report


def test_a_gain_is_the_difference_to_the_other_way_and_positive_where_z_is_better(report):
    step = str(HEADLINE_STEP)
    for context in CONTEXTS:
        values = report[f"context_of_{context}"]
        for gain in values["gain"]:
            metric = gain["metric"]
            of, over = (values[metric][gain[way]][step]["mean"] for way in ("of", "over"))
            more = of - over if metric == "moving_pixels_psnr_db" else over - of
            assert gain["mean"] == pytest.approx(more, abs=3e-5)
            for value, low, high in gain["of_each_with_95_percent_interval"]:
                assert low <= value <= high


def by_hand(metric: str, own: float, none: float) -> Measured:
    """Of one episode, in which each way gives the same at all steps."""
    shape = (1, len(REPORTED_STEPS))
    sums = {(metric, "own"): torch.full(shape, own), (metric, "none"): torch.full(shape, none)}
    return Measured(sums, {metric: torch.ones(shape)})


@pytest.mark.parametrize(
    ("distances", "mean", "spread", "verdict"),
    [
        ([(0.1, 0.3), (0.2, 0.3)], 0.15, 0.0707, True),
        ([(0.3, 0.1), (0.3, 0.2)], -0.15, 0.0707, False),
        ([(0.1, 0.4), (0.3, 0.2)], 0.1, 0.2828, False),
        ([(0.1, 0.3)], 0.2, None, False),  # one model says nothing of others
    ],
)
def test_a_gain_counts_if_it_is_above_the_spread_over_models(distances, mean, spread, verdict):
    measured = [by_hand("feature_distance", *pair) for pair in distances]
    found = compare(measured, "feature_distance", "own", "none")
    assert found["mean"] == pytest.approx(mean, abs=1e-4)
    assert found["spread"] == (None if spread is None else pytest.approx(spread, abs=1e-4))
    assert found["more_than_spread"] is verdict


def test_a_gain_where_nothing_moves_is_unknown_and_no_verdict():
    metric = "moving_pixels_psnr_db"
    still = [by_hand(metric, 0.0, 0.0) for _ in range(2)]
    for measured in still:
        measured.counts[metric] *= 0
    found = compare(still, metric, "own", "none")
    assert (found["mean"], found["spread"], found["more_than_spread"]) == (None, None, False)
    assert found["of_each_with_95_percent_interval"] == [[None] * 3] * 2


def test_a_model_that_ignores_z_gains_nothing_from_it(models, held_out):
    deaf = copy.deepcopy(models[0])
    torch.nn.init.zeros_(deaf.dynamics.embed_behavior.weight)
    for context in CONTEXTS:
        for gain in evaluate_behavior([deaf], held_out)[f"context_of_{context}"]["gain"]:
            assert gain["mean"] == 0 and gain["spread"] is None and not gain["more_than_spread"]


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12), st.integers(0, 3))
def test_z_is_lent_by_an_episode_of_another_behaviour_if_there_is_one(behaviors, seed):
    for own, lender in enumerate(of_another_behavior(behaviors, seed).tolist()):
        assert lender != own
        assert behaviors[lender] != behaviors[own] or len(set(behaviors)) == 1
