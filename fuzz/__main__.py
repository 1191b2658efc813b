"""Fuzz each target for a while and print what came of it: python -m fuzz --seconds 60 [TARGET ...]

What was found to reach new code stays in the output folder, and the next run begins with it. Each
crash is a file there too: `python -m fuzz.one TARGET FILE` tries it again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import TARGETS
from whale_ros.faults.report import processor

SLOWEST_S = 60


@dataclass(frozen=True)
class Outcome:
    target: str
    executions: int
    seconds: int
    began: int  # edges of the code that the first inputs reach
    reached: int
    kept: int  # inputs
    crashes: list[Path]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("fuzz_output"))
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown targets {sorted(unknown)}; known: {', '.join(TARGETS)}")
    outcomes = []
    for target in options.targets:
        outcomes.append(fuzz(target, options.output / target, options.seconds, options.seed))
        print(f"{target}: {outcomes[-1].executions} executions", flush=True)
    print(f"\nOn {processor()}, seed {options.seed}:\n\n{table(outcomes)}")
    for outcome in outcomes:
        for crash in outcome.crashes:
            print(f"CRASH: python -m fuzz.one {outcome.target} {crash}")
    sys.exit(any(outcome.crashes for outcome in outcomes))


def fuzz(target: str, folder: Path, seconds: int, seed: int) -> Outcome:
    """Raises SystemExit if it did not run at all."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    before = set(_crashes(folder))
    command = [sys.executable, "-m", "fuzz.one", target, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-seed={seed}"]
    command += [f"-timeout={SLOWEST_S}", "-rss_limit_mb=4096", "-print_final_stats=1"]
    command += [f"-artifact_prefix={folder}/", "-close_fd_mask=2"]  # libraries print too much
    environment = os.environ | {"OPENCV_LOG_LEVEL": "SILENT", "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w+") as log:
        subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
        log.seek(0)
        said = log.read()
    numbers = re.findall(r"^#(\d+)\t.* cov: (\d+) .* corp: (\d+)/", said, re.MULTILINE)
    if not numbers:
        sys.exit(f"{target} did not run, see {folder / 'log.txt'}:\n{said[-2000:]}")
    took = re.findall(r"^Done \d+ runs in (\d+) second", said, re.MULTILINE)
    return Outcome(
        target,
        int(numbers[-1][0]),
        int(took[0]) if took else seconds,
        int(numbers[0][1]),
        int(numbers[-1][1]),
        int(numbers[-1][2]),
        sorted(set(_crashes(folder)) - before),
    )


def _crashes(folder: Path) -> list[Path]:
    return [path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]


def table(outcomes: list[Outcome]) -> str:
    """Markdown."""
    head = "| target | executions | seconds | edges reached: at first, at last | inputs | crashes |"
    rows = [
        f"| {o.target} | {o.executions:,} | {o.seconds} | {o.began:,}, {o.reached:,} | {o.kept} "
        f"| {len(o.crashes)} |"
        for o in outcomes
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


if __name__ == "__main__":
    main()
