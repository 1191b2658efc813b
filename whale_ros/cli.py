"""`whale`: what a person runs by hand. Each command prints what it does and where it writes."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # before anything imports mujoco


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="whale", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    collect = commands.add_parser("collect", help="record episodes from the simulated arm")
    collect.add_argument("data", type=Path, help="folder for the episodes")
    collect.add_argument("--episodes", type=int, default=1500, help="for training")
    collect.add_argument("--validation-episodes", type=int, default=90)
    collect.add_argument("--steps", type=int, default=28, help="actions in an episode")
    collect.add_argument("--workers", type=int, default=os.cpu_count())
    collect.set_defaults(command=_collect)

    train = commands.add_parser("train", help="train a world model; resumes where it was stopped")
    train.add_argument("data", type=Path, help="folder made by `whale collect`")
    train.add_argument("run", type=Path, help="folder for progress and the finished checkpoint")
    train.add_argument("--tokenizer-steps", type=int, default=3500)
    train.add_argument("--dynamics-steps", type=int, default=4500)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--threads", type=int, default=1, help="of torch")
    train.set_defaults(command=_train)

    evaluate = commands.add_parser("evaluate", help="measure a checkpoint on held-out episodes")
    evaluate.add_argument("what", choices=["prediction"])
    evaluate.add_argument("data", type=Path, help="folder made by `whale collect`")
    evaluate.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    evaluate.add_argument("--json", action="store_true", help="print numbers for programs")
    evaluate.set_defaults(command=_evaluate)

    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, OSError) as error:
        sys.exit(f"whale: {error}")


def _collect(options: argparse.Namespace) -> None:
    from whale_ros.actions.space import ActionSpace
    from whale_ros.sim.collect import collect
    from whale_ros.world_model.config import TokenizerConfig

    collect(
        options.data,
        options.episodes,
        options.validation_episodes,
        options.steps,
        TokenizerConfig().resolution,
        options.workers,
        ActionSpace(),
    )
    print(f"episodes and their manifest are in {options.data}")


def _train(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.data.episodes import manifest_hash
    from whale_ros.evaluation.prediction import evaluate_prediction
    from whale_ros.evaluation.thresholds import measure_thresholds
    from whale_ros.sim.camera import DESCRIPTION
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.training.loop import Schedule
    from whale_ros.training.pretrain import pretrain
    from whale_ros.world_model.checkpoint import Card, save_checkpoint
    from whale_ros.world_model.config import WhaleConfig

    torch.set_num_threads(options.threads)
    data = EpisodeSet(options.data, "train")
    model = pretrain(
        data,
        WhaleConfig(),
        options.run,
        Schedule(options.tokenizer_steps, 1e-3, seed=options.seed),
        Schedule(options.dynamics_steps, 1e-3, seed=options.seed),
    )
    held_out = EpisodeSet(options.data, "validation")
    card = Card(
        config=model.config,
        action_space=model.action_space,
        thresholds=measure_thresholds(model, held_out),
        camera=DESCRIPTION,
        training={
            "command": "whale train",
            "manifest_sha256": manifest_hash(options.data),
            "episodes": len(data),
            "tokenizer_steps": options.tokenizer_steps,
            "dynamics_steps": options.dynamics_steps,
            "seed": options.seed,
            "hardware": hardware(),
            "torch": torch.__version__,
        },
        metrics=evaluate_prediction(model, held_out),
    )
    card = save_checkpoint(options.run / "checkpoint", model, card)
    print(_prediction_table(card.metrics))
    print(f"checkpoint {card.sha256[:12]} is in {options.run / 'checkpoint'}")


def _evaluate(options: argparse.Namespace) -> None:
    import torch

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
    print(json.dumps(report, indent=1) if options.json else _prediction_table(report))


def _prediction_table(report: dict) -> str:
    lines = [f"{report['windows']} windows of {report['episodes']} held-out episodes"]
    for metric in ("psnr_db", "moving_pixels_psnr_db"):
        steps = list(report[metric]["model"])
        lines += ["", f"{metric:24}" + "".join(f"step {step:>3}  " for step in steps)]
        for name, values in report[metric].items():
            lines.append(f"  {name:22}" + "".join(f"{values[step]:8.2f}  " for step in steps))
    return "\n".join(lines)


def hardware() -> str:
    """Processor and cores, for reports."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
