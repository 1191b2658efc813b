"""`whale lerobot`: episodes from LeRobot datasets, and LeRobot datasets from episodes."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    lerobot = commands.add_parser("lerobot", help="import and export LeRobot datasets (v3.0)")
    ways = lerobot.add_subparsers(required=True, metavar="WAY")
    parser = ways.add_parser("import", help="episodes from a LeRobot dataset")
    parser.add_argument("dataset", type=Path, help="folder of the LeRobot dataset, with its meta")
    parser.add_argument("data", type=Path, help="folder for the episodes; adds to those in it")
    parser.add_argument(
        "--mapping", metavar="NAME",
        help="what the columns mean: one of config/lerobot, or the path of a file like those; not "
        "needed for what was exported here",
    )  # fmt: skip
    parser.add_argument("--camera", metavar="KEY", help="another than the mapping names")
    parser.add_argument(
        "--checkpoint", type=Path,
        help="folder of the model to train further, whose step, limits and resolution the "
        "episodes get; default: the shipped one",
    )  # fmt: skip
    parser.add_argument("--resolution", type=int, help="of another model, in pixels")
    parser.set_defaults(command=run_import)
    parser = ways.add_parser("export", help="a LeRobot dataset from episodes")
    parser.add_argument("data", type=Path, help="folder of episodes, as made by `whale collect`")
    parser.add_argument("dataset", type=Path, help="folder to write, which must not be there yet")
    parser.set_defaults(command=run_export)


def run_import(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from whale_ros.data.lerobot.importing import import_dataset
    from whale_ros.data.lerobot.mapping import load_mapping
    from whale_ros.training.record import work_alone
    from whale_ros.world_model.checkpoint import SHIPPED, read_card

    mapping = load_mapping(options.mapping) if options.mapping else None
    if mapping is not None and options.camera:
        mapping = replace(mapping, camera=options.camera)
    card = read_card(options.checkpoint or SHIPPED)
    with work_alone(options.data):
        report = import_dataset(
            options.dataset,
            options.data,
            mapping,
            card.action_space,
            options.resolution or card.config.tokenizer.resolution,
        )
    for reason in report.left_out:
        print(f"left out: {reason}")
    print(
        f"{len(report.episodes)} episodes with actions of the space {report.space.signature} and "
        f"their manifest are in {options.data}"
    )
    if report.space.type != card.action_space.type:
        print(
            f"actions of type {report.space.type!r} can be learnt from in a training of their own; "
            "they drive no arm"
        )


def run_export(options: argparse.Namespace) -> None:
    from whale_ros.data.lerobot.exporting import export_dataset

    count = export_dataset(options.data, options.dataset)
    print(f"{count} episodes are in the LeRobot dataset {options.dataset}")
