#!/usr/bin/env python3
"""How fast candidates are imagined and retraced: our engine against naive recomputation.

    source scripts/env.sh
    python benchmarks/imagination.py                # one thread; with the sizes some minutes
    python benchmarks/imagination.py --sizes tiny   # one or two
    python benchmarks/imagination.py --device cuda --json

Naive means: one candidate at a time, and for every new frame the whole past through the network
again. Both are run in turns in one process, on the same random weights (speed does not depend on
them), and must agree in what they imagine. Retracing judges the last frame, as for a planner's
candidates without a gripper switch. Then every size on its own: one candidate, a full window.
"""

from __future__ import annotations

import argparse
import json
import math
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
from whale_ros.memory import keep_freed_memory
from whale_ros.world_model.config import WhaleConfig, shipped
from whale_ros.world_model.interface import StepOutput
from whale_ros.world_model.whale_st import WhaleST


def imagine_naively(
    model: WhaleST, latents: Tensor, past_actions: Tensor, actions: Tensor
) -> Rollout:
    """Frames that follow latents (B, T, N, C) under actions (B, H, 7); as `imagine`.

    past_actions: (B, T-1, 7). The rollout's state is None.
    """
    rows = [
        imagine_without_cache(model, *(x[row : row + 1] for x in (latents, past_actions, actions)))
        for row in range(len(actions))
    ]
    return Rollout(
        actions=torch.cat([past_actions, actions], dim=1),
        latents=torch.cat([row.latents for row in rows]),
        features=torch.cat([row.features for row in rows]),
        entropy=torch.cat([row.entropy for row in rows]),
        state=None,
    )


def imagine_without_cache(
    model: WhaleST, latents: Tensor, past_actions: Tensor, actions: Tensor
) -> Rollout:
    """As `imagine_naively`, but all candidates at once."""
    taken = torch.cat([past_actions, actions], dim=1)
    outputs: list[StepOutput] = []
    seen = latents
    for t in range(past_actions.shape[1], taken.shape[1]):
        z = _behavior(model, seen, taken[:, :t])
        output = _next_frame(model, seen, taken[:, : t + 1], z)
        seen = torch.cat([seen, output.latent.unsqueeze(1)], dim=1)
        outputs.append(output)
    return Rollout(
        actions=taken,
        latents=torch.stack([o.latent for o in outputs], dim=1),
        features=torch.stack([o.features for o in outputs], dim=1),
        entropy=torch.stack([o.entropy for o in outputs], dim=1),
        state=None,
    )


def retrace_naively(
    model: WhaleST, latents: Tensor, rollout: Rollout, frames: tuple[int, ...]
) -> Retracing:
    """Uncertainty straight from its definition; as `retrace`, given the observed latents too."""
    observed = latents.shape[1]
    seen = torch.cat([latents, rollout.latents], dim=1)
    disagreements = torch.full((*rollout.entropy.shape, len(K)), torch.nan)
    took_part = torch.zeros_like(disagreements, dtype=torch.bool)
    action_type = model.action_space.type
    for row in range(len(seen)):
        for frame in frames:
            t = observed + frame - 1  # the frame to be judged is t + 1
            for column, k in enumerate(K):
                if t - k < 0:
                    continue
                window = rollout.actions[row, t - k : t + 1].cpu().numpy()
                if holds_gripper_switch(window):
                    continue
                kept = seen[row : row + 1, : t - k + 1]  # o_{<= t-k}
                taken = rollout.actions[row : row + 1, : t - k]  # a_{< t-k}
                z = _behavior(
                    model, seen[row : row + 1, : t + 1], rollout.actions[row : row + 1, :t]
                )
                z = torch.cat([z[:, : t - k], z[:, -1:].expand(-1, k + 1, -1)], dim=1)
                steps = split(compose(window, action_type), k + 1, action_type)
                for step in torch.from_numpy(steps).to(taken):
                    taken = torch.cat([taken, step.view(1, 1, -1)], dim=1)
                    output = _next_frame(model, kept, taken, z[:, : kept.shape[1]])
                    kept = torch.cat([kept, output.latent.unsqueeze(1)], dim=1)
                distance = feature_distance(output.features[0], rollout.features[row, frame])
                disagreements[row, frame, column] = distance
                took_part[row, frame, column] = True
    return Retracing(disagreements, rollout.entropy.cpu(), took_part)


def _behavior(model: WhaleST, latents: Tensor, actions: Tensor) -> Tensor:
    """z (1, T, Z) at each of the frames (1, T, N, C), given the actions (1, T-1, 7) between."""
    return model.behavior.infer(latents, model.normalised(actions))


