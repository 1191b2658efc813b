"""`whale evaluate`: measure checkpoints on held-out episodes."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from whale_ros.evaluation.tables import behavior_table, prediction_table

BEHAVIOR_SPLITS = ("validation", "held_out_behaviors", "held_out_tasks")


def add(commands: argparse._SubParsersAction) -> None:
    evaluate = commands.add_parser("evaluate", help="measure checkpoints on held-out episodes")
    questions = evaluate.add_subparsers(required=True, metavar="WHAT")
    parser = questions.add_parser("prediction", help="how well frames are foretold")
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--split", default="validation", help="of the episodes")
    parser.add_argument("--lpips", type=Path, help="folder with the weights of AlexNet and LPIPS")
    _add_output(parser)
    parser.set_defaults(command=prediction)
    parser = questions.add_parser("behavior", help="whether knowing the behaviour helps")
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        help="folder; several, trained alike but for the seed, tell how sure the answer is",
    )
    _add_output(parser)
    parser.set_defaults(command=behavior)
    parser = questions.add_parser("uncertainty", help="whether bad predictions are told from good")
    parser.add_argument("data", type=Path, help="folder that the checkpoint was trained on")
    parser.add_argument("study", type=Path, help="folder made by `whale collect --for study`")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument(
        "--member",
        type=Path,
        action="append",
        help="checkpoint of another training seed with the same tokenizer; several make up the "
        "ensemble that retracing is compared with",
    )
    parser.add_argument("--lpips", type=Path, help="folder with the weights of AlexNet and LPIPS")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.add_argument(
        "--output", type=Path, default=Path("uncertainty_report"), help="folder for the report"
    )
    parser.set_defaults(command=uncertainty)
    parser = questions.add_parser("alarms", help="what a calibration stops, and what it misses")
    parser.add_argument("data", type=Path, help="folder, such as `whale collect --for study` makes")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--calibration", type=Path, help="file; default: that in the folder")
    parser.add_argument("--split", nargs="+", metavar="NAME", help="of the episodes; default: all")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.set_defaults(command=alarms)
    parser = questions.add_parser("finetuning", help="what few demonstrations of another robot do")
    parser.add_argument("data", type=Path, help="folder made by `whale collect --robot bench`")
    parser.add_argument("old", type=Path, help="folder that the base was trained on")
    parser.add_argument("--base", type=Path, help="checkpoint's folder; default: the shipped one")
    parser.add_argument(
        "--method",
        nargs="+",
        default=["real", "copy", "base", "finetuned", "scratch"],
        choices=["real", "copy", "base", "finetuned", "scratch"],
        help="what is measured now; the report is of all that is there",
    )
    parser.add_argument(
        "--demonstrations", type=int, nargs="+", default=[20, 10, 5], metavar="N",
        help="to learn from, in this order (default 20 10 5)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3, help="each with other demonstrations")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("finetuning_report"),
        help="folder for the report; goes on with what is there",
    )
    parser.set_defaults(command=finetuning)
    parser = questions.add_parser("planner", help="what planning is worth to a policy, simulated")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--calibration", type=Path, help="file; default: that in the folder")
    parser.add_argument(
        "--method",
        nargs="+",
        default=["alone", "policy", "cem", "mppi"],
        choices=["alone", "policy", "value", "cem", "mppi"],
        help="the policy alone, the planner around it by goal image or learned value, or searches "
        "without it",
    )
    parser.add_argument("--behavior", default="noisy", help="of the policy (default noisy)")
    parser.add_argument("--episodes", type=int, default=30, help="of each task and method")
    _add_output(parser)
    parser.set_defaults(command=planner)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")


def prediction(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.lpips import load_lpips
    from whale_ros.evaluation.position_probe import train_position_probe
    from whale_ros.evaluation.prediction import evaluate_prediction
    from whale_ros.evaluation.prediction_pictures import draw_psnr, draw_windows
    from whale_ros.evaluation.provenance import describe_data
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, card = load_checkpoint(options.checkpoint or SHIPPED)
    lpips = load_lpips(options.lpips).to(device) if options.lpips else None
    data = EpisodeSet(options.data, options.split)
    data.must_fit(card.config, card.action_space)
    train = EpisodeSet(options.data, "train")
    probe = train_position_probe(train, train.hand_position, device)
    report = evaluate_prediction(model.to(device), data, probe=probe, lpips=lpips)
    report |= {
        "checkpoint": card.sha256,
        "data": describe_data(data, [card]),
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        draw_windows(model, data, options.pictures)
        draw_psnr(report, options.pictures / "psnr.png")
    print(
        json.dumps(report, indent=1, allow_nan=False) if options.json else prediction_table(report)
    )


def behavior(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.behavior import evaluate_behavior
    from whale_ros.evaluation.behavior_pictures import draw_z
    from whale_ros.evaluation.behavior_probe import probe_behavior
    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.provenance import describe_data, must_differ_in_seed_only
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.training.pretrain import SEQUENCE
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folders = options.checkpoint or [SHIPPED]
    loaded = [load_checkpoint(folder) for folder in folders]
    models = [model.to(device) for model, _ in loaded]
    cards = [card for _, card in loaded]
    must_differ_in_seed_only(list(zip(folders, cards, strict=True)))
    splits = {name: EpisodeSet(options.data, name) for name in BEHAVIOR_SPLITS}
    for card in cards:
        splits["validation"].must_fit(card.config, card.action_space)
    train = EpisodeSet(options.data, "train")
    report = {
        "checkpoints": [card.sha256 for card in cards],
        "data": describe_data(splits["validation"], cards),
        "splits": [evaluate_behavior(models, data) for data in splits.values()],
        "probed_frames": SEQUENCE,
        "told_from_z": [probe_behavior(m, train, splits["validation"]) for m in models],
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        shown = [splits["validation"], splits["held_out_behaviors"]]
        for number, model in enumerate(models):
            draw_z(model, shown, options.pictures / f"z_{number}.png")
    print(json.dumps(report, indent=1, allow_nan=False) if options.json else behavior_table(report))


def uncertainty(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.uncertainty.report import table
    from whale_ros.evaluation.uncertainty.study import PAGE, study
    from whale_ros.world_model.checkpoint import SHIPPED

    torch.set_num_threads(1)
    summary = study(
        options.data,
        options.study,
        options.checkpoint or SHIPPED,
        options.member or [],
        options.output,
        options.lpips,
    )
    print(json.dumps(summary, indent=1, allow_nan=False) if options.json else table(summary))
    print(f"open {options.output / PAGE} in a browser", file=sys.stderr)


def alarms(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.data.episodes import read_manifest
    from whale_ros.evaluation.alarms import alarms, must_be_of, table
    from whale_ros.evaluation.calibration import score_episodes
    from whale_ros.evaluation.hardware import hardware
    from whale_ros.imagination.calibration import CALIBRATION, load_calibration
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(1)
    folder = options.checkpoint or SHIPPED
    model, card = load_checkpoint(folder)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    calibration = load_calibration(options.calibration or folder / CALIBRATION)
    must_be_of(card, calibration)
    splits = options.split or dict.fromkeys(i.split for i in read_manifest(options.data)[1])
    sets = {split: EpisodeSet(options.data, split) for split in splits}
    for episodes in sets.values():
        episodes.must_fit(card.config, card.action_space)
    scales, factor = calibration.scales, calibration.factor()
    report = {
        "checkpoint": card.sha256,
        "limits": {name: factor * scale for name, scale in asdict(scales).items()},
        "conditions": {
            split: alarms(
                calibration,
                score_episodes(model, scales, episodes, calibration.conditions.candidates),
            )
            for split, episodes in sets.items()
        },
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    print(json.dumps(report, indent=1, allow_nan=False) if options.json else table(report))


def finetuning(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.finetuning.study import study
    from whale_ros.evaluation.finetuning.summary import table
    from whale_ros.world_model.checkpoint import SHIPPED

    torch.set_num_threads(1)
    base = options.base or SHIPPED
    counts, methods = options.demonstrations, options.method
    summary = study(options.data, options.old, base, options.output, methods, counts, options.seeds)
    print(json.dumps(summary, indent=1, allow_nan=False) if options.json else table(summary))


def planner(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.evaluation.hardware import hardware
    from whale_ros.evaluation.planner_study import FIRST_SEED, draw, study, summarise, table
    from whale_ros.imagination.loaded import load
    from whale_ros.sim.arm import TASKS

    torch.set_num_threads(1)
    size = (128, 128)  # of the simulated camera, as in config/robots/sim.yaml
    checkpoint, calibration = (
        str(path or "") for path in (options.checkpoint, options.calibration)
    )
    loaded = load(checkpoint, calibration, "", False, size, "auto")
    if why := loaded.trust.why_not():
        raise ValueError(why)
    outcomes = study(loaded, options.method, options.behavior, TASKS, options.episodes)
    rows = summarise(outcomes)
    if options.pictures:
        draw(outcomes, options.pictures / "planner.png")
    report = {
        "checkpoint": loaded.card.sha256,
        "behavior": options.behavior,
        "first_seed": FIRST_SEED,
        "rows": rows,
        "hardware": hardware(),
    }
    print(json.dumps(report, indent=1) if options.json else table(rows))
