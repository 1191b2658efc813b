"""`whale calibrate`: turn uncertainties into thresholds that nominal episodes keep."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

from whale_ros.data.conversion_log import ConversionLog

SIMULATED = ("camera", 128, 128)  # frame_id, width and height, as in config/robots/sim.yaml


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "calibrate", help="find the thresholds of uncertainty, and try them on other episodes"
    )
    parser.add_argument("data", type=Path, help="folder with nominal episodes")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument(
        "--split", help="of the episodes that calibrate; default: calibration if there is one, "
        "else all of them, but for those that the checkpoint was fine-tuned with",
    )  # fmt: skip
    parser.add_argument(
        "--test-split", help="of those that it is tried on; default: test, if there is one"
    )
    parser.add_argument(
        "--test-data", type=Path, metavar="FOLDER", help="that the test split is of; default: data"
    )
    parser.add_argument(
        "--scales-split",
        help="of those that the scales are measured on; default: the checkpoint's own scales",
    )
    parser.add_argument(
        "--alpha", type=float, default=0.1, help="share of nominal episodes that may raise an alarm"
    )
    parser.add_argument(
        "--behaviors", nargs="+", default=[], metavar="NAME",
        help="whose episodes are nominal: those like the policy on trial; default: all",
    )  # fmt: skip
    parser.add_argument("--candidates", type=int, default=8, help="of the planner")
    parser.add_argument(
        "--camera", metavar="FRAME_ID",
        help="of the robot's images; default: as in the bags, else the simulated arm's",
    )  # fmt: skip
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"),
        help="of the robot's images, before they are scaled for the model; default: likewise",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, help="file to write; default: calibration.json of the checkpoint"
    )
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.data.episodes import manifest_hash, read_manifest
    from whale_ros.evaluation.calibration import realised, scales_of, score_episodes
    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.rounding import rounded
    from whale_ros.evaluation.tables import calibration_table
    from whale_ros.imagination.calibration import (
        CALIBRATION,
        MEASURE,
        Calibration,
        Conditions,
        save_calibration,
    )
    from whale_ros.imagination.conformal import rank
    from whale_ros.imagination.live import MAX_HORIZON
    from whale_ros.imagination.retracing import K
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.world_model.checkpoint import SHIPPED, Scales, load_checkpoint

    camera, (width, height) = camera_of(options.data, options.camera, options.image_size)
    rank(1, options.alpha)  # raises ValueError now, not after the work
    if options.candidates < 1:
        raise ValueError(f"--candidates must be 1 or more, not {options.candidates}")
    torch.set_num_threads(1)
    folder = options.checkpoint or SHIPPED
    model, card = load_checkpoint(folder)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    splits = {info.split for info in read_manifest(options.data)[1]}
    split = options.split or ("calibration" if "calibration" in splits else None)
    has_test = options.test_data or (split and "test" in splits)
    test_split = options.test_split or ("test" if has_test else None)
    test_folder = options.test_data or options.data
    used = [(manifest_hash(options.data), split)]
    if test_split:
        used.append((manifest_hash(test_folder), test_split))
    if options.scales_split:
        used.append((manifest_hash(options.data), options.scales_split))
    must_be_others(used, card.training)
    learnt = card.training.get("episodes_sha256", ())
    data = EpisodeSet(options.data, split, without=learnt)
    test = EpisodeSet(test_folder, test_split, without=learnt) if test_split else None
    measured = (
        EpisodeSet(options.data, options.scales_split, without=learnt)
        if options.scales_split
        else None
    )
    for episodes in filter(None, (data, test, measured)):
        episodes.must_fit(card.config, card.action_space)
    scales = card.scales
    if measured:
        units = Scales(1, 1, 1)
        scales = scales_of(
            score_episodes(model, units, measured, options.candidates, options.behaviors)
        )
    scored = score_episodes(model, scales, data, options.candidates, options.behaviors)
    calibration = Calibration(
        conditions=Conditions(
            checkpoint=card.sha256,
            camera=camera,
            image_width=width,
            image_height=height,
            resolution=card.config.tokenizer.resolution,
            k=K,
            candidates=options.candidates,
            horizon=MAX_HORIZON,
            action_space=card.action_space.signature,
            measure=MEASURE,
        ),
        alpha=options.alpha,
        scores=scored.by_task(),
        episode_s=scored.episode_s,
        data_sha256=data.manifest_sha256,
        scales=scales,
    )
    output = options.output or folder / CALIBRATION
    if (why := calibration.why_unbounded()) and output.exists():
        raise ValueError(f"{why}; {output}, which is there, stays as it is")
    save_calibration(output, calibration)
    report = {
        "checkpoint": card.sha256,
        "data": data.manifest_sha256,
        "episodes": len(scored.score),
        "failed": int(scored.failed.sum()),
        "behaviors": options.behaviors or sorted(set(scored.behavior.tolist())),
        "alpha": options.alpha,
        "candidates": options.candidates,
        "factor": rounded(calibration.factor(), 4),
        "scales": asdict(scales),
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if why:
        report["why_unbounded"] = why
    elif test:
        tested = score_episodes(model, scales, test, options.candidates)
        report |= realised(calibration, tested, options.behaviors)
    print(
        json.dumps(report, indent=1, allow_nan=False)
        if options.json
        else f"{calibration_table(report)}\ncalibration is in {output}"
    )


def camera_of(
    data: Path, frame_id: str | None, size: Sequence[int] | None
) -> tuple[str, tuple[int, int]]:
    """frame_id, and width and height, of what episodes were seen with: as their bags say, if they
    came from bags, else as given, else those of the simulated arm.

    Raises ValueError if the bags are of several cameras, or of another one than is given.
    """
    seen = {(c["frame_id"], c["width"], c["height"]) for c in ConversionLog(data).cameras()}
    if len(seen) > 1:
        raise ValueError(f"{data} is of several cameras, {sorted(seen)}; calibrate each by itself")
    for name, width, height in seen:
        if frame_id not in (None, name) or tuple(size or (width, height)) != (width, height):
            raise ValueError(
                f"the bags of {data} have images of {width} x {height} from {name!r}; leave "
                "--camera and --image-size out, or calibrate with images of the camera that runs"
            )
        return name, (width, height)
    width, height = size or SIMULATED[1:]
    return frame_id or SIMULATED[0], (width, height)


def must_be_others(used: Sequence[tuple[str, str | None]], made: dict) -> None:
    """Raise ValueError if splits overlap, or if a checkpoint has learnt from one of them.

    used: hash of the manifest and split, None for all, of the episodes that calibrate, that it is
    tried on, and that the scales are measured on. made: what the checkpoint's card says of its
    training.
    """
    for (one, a), (other, b) in combinations(used, 2):
        if one == other and (a == b or None in (a, b)):
            raise ValueError(
                "what calibrates cannot be what it is tried on, or what the scales are measured "
                "on; name other splits with --split, --test-split and --scales-split"
            )
    learnt_from = (made.get("replay") or {}).get("manifest_sha256")
    if "episodes_sha256" not in made:  # else these are left out one by one
        learnt_from = made.get("manifest_sha256")
    if any(manifest == learnt_from and split in (None, "train") for manifest, split in used):
        raise ValueError(
            "a model is surer of the episodes that it has learnt from, those of split 'train'; "
            "calibrate with others"
        )
