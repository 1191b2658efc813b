#!/usr/bin/env python3
"""How fast candidates are imagined and retraced: our engine against naive recomputation.

    source scripts/env.sh
    python benchmarks/imagination.py            # one thread, a minute or two
    python benchmarks/imagination.py --json

Naive means: one candidate at a time, and for every new frame the whole window through the network
again. Both are run in turns in one process, on the same random weights (speed does not depend on
them), and must agree in what they imagine. Retracing judges the last
frame, as for a planner's candidates without a gripper switch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from whale_ros.actions.composition import compose, holds_gripper_switch, split
from whale_ros.actions.space import ActionSpace
from whale_ros.evaluation.hardware import hardware
from whale_ros.imagination.retracing import K, Retracing, feature_distance, judge
from whale_ros.imagination.rollout import Rollout, imagine
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.interface import StepOutput
from whale_ros.world_model.whale_st import WhaleST


def imagine_naively(
    model: WhaleST, latents: Tensor, past_actions: Tensor, actions: Tensor
) -> Rollout:
    """Frames that follow latents (B, T, N, C) under actions (B, H, 7); as `imagine`.

    past_actions: (B, T-1, 7). The rollout's state is None.
    """
    taken = torch.cat([past_actions, actions], dim=1)
    rows = []
    for row in range(len(actions)):
        outputs: list[StepOutput] = []
        seen = latents[row : row + 1]
        for t in range(past_actions.shape[1], taken.shape[1]):
            output = _next_frame(model, seen, taken[row : row + 1, : t + 1])
            seen = torch.cat([seen, output.latent.unsqueeze(1)], dim=1)
            outputs.append(output)
        rows.append(outputs)
    return Rollout(
        actions=taken,
        latents=torch.stack([torch.cat([o.latent for o in row]) for row in rows]),
        features=torch.stack([torch.cat([o.features for o in row]) for row in rows]),
        entropy=torch.stack([torch.cat([o.entropy for o in row]) for row in rows]),
        state=None,
    )


def retrace_naively(
    model: WhaleST, latents: Tensor, rollout: Rollout, frames: tuple[int, ...]
) -> Retracing:
    """Uncertainty straight from its definition; as `retrace`, given the observed latents too."""
    observed = latents.shape[1]
    seen = torch.cat([latents, rollout.latents], dim=1)
    apart = torch.full((*rollout.entropy.shape, len(K)), torch.nan)
    for row in range(len(seen)):
        for frame in frames:
            t = observed + frame - 1  # the frame to be judged is t + 1
            for column, k in enumerate(K):
                if t - k < 0:
                    continue
                window = rollout.actions[row, t - k : t + 1].numpy()
                if holds_gripper_switch(window):
                    continue
                now = seen[row : row + 1, : t + 1], rollout.actions[row : row + 1, :t]
                z = model.start(*now).z[:, -1]  # z_t, held while retracing
                kept = seen[row : row + 1, : t - k + 1]  # o_{<= t-k}
                taken = rollout.actions[row : row + 1, : t - k]  # a_{< t-k}
                for step in torch.from_numpy(split(compose(window), k + 1)).to(taken):
                    taken = torch.cat([taken, step.view(1, 1, -1)], dim=1)
                    output = _next_frame(model, kept, taken, z)
                    kept = torch.cat([kept, output.latent.unsqueeze(1)], dim=1)
                distance = feature_distance(output.features[0], rollout.features[row, frame])
                apart[row, frame, column] = distance
    return Retracing(apart.nanmean(dim=2), rollout.entropy, ~apart.isnan())


def _next_frame(
    model: WhaleST, latents: Tensor, actions: Tensor, z: Tensor | None = None
) -> StepOutput:
    """The frame after latents (1, T, N, C) under actions (1, T, 7), all computed anew."""
    state = model.start(latents, actions[:, :-1], z)
    return model.step(state, actions[:, -1])[1]


@torch.inference_mode()
def benchmark(context: int, horizon: int, candidates: int, repeats: int) -> dict:
    """Median seconds of both engines, and what follows from them."""
    model = WhaleST(WhaleConfig(), ActionSpace()).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(std=0.1, generator=generator)
    tokens = model.config.tokenizer
    shape = (1, context, tokens.tokens, tokens.code_dim)
    latents = torch.randint(tokens.code_levels, shape, generator=generator)
    past = 0.02 * torch.randn(1, context - 1, 7, generator=generator)
    actions = 0.02 * torch.randn(candidates, horizon, 7, generator=generator)
    index = torch.zeros(candidates, dtype=torch.long)
    last = (horizon - 1,)
    seconds: dict[str, list[float]] = {}

    for repeat in range(repeats):
        state = _timed(seconds, "start", _start, model, latents, past, index)
        ours = _timed(seconds, "imagine", imagine, model, state, actions, past[index])
        judged = _timed(seconds, "retrace", judge, model, ours)
        if repeat % 5:
            continue  # the naive way is slow, so it gets a fifth of the turns
        many = latents[index]
        plain = _timed(seconds, "naive imagine", imagine_naively, model, many, past[index], actions)
        plainly = _timed(seconds, "naive retrace", retrace_naively, model, many, plain, last)
        torch.testing.assert_close(ours.features, plain.features, atol=1e-3, rtol=0)
        torch.testing.assert_close(
            judged.uncertainty, plainly.uncertainty, atol=1e-3, rtol=0, equal_nan=True
        )
    median = {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}
    imagined = median["start"] + median["imagine"]
    ours_s, naive_s = (
        imagined + median["retrace"],
        median["naive imagine"] + median["naive retrace"],
    )
    return {
        "context": context,
        "horizon": horizon,
        "candidates": candidates,
        "tokens_per_frame": tokens.tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "hardware": hardware(),
        "torch": torch.__version__,
        "seconds": {name: round(value, 5) for name, value in median.items()},
        "ms_per_frame_and_candidate": round(1000 * imagined / (horizon * candidates), 3),
        "ms_per_frame_and_candidate_with_retracing": round(
            1000 * ours_s / (horizon * candidates), 3
        ),
        "tokens_per_second": round(horizon * candidates * tokens.tokens / imagined),
        "share_of_retracing": round(median["retrace"] / ours_s, 3),
        "naive_over_ours": {
            "imagine": round(median["naive imagine"] / imagined, 2),
            "retrace": round(median["naive retrace"] / median["retrace"], 2),
            "both": round(naive_s / ours_s, 2),
        },
    }


def _start(model: WhaleST, latents: Tensor, past: Tensor, index: Tensor) -> Any:
    return model.fork(model.start(latents, past), index)


def _timed(seconds: dict[str, list[float]], name: str, work: Callable, *arguments: Any) -> Any:
    began = time.perf_counter()
    result = work(*arguments)
    seconds.setdefault(name, []).append(time.perf_counter() - began)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--context", type=int, default=6, help="observed frames")
    parser.add_argument("--horizon", type=int, default=8, help="imagined frames")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = benchmark(options.context, options.horizon, options.candidates, options.repeats)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    seconds, ratio = report["seconds"], report["naive_over_ours"]
    print(f"{report['hardware']}, one thread, torch {report['torch']}")
    print(
        f"{report['candidates']} candidates x {report['horizon']} frames after "
        f"{report['context']}, {report['parameters'] / 1e6:.2f} M parameters"
    )
    ours = seconds["start"] + seconds["imagine"]
    print(f"{'':10}{'ours':>10}{'naive':>10}{'ratio':>8}")
    for name, mine in (("imagine", ours), ("retrace", seconds["retrace"])):
        naive = seconds["naive " + name]
        print(f"{name:10}{mine:9.3f}s{naive:9.3f}s{ratio[name]:7.1f}x")
    print(f"both together: {ratio['both']:.1f} times as fast as naive recomputation")
    print(f"{report['ms_per_frame_and_candidate']:.2f} ms per imagined frame and candidate")
    print(f"{report['ms_per_frame_and_candidate_with_retracing']:.2f} ms with retracing")
    print(f"{report['tokens_per_second']} tokens/s")
    print(f"{100 * report['share_of_retracing']:.0f} % of the time is retracing")


if __name__ == "__main__":
    main()
