"""`whale train`: a world model from a folder of episodes.

On several GPUs or processes: `torchrun --nproc-per-node N --no-python whale train ...`.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="train a world model; resumes where it was stopped")
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument("run", type=Path, help="folder for progress and the finished checkpoint")
    parser.add_argument(
        "--model", default="tiny", help="a name in config/models, or the path of a YAML file"
    )
    parser.add_argument(
        "--tokenizer", type=Path, help="checkpoint's folder whose tokenizer to take, not train"
    )
    parser.add_argument("--tokenizer-steps", type=int, default=3500)
    parser.add_argument("--behavior-steps", type=int, default=1500)
    parser.add_argument("--dynamics-steps", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--device", help="as torch names it; default: a GPU if there is one")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.actions.statistics import statistics
    from whale_ros.evaluation.hardware import trained_on
    from whale_ros.evaluation.prediction import evaluate_prediction
    from whale_ros.evaluation.scales import measure_scales
    from whale_ros.evaluation.tables import prediction_table
    from whale_ros.sim.camera import DESCRIPTION
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.training.pretrain import Steps, pretrain
    from whale_ros.training.workers import join_workers
    from whale_ros.world_model.checkpoint import Card, read_card, save_checkpoint
    from whale_ros.world_model.config import WhaleConfig

    torch.set_num_threads(options.threads)
    file = Path(options.model)
    config = WhaleConfig.from_yaml(file) if file.suffix else WhaleConfig.named(options.model)
    taken = read_card(options.tokenizer).sha256 if options.tokenizer else None
    steps = Steps(
        0 if taken else options.tokenizer_steps, options.behavior_steps, options.dynamics_steps
    )
    with join_workers(options.device) as worker:
        data = EpisodeSet(options.data, "train")
        if worker.is_first:  # before the hours of training, so that its absence shows at once
            held_out = EpisodeSet(options.data, "validation")
        model = pretrain(data, config, options.run, steps, options.seed, worker, options.tokenizer)
    if not worker.is_first:
        return
    card = Card(
        config=model.config,
        action_space=model.action_space,
        scales=measure_scales(model, held_out),
        action_statistics=statistics(data.actions.flat.numpy()),
        camera=DESCRIPTION,
        training={
            "command": "whale train",
            "manifest_sha256": data.manifest_sha256,
            "episodes": len(data),
            "tokenizer_of": taken,
            "tokenizer_steps": steps.tokenizer,
            "behavior_steps": steps.behavior,
            "dynamics_steps": steps.dynamics,
            "seed": options.seed,
            "processes": worker.count,
            **trained_on(worker),
        },
        metrics=evaluate_prediction(model, held_out),
    )
    card = save_checkpoint(options.run / "checkpoint", model, card)
    print(prediction_table(card.metrics))
    print(f"checkpoint {card.sha256[:12]} is in {options.run / 'checkpoint'}")
