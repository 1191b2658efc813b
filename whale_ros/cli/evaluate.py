"""`whale evaluate`: measure checkpoints on held-out episodes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whale_ros.actions.space import ActionSpace
    from whale_ros.training.dataset import EpisodeSet


def add(commands: argparse._SubParsersAction) -> None:
    evaluate = commands.add_parser("evaluate", help="measure checkpoints on held-out episodes")
    questions = evaluate.add_subparsers(required=True, metavar="WHAT")
    parser = questions.add_parser("prediction", help="how well frames are foretold")
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--split", default="validation", help="of the episodes; not train")
    parser.add_argument("--lpips", type=Path, help="folder with the weights of AlexNet and LPIPS")
    _add_output(parser)
    parser.set_defaults(command=prediction)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")


def prediction(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.hand_probe import train_hand_probe
    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.lpips import load_lpips
    from whale_ros.evaluation.prediction import evaluate_prediction
    from whale_ros.evaluation.prediction_pictures import draw_psnr, draw_windows
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, card = load_checkpoint(options.checkpoint or SHIPPED)
    lpips = load_lpips(options.lpips).to(device) if options.lpips else None
    data = EpisodeSet(options.data, options.split)
    check_actions(options.data, data, card.action_space)
    probe = train_hand_probe(EpisodeSet(options.data, "train"), device)
    report = evaluate_prediction(model.to(device), data, probe=probe, lpips=lpips)
    report |= {"checkpoint": card.sha256, "hardware": hardware(), "torch": torch.__version__}
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        draw_windows(model, data, options.pictures)
        draw_psnr(report, options.pictures / "psnr.png")
    print(json.dumps(report, indent=1) if options.json else prediction_table(report))


def check_actions(folder: Path, data: EpisodeSet, space: ActionSpace) -> None:
    """Raises ValueError if the actions of the data are not those of a checkpoint."""
    if data.action_space != space:
        raise ValueError(
            f"the actions of {folder} are {data.action_space.signature}, "
            f"those of the checkpoint {space.signature}"
        )


def prediction_table(report: dict) -> str:
    lines = [
        f"{report['windows']} windows of {report['episodes']} {report['split']} episodes, "
        f"{report['observed_frames']} frames observed, {report['imagined_frames']} imagined"
    ]
    for title, metric, digits in (
        ("PSNR [dB]", "psnr_db", 2),
        ("PSNR on moving pixels [dB]", "moving_pixels_psnr_db", 2),
        ("SSIM", "ssim", 4),
        ("LPIPS (less is better)", "lpips", 4),
        ("distance in the tokenizer's features", "feature_distance", 4),
        ("error of the hand [cm], median", "hand_error_cm_median", 2),
        ("error of the hand [cm], 90 % quantile", "hand_error_cm_worst_tenth", 2),
    ):
        if metric not in report:
            continue
        steps = list(report[metric]["model"])
        lines += ["", f"{title:40}" + "".join(f"step {step:>3}  " for step in steps)]
        for name, values in report[metric].items():
            lines.append(f"  {name:38}" + "".join(f"{values[s]:8.{digits}f}  " for s in steps))
    if "lpips" not in report:
        lines += ["", "LPIPS: no weights, see --lpips and whale_ros/evaluation/lpips.py"]
    lines += ["", "gain on moving pixels, with its 95 % interval over episodes"]
    for name, gain in report["moving_pixels_gain_db"].items():
        lines.append(
            f"  {name:38}{gain['db']:8.2f} dB at step {gain['step']} "
            f"({gain['from']:.2f} .. {gain['to']:.2f})"
        )
    return "\n".join(lines)
