#!/usr/bin/env python3
"""Does a frame get better when it is decoded in several passes (MaskGIT) instead of one?

    source scripts/env.sh
    python benchmarks/decoding.py DATA              # a folder made by `whale collect`
    python benchmarks/decoding.py DATA --json

On held-out windows of 6 observed and 15 imagined frames: PSNR over moving pixels and the distance
in the tokenizer's features, and what an imagined frame costs. `passes` in config/models/tiny.yaml
is the best of these.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from whale_ros.evaluation.hardware import hardware
from whale_ros.evaluation.prediction import REPORTED_STEPS, foretell, is_moving, psnr
from whale_ros.evaluation.windows import held_out_windows
from whale_ros.imagination.live import HISTORY
from whale_ros.imagination.retracing import feature_distance
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint
from whale_ros.world_model.whale_st import WhaleST

PASSES = (1, 2, 4)
STRIDE = 12  # frames between windows: one of an episode


@torch.inference_mode()
def measure(model: WhaleST, data: EpisodeSet, passes: int) -> dict:
    model.dynamics.config = replace(model.dynamics.config, passes=passes)
    horizon = REPORTED_STEPS[-1]
    steps = [step - 1 for step in REPORTED_STEPS]
    error, moving = torch.zeros(horizon), torch.zeros(horizon)
    distances: list[Tensor] = []
    seconds = 0.0
    for window in held_out_windows(data, HISTORY, horizon, stride=STRIDE):
        began = time.perf_counter()
        rollout = foretell(model, window, window.actions)
        seconds += time.perf_counter() - began
        real = window.future_frames
        moves = is_moving(window).float()
        squared = (model.decode(rollout.latents, window.last) - real).square().mean(2)
        error += (squared * moves).sum((0, 2, 3))
        moving += moves.sum((0, 2, 3))
        distances.append(feature_distance(rollout.features, model.features(model.encode(real))))
    distance = torch.cat(distances)
    return {
        "windows": len(distance),
        "moving_pixels_psnr_db": _at_steps(psnr(error / moving)[steps]),
        "feature_distance": _at_steps(distance.mean(0)[steps]),
        "ms_per_frame_and_candidate": round(1000 * seconds / distance.numel(), 2),
    }


def _at_steps(values: Tensor) -> dict[str, float]:
    return {
        str(step): round(float(value), 3)
        for step, value in zip(REPORTED_STEPS, values, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, card = load_checkpoint(options.checkpoint)
    data = EpisodeSet(options.data, "validation")
    report = {
        "passes": {passes: measure(model, data, passes) for passes in PASSES},
        "episodes": len(data),
        "checkpoint": card.sha256,
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{len(data)} held-out episodes, {report['hardware']}, one thread")
    for metric in ("moving_pixels_psnr_db", "feature_distance"):
        print(f"\n{metric:26}" + "".join(f"  step {step:>2}" for step in REPORTED_STEPS))
        for passes, row in report["passes"].items():
            numbers = "".join(f"{value:9.3f}" for value in row[metric].values())
            print(f"  {passes} pass{'es' if passes > 1 else '  '}{'':16}{numbers}")
    costs = {p: row["ms_per_frame_and_candidate"] for p, row in report["passes"].items()}
    print("\nms per frame and candidate: " + ", ".join(f"{p}: {ms:g}" for p, ms in costs.items()))
    print(f"ratio of {PASSES[-1]} passes to 1: {costs[PASSES[-1]] / costs[1]:.2f}")


if __name__ == "__main__":
    main()