def _next_frame(model: WhaleST, latents: Tensor, actions: Tensor, z: Tensor) -> StepOutput:
    """The frame after latents (1, T, N, C) under actions (1, T, 7) and z (1, T, Z)."""
    logits, _ = model.dynamics(latents, model.normalised(actions), z)
    probability = logits[:, -1].softmax(-1)
    values = model.tokenizer.values(torch.arange(probability.shape[-1], device=probability.device))
    entropy = -torch.special.xlogy(probability, probability).sum(-1).mean((-2, -1))
    return StepOutput(
        latent=probability.argmax(-1),
        features=probability @ values,
        entropy=entropy / math.log(probability.shape[-1]),
    )


@torch.inference_mode()
def against_naive(model: WhaleST, context: int, horizon: int, candidates: int, turns: int) -> dict:
    """Median seconds of both engines, and what follows from them."""
    latents, past, actions = _inputs(model, context, horizon, candidates)
    index = torch.zeros(candidates, dtype=torch.long, device=past.device)
    last = (horizon - 1,)
    resolution = model.config.tokenizer.resolution
    picture = torch.rand(1, 3, resolution, resolution, device=past.device)
    seconds: dict[str, list[float]] = {}

    for turn in range(turns):
        _timed(seconds, "encode", model.encode, picture)
        state = _timed(seconds, "start", _start, model, latents, past, index)
        ours = _timed(seconds, "imagine", imagine, model, state, actions, past[index])
        _timed(seconds, "decode", model.decode, ours.latents, picture)
        held = _start(model, latents, past, index, model.dynamics.no_behavior.unsqueeze(0))
        _timed(seconds, "imagine without behaviour", imagine, model, held, actions, past[index])
        judged = _timed(seconds, "retrace", judge, model, ours)
        if turn % 5:
            continue  # the naive way is slow, so it gets a fifth of the turns
        many = latents[index]
        batched = (many, past[index], actions)
        _timed(seconds, "batched imagine", imagine_without_cache, model, *batched)
        plain = _timed(seconds, "naive imagine", imagine_naively, model, many, past[index], actions)
        plainly = _timed(seconds, "naive retrace", retrace_naively, model, many, plain, last)
        for found, expected in (
            (ours.features, plain.features),
            (judged.uncertainty, plainly.uncertainty),
        ):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0, equal_nan=True)
    median = {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}
    imagined = median["start"] + median["imagine"]
    ours_s = imagined + median["retrace"]
    naive_s = median["naive imagine"] + median["naive retrace"]
    behavior = max(0.0, median["imagine"] - median["imagine without behaviour"])
    request = median["encode"] + imagined + median["decode"]  # a new image, and pictures back
    frames = horizon * candidates
    return {
        "model": model.config.name,
        "context": context,
        "horizon": horizon,
        "candidates": candidates,
        "turns": turns,
        "seconds": {name: round(value, 5) for name, value in median.items()},
        "ms_per_frame_and_candidate": round(1000 * imagined / frames, 3),
        "ms_per_frame_and_candidate_with_retracing": round(1000 * ours_s / frames, 3),
        "tokens_per_second": round(frames * model.config.tokenizer.tokens / imagined),
        "shares_without_retracing": {
            "tokenizer, encoding one image": round(median["encode"] / request, 3),
            "behaviour model": round(behavior / request, 3),
            "dynamics": round((imagined - behavior) / request, 3),
            "tokenizer, decoding every frame": round(median["decode"] / request, 3),
        },
        "naive_over_ours": {
            "imagine": round(median["naive imagine"] / imagined, 2),
            "imagine, naively but all candidates at once": round(
                median["batched imagine"] / imagined, 2
            ),
            "retrace": round(median["naive retrace"] / median["retrace"], 2),
            "both": round(naive_s / ours_s, 2),
        },
    }


