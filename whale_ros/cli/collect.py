"""`whale collect`: record episodes from the simulated arm."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

STEPS = 32


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("collect", help="record episodes from the simulated arm")
    parser.add_argument("data", type=Path, help="folder for the episodes")
    parser.add_argument(
        "--robot", choices=("sawyer", "bench"), default="sawyer", help="the arm and its scene"
    )
    parser.add_argument(
        "--for",
        dest="purpose",
        choices=("training", "calibration", "study"),
        default="training",
        help="what the episodes are for: to train and validate a model, to calibrate its alarms, "
        "or to study its uncertainty where something is different",
    )
    parser.add_argument(
        "--episodes", type=int, default=1500, help="of the first split (train, or nominal ones)"
    )
    parser.add_argument(
        "--held-out-episodes", type=int, default=90, help="of every split that is not the first"
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="actions in an episode")
    parser.add_argument(
        "--resolution", type=int, default=64, help="of the model to train; the camera has 128"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from whale_ros.actions.space import ActionSpace
    from whale_ros.sim.collect import collect

    collect(
        options.data,
        options.episodes,
        options.held_out_episodes,
        options.steps,
        options.resolution,
        options.workers,
        ActionSpace(),
        options.purpose,
        options.robot,
    )
    print(f"episodes and their manifest are in {options.data}")
