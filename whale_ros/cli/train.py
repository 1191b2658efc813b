"""`whale train`: a world model from a folder of episodes."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="train a world model; resumes where it was stopped")
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument("run", type=Path, help="folder for progress and the finished checkpoint")
    parser.add_argument("--tokenizer-steps", type=int, default=3500)
    parser.add_argument("--dynamics-steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.cli.evaluate import prediction_table
    from whale_ros.data.episodes import manifest_hash
    from whale_ros.evaluation.hardware import hardware
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
    print(prediction_table(card.metrics))
    print(f"checkpoint {card.sha256[:12]} is in {options.run / 'checkpoint'}")