@torch.inference_mode()
def alone(model: WhaleST, horizon: int, turns: int) -> dict:
    """Milliseconds per frame that one candidate is imagined in, after a full window."""
    latents, past, actions = _inputs(model, model.config.dynamics.window, horizon, 1)
    state = model.start(latents, past)
    seconds: dict[str, list[float]] = {}
    for _ in range(turns):
        rollout = _timed(seconds, "imagine", imagine, model, state, actions, past)
    resolution = model.config.tokenizer.resolution
    picture = torch.rand(1, 3, resolution, resolution, device=past.device)
    _timed(seconds, "decode", model.decode, rollout.latents[:, -1], picture)
    frame = sorted(seconds["imagine"])[turns // 2] / horizon
    return {
        "resolution": resolution,
        "tokens_per_frame": model.config.tokenizer.tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "ms_per_frame": round(1000 * frame, 2),
        "ms_to_decode_a_frame": round(1000 * seconds["decode"][0], 2),
        "tokens_per_second": round(model.config.tokenizer.tokens / frame),
        "horizon": horizon,
        "turns": turns,
    }


def _random_model(name: str, device: str) -> WhaleST:
    torch.manual_seed(0)
    model = WhaleST(WhaleConfig.named(name), ActionSpace()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    model.to(device)
    if device != "cpu":
        model.compile_step()
    return model


def _parameters(name: str) -> int:
    with torch.device("meta"):
        model = WhaleST(WhaleConfig.named(name), ActionSpace())
    return sum(p.numel() for p in model.parameters())


def _inputs(
    model: WhaleST, context: int, horizon: int, candidates: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Random latents (1, T, N, C), the actions between them, those that follow (K, H, 7)."""
    generator = torch.Generator().manual_seed(0)
    tokens = model.config.tokenizer
    shape = (1, context, tokens.tokens, tokens.code_dim)
    latents = torch.randint(tokens.code_levels, shape, generator=generator)
    past = 0.02 * torch.randn(1, context - 1, 7, generator=generator)
    actions = 0.02 * torch.randn(candidates, horizon, 7, generator=generator)
    device = model.device
    return latents.to(device), past.to(device), actions.to(device)


def _start(
    model: WhaleST, latents: Tensor, past: Tensor, index: Tensor, z: Tensor | None = None
) -> Any:
    return model.fork(model.start(latents, past, z), index)


def _timed(seconds: dict[str, list[float]], name: str, work: Callable, *arguments: Any) -> Any:
    began = time.perf_counter()
    result = work(*arguments)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds.setdefault(name, []).append(time.perf_counter() - began)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = sorted((path.stem for path in shipped()), key=_parameters)
    parser.add_argument("--context", type=int, default=16, help="observed frames")
    parser.add_argument("--horizon", type=int, default=8, help="imagined frames")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--sizes", nargs="*", default=sizes)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    report = {
        "hardware": hardware(),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "CPU, one thread",
        "torch": torch.__version__,
        **against_naive(
            _random_model("tiny", options.device),
            options.context,
            options.horizon,
            options.candidates,
            options.turns,
        ),
        "sizes": {},
    }
    for name in options.sizes:
        small = name == "tiny"
        model = _random_model(name, options.device)
        report["sizes"][name] = alone(model, 8 if small else 2, options.turns if small else 3)
    print(json.dumps(report, indent=1) if options.json else _table(report))


def _table(report: dict) -> str:
    seconds, ratio = report["seconds"], report["naive_over_ours"]
    ours = seconds["start"] + seconds["imagine"]
    lines = [
        f"{report['hardware']}, {report['device']}, torch {report['torch']}",
        f"{report['model']}: {report['candidates']} candidates x {report['horizon']} frames after "
        f"{report['context']}, median of {report['turns']} turns",
        f"{'':10}{'ours':>10}{'naive':>10}{'ratio':>8}",
    ]
    for name, mine in (("imagine", ours), ("retrace", seconds["retrace"])):
        naive = seconds["naive " + name]
        lines.append(f"{name:10}{mine:9.3f}s{naive:9.3f}s{ratio[name]:7.1f}x")
    lines += [
        f"imagine, naively but all candidates at once: {seconds['batched imagine']:.3f} s, "
        f"{ratio['imagine, naively but all candidates at once']:.1f} times as long as ours",
        f"both together: {ratio['both']:.1f} times as fast as naive recomputation",
        f"{report['ms_per_frame_and_candidate']:.2f} ms per imagined frame and candidate",
        f"{report['ms_per_frame_and_candidate_with_retracing']:.2f} ms with retracing",
        f"{report['tokens_per_second']} tokens/s",
        "shares of a request, retracing aside, if every frame is decoded:",
    ]
    for name, share in report["shares_without_retracing"].items():
        lines.append(f"  {name:34}{100 * share:5.1f} %")
    lines += ["", f"one candidate alone{'ms/frame':>12}{'ms to decode':>14}{'tokens/s':>10}"]
    for name, row in report["sizes"].items():
        size = f"{name} {row['parameters'] / 1e6:.1f} M"
        lines.append(
            f"{size:19}{row['ms_per_frame']:12.1f}{row['ms_to_decode_a_frame']:14.1f}"
            f"{row['tokens_per_second']:10}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
