"""`whale evaluate`: measure checkpoints on held-out episodes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    evaluate = commands.add_parser("evaluate", help="measure a checkpoint on held-out episodes")
    questions = evaluate.add_subparsers(required=True, metavar="WHAT")
    parser = questions.add_parser("prediction", help="how well frames are foretold")
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.set_defaults(command=prediction)


def prediction(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.prediction import evaluate_prediction
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(1)
    model, card = load_checkpoint(options.checkpoint or SHIPPED)
    data = EpisodeSet(options.data, "validation")
    if data.action_space != card.action_space:
        raise ValueError(
            f"the actions of {options.data} are {data.action_space.signature}, "
            f"those of the checkpoint {card.action_space.signature}"
        )
    report = evaluate_prediction(model, data)
    report |= {"checkpoint": card.sha256, "hardware": hardware()}
    print(json.dumps(report, indent=1) if options.json else prediction_table(report))


def prediction_table(report: dict) -> str:
    lines = [f"{report['windows']} windows of {report['episodes']} held-out episodes"]
    for metric in ("psnr_db", "moving_pixels_psnr_db"):
        steps = list(report[metric]["model"])
        lines += ["", f"{metric:24}" + "".join(f"step {step:>3}  " for step in steps)]
        for name, values in report[metric].items():
            lines.append(f"  {name:22}" + "".join(f"{values[step]:8.2f}  " for step in steps))
    return "\n".join(lines)
