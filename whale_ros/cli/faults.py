"""`whale faults`: try the gate on faults, and see what it does."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("faults", help="try faults on the gate, judged by an oracle")
    parser.add_argument("--output", type=Path, default=Path("fault_output"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--core", type=int, default=10_000, metavar="N", help="injections in simulated time"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from whale_ros.faults import report
    from whale_ros.faults.catalogue import FAULTS
    from whale_ros.faults.trial import trials

    began = time.monotonic()
    progress = tqdm(
        trials(options.core, options.seed), "core", options.core, unit="fault", mininterval=0.5
    )
    tried = list(progress)
    core = report.part(FAULTS, tried, seed=options.seed, seconds=round(time.monotonic() - began, 1))
    path = options.output / "faults.json"
    report.write(path, {"core": core})
    text = report.table(report.rows(FAULTS, tried))
    (options.output / "core.md").write_text(text + "\n")
    print(text)
    print(f"\n{len(tried)} faults, {core['unsafe_commands']} unsafe commands; see {path}")
    if core["missed"]:
        sys.exit("whale faults: " + "; ".join(core["missed"]))
