"""`whale`: what a person runs by hand. Each command prints what it does and where it writes."""

from __future__ import annotations

import argparse
import os
import sys

from whale_ros.cli import (
    calibrate,
    collect,
    convert,
    evaluate,
    faults,
    finetune,
    lerobot,
    models,
    optimize,
    record,
    train,
    train_value,
)
from whale_ros.memory import keep_freed_memory

os.environ.setdefault("MUJOCO_GL", "egl")  # before anything imports mujoco


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="whale", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (
        collect, record, convert, lerobot, train, train_value, finetune, calibrate, evaluate,
        optimize, models, faults,
    ):  # fmt: skip
        module.add(commands)
    options = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        options.command(options)
    except (ValueError, OSError) as error:
        sys.exit(f"whale: {error}")
