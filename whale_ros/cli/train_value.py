"""`whale train-value`: how far a scene is from a goal picture, learned from episodes."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train-value",
        help="learn to read how many steps are left until a goal picture; for the planner",
    )
    parser.add_argument("data", type=Path, help="folder of episodes, some of which succeed")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--split", default="train", help="of the episodes to learn from")
    parser.add_argument("--test-split", default="validation", help="of those it is tried on")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    import torch

    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.training.value import rank_correlation, train_value
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint
    from whale_ros.world_model.value import FILE, save_value

    torch.set_num_threads(1)
    folder = options.checkpoint or SHIPPED
    model, card = load_checkpoint(folder)
    data, test = (EpisodeSet(options.data, name) for name in (options.split, options.test_split))
    for episodes in (data, test):
        episodes.must_fit(card.config, card.action_space)
    value = train_value(model, data, options.seed)
    correlation = rank_correlation(model, value, test)
    save_value(
        folder,
        value,
        card,
        {
            "manifest_sha256": data.manifest_sha256,
            "split": options.split,
            "seed": options.seed,
            "rank_correlation": round(correlation, 4),
        },
    )
    print(
        f"rank correlation with the steps left, in {options.test_split} episodes that succeed: "
        f"{correlation:.3f}; the value is in {folder / FILE}"
    )
