"""`whale convert`: episodes from rosbag2 bags."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "convert", help="make episodes of recorded bags; adds to those that are there"
    )
    parser.add_argument("bags", type=Path, nargs="+", help="bags, or folders of bags")
    parser.add_argument("dataset", type=Path, help="folder for the episodes")
    parser.add_argument(
        "--robot", metavar="NAME_OR_YAML",
        help="a name in config/robots or a file like those, which tells topics and action space; "
        "default: as `whale record` wrote them down",
    )  # fmt: skip
    parser.add_argument(
        "--actions", choices=("commanded_twists", "pose_differences"),
        help="what actions are made of; default: as the recording or the robot's file says",
    )  # fmt: skip
    parser.add_argument("--resolution", type=int, default=64, help="of the model to train")
    parser.add_argument("--task", metavar="NAME", help="default: as the recording says")
    parser.add_argument(
        "--label", choices=("success", "failure"), help="of bags that nobody labelled"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from whale_ros.data.convert import Wish, convert
    from whale_ros.training.record import work_alone

    success = None if options.label is None else options.label == "success"
    if options.resolution < 1:
        raise ValueError(f"--resolution must be 1 or more, not {options.resolution}")
    wish = Wish(options.resolution, options.robot, options.actions, options.task, success)
    with work_alone(options.dataset):
        convert(options.bags, options.dataset, wish, tqdm.write)
    print(f"episodes, their manifest and pictures are in {options.dataset}")
