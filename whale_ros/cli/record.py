"""`whale record`: demonstrations of a robot into bags, by keyboard."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "record", help="record demonstrations of a robot into bags, by keyboard"
    )
    parser.add_argument("folder", type=Path, help="for the episodes; new ones come after the last")
    parser.add_argument(
        "--robot", required=True, help="a name in config/robots, or the path of a YAML file"
    )
    parser.add_argument("--task", default="", help="what is demonstrated, stored with each episode")
    parser.add_argument(
        "--params-file", type=Path, action="append", default=[], metavar="FILE",
        help="parameters of the recorder, over those of the robot and of config/recorder.yaml",
    )  # fmt: skip
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from whale_ros.shipped import config_files

    shipped = {file.stem: file for file in config_files("robots")}
    robot = shipped.get(options.robot, Path(options.robot))
    if not robot.is_file():
        raise ValueError(f"--robot {options.robot!r} is no file, and none of {sorted(shipped)}")
    if not sys.stdin.isatty():
        raise ValueError(
            "`whale record` needs a terminal for its keys; scripts start `demo_recorder` "
            "and call its services, see docs/recording.md"
        )
    from whale_ros.nodes.recorder_keyboard import RecorderStopped, record  # only now needs ROS

    recorder = shipped["sim"].parents[1] / "recorder.yaml"
    parameters = []
    for file in (recorder, robot, *options.params_file):
        parameters += ["--params-file", str(file)]
    for name, value in (
        ("folder", options.folder.absolute()), ("robot", robot.stem), ("task", options.task)
    ):  # fmt: skip
        parameters += ["-p", f"{name}:={json.dumps(str(value))}"]
    try:
        record(parameters, options.folder / "recorder.log")
    except RecorderStopped as error:
        raise ValueError(str(error)) from error
