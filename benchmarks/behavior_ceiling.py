#!/usr/bin/env python3
"""How much could any z help? Dynamics that are told the truth: the policy's and the task's names.

    source scripts/env.sh
    python benchmarks/behavior_ceiling.py DATA --checkpoint runs/tiny/checkpoint
    python benchmarks/behavior_ceiling.py DATA --json

Takes the checkpoint's tokenizer and trains new dynamics whose z is not inferred, but a code for
what the manifest says of the episode, withheld now and then as in `whale train`. Then compares, on
held-out episodes of the same behaviours and tasks: the true code, that of another episode, and
none. What the truth does not gain here, no inferred z can gain.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from whale_ros.evaluation.bootstrap import interval
from whale_ros.evaluation.hardware import hardware
from whale_ros.evaluation.prediction import REPORTED_STEPS, foretell
from whale_ros.evaluation.windows import Window, another_episode, held_out_windows
from whale_ros.imagination.retracing import feature_distance
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.loop import Schedule, Stage, train
from whale_ros.training.pretrain import DYNAMICS_BATCH, SEQUENCE, encode_all
from whale_ros.training.record import claim_run
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint
from whale_ros.world_model.whale_st import WhaleST

CONTEXTS = (2, 6)  # observed frames
STRIDE = 12  # frames between windows


def truth(data: EpisodeSet, names: list[str]) -> Tensor:
    """(E, names): for each episode one at its behaviour and at its task."""
    return torch.tensor([[float(n in (i.behavior, i.task)) for n in names] for i in data.infos])


def fit(model: WhaleST, data: EpisodeSet, codes: Sequences, known: Tensor, run: Path, steps: int):
    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        episode, start = codes.pieces(SEQUENCE, DYNAMICS_BATCH, generator)
        row, time = episode[:, None], start[:, None] + torch.arange(SEQUENCE)
        return codes[row, time].long(), data.actions[row, time[:, :-1]], known[episode]

    def loss(sequence: Tensor, actions: Tensor, known: Tensor, generator: torch.Generator):
        z = known.unsqueeze(1).expand(-1, sequence.shape[1], -1)
        return model.dynamics.loss(sequence, model.normalised(actions), z, generator)

    train(Stage("ceiling", model.dynamics, batch, loss), Schedule(steps, 1e-3), run)


@torch.inference_mode()
def compare(model: WhaleST, data: EpisodeSet, known: Tensor, context: int) -> dict:
    """Feature distance at REPORTED_STEPS with the truth, that of another episode, and nothing."""
    errors: dict[str, list[Tensor]] = {"truth": [], "another's": [], "none": []}
    episodes = []
    other = another_episode(len(data), seed=0)
    steps = torch.tensor(REPORTED_STEPS) - 1
    for window in held_out_windows(data, max(CONTEXTS), REPORTED_STEPS[-1], stride=STRIDE):
        real = model.features(model.encode(window.future_frames))
        short = _cut(window, context)
        for name, z in (
            ("truth", known[window.episodes]),
            ("another's", known[other[window.episodes]]),
            ("none", model.dynamics.no_behavior.expand(len(real), -1)),
        ):
            rollout = foretell(model, short, window.actions, z)
            errors[name].append(feature_distance(rollout.features, real)[:, steps])
        episodes.append(window.episodes)
    together = {name: torch.cat(values) for name, values in errors.items()}
    gain = together["none"] - together["truth"]
    windows = torch.nn.functional.one_hot(torch.cat(episodes)).float()  # (windows, E)
    gains, counts = windows.T @ gain, windows.sum(0)

    def mean_gain(step: int) -> tuple[float, float, float]:
        return interval(lambda times: times @ gains[:, step] / (times @ counts), len(data))

    return {
        "feature_distance": {n: _row(values.mean(0)) for n, values in together.items()},
        "gain_of_truth_over_none": {
            str(step): [round(value, 4) for value in mean_gain(i)]
            for i, step in enumerate(REPORTED_STEPS)
        },
        "windows": len(gain),
    }


def _cut(window: Window, context: int) -> Window:
    return replace(
        window,
        past_frames=window.past_frames[:, -context:],
        past_actions=window.past_actions[:, window.past_actions.shape[1] - context + 1 :],
    )


def _row(values: Tensor) -> dict[str, float]:
    return {str(s): round(float(v), 4) for s, v in zip(REPORTED_STEPS, values, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--run", type=Path, default=Path("runs/ceiling"), help="to be resumed from")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    finished, card = load_checkpoint(options.checkpoint)
    training, held_out = (EpisodeSet(options.data, split) for split in ("train", "validation"))
    names = sorted({i.behavior for i in training.infos} | {i.task for i in training.infos})
    config = replace(card.config, behavior=replace(card.config.behavior, z_dim=len(names)))
    claim_run(
        options.run,
        checkpoint=card.sha256,
        manifest_sha256=training.manifest_sha256,
        steps=options.steps,
    )
    torch.manual_seed(0)
    model = WhaleST(config, card.action_space)
    model.tokenizer.load_state_dict(finished.tokenizer.state_dict())
    codes = encode_all(model, training)
    fit(model, training, codes, truth(training, names), options.run, options.steps)
    model.eval()
    known = truth(held_out, names)
    report = {
        "contexts": {c: compare(model, held_out, known, c) for c in CONTEXTS},
        "names": names,
        "steps": options.steps,
        "episodes": len(held_out),
        "seed": 0,
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{options.steps} steps, {len(held_out)} held-out episodes, {report['hardware']}")
    for context, result in report["contexts"].items():
        steps = "".join(f"{f'step {step}':>10}" for step in REPORTED_STEPS)
        print(f"\nfeature distance after {context} observed frames{steps}")
        for name, row in result["feature_distance"].items():
            print(f"  {name:37}" + "".join(f"{value:10.4f}" for value in row.values()))
        for step, gain in result["gain_of_truth_over_none"].items():
            value, low, high = gain
            print(f"  truth gains at step {step:>2}: {value:.4f} ({low:.4f} .. {high:.4f})")


if __name__ == "__main__":
    main()
