"""`whale calibrate`: turn uncertainties into thresholds that nominal episodes keep."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "calibrate", help="find the thresholds of uncertainty, and try them on other episodes"
    )
    parser.add_argument("data", type=Path, help="folder with nominal episodes")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--split", default="calibration", help="of the episodes that calibrate")
    parser.add_argument("--test-split", default="test", help="of those that it is tried on")
    parser.add_argument(
        "--alpha", type=float, default=0.1, help="share of nominal episodes that may raise an alarm"
    )
    parser.add_argument(
        "--behaviors", nargs="+", default=[], metavar="NAME",
        help="whose episodes are nominal: those like the policy on trial; default: all",
    )  # fmt: skip
    parser.add_argument("--candidates", type=int, default=8, help="of the planner")
    parser.add_argument("--camera", default="camera", help="frame_id of the robot's images")
    parser.add_argument(
        "--image-size", type=int, nargs=2, default=(128, 128), metavar=("WIDTH", "HEIGHT"),
        help="of the robot's images, before they are scaled for the model",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, help="file to write; default: calibration.json of the checkpoint"
    )
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    import math

    import torch

    from whale_ros.evaluation.calibration import realised, score_episodes
    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.rounding import rounded
    from whale_ros.evaluation.tables import calibration_table
    from whale_ros.imagination.calibration import (
        CALIBRATION,
        Calibration,
        Conditions,
        measure,
        save_calibration,
    )
    from whale_ros.imagination.conformal import rank
    from whale_ros.imagination.live import MAX_HORIZON
    from whale_ros.imagination.retracing import K
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    if options.split == options.test_split:
        raise ValueError(f"--split and --test-split are both {options.split!r}; try it on others")
    if "train" in (options.split, options.test_split):
        raise ValueError("a model is surer of the episodes of split 'train'; calibrate with others")
    rank(1, options.alpha)  # raises ValueError now, not after the work
    if options.candidates < 1:
        raise ValueError(f"--candidates must be 1 or more, not {options.candidates}")
    torch.set_num_threads(1)
    folder = options.checkpoint or SHIPPED
    model, card = load_checkpoint(folder)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    data, test = (EpisodeSet(options.data, name) for name in (options.split, options.test_split))
    for episodes in (data, test):
        episodes.must_fit(card.config, card.action_space)
    width, height = options.image_size
    scored = score_episodes(model, card.scales, data, options.candidates, options.behaviors)
    tested = score_episodes(model, card.scales, test, options.candidates)
    calibration = Calibration(
        conditions=Conditions(
            checkpoint=card.sha256,
            camera=options.camera,
            image_width=width,
            image_height=height,
            resolution=card.config.tokenizer.resolution,
            k=K,
            candidates=options.candidates,
            horizon=MAX_HORIZON,
            action_space=card.action_space.signature,
            measure=measure(card.scales),
        ),
        alpha=options.alpha,
        scores=scored.by_task(),
        episode_s=scored.episode_s,
        data_sha256=data.manifest_sha256,
    )
    output = options.output or folder / CALIBRATION
    save_calibration(output, calibration)
    report = {
        "checkpoint": card.sha256,
        "data": data.manifest_sha256,
        "episodes": len(scored.score),
        "behaviors": options.behaviors or sorted(set(scored.behavior.tolist())),
        "alpha": options.alpha,
        "candidates": options.candidates,
        "factor": rounded(calibration.factor(), 4),
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if math.isfinite(calibration.factor()):  # else the gate stays closed
        report |= realised(calibration, tested, options.behaviors)
    print(
        json.dumps(report, indent=1, allow_nan=False)
        if options.json
        else f"{calibration_table(report)}\ncalibration is in {output}"
    )
