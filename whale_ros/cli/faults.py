"""`whale faults`: try faults on the gate, and see what comes of them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whale_ros.faults.elsewhere import ELSEWHERE


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("faults", help="try faults on the gate, judged by an oracle")
    parser.add_argument("--output", type=Path, default=Path("fault_output"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--core", type=int, default=10_000, metavar="N", help="faults in simulated time; 0: none"
    )
    parser.add_argument(
        "--system",
        type=int,
        default=11,
        metavar="N",
        help="rounds of all faults on the running system; 0: none",
    )
    parser.add_argument(
        "--combined",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="for so long pairs and triples are tried, on each of the two; 0: none",
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the rounds of a run that was cut off"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    """Each part is written as soon as it is known, the system's after each round."""
    options.output.mkdir(parents=True, exist_ok=True)
    report = _Report(options)
    if options.core:
        report.time("core", lambda: _try_core(report))
        if options.combined:
            report.time("core, several at once", lambda: _try_core_combined(report))
    if options.system:
        report.time("system", lambda: _try_system(report))
        if options.combined:
            report.time("system, several at once", lambda: _try_system_combined(report))
    report.close()


class _Report:
    """Of all parts until now."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.parts: dict[str, dict[str, Any]] = {}
        self._about: dict[str, Any] = {}

    def time(self, name: str, try_part: Callable[[], None]) -> None:
        """Try it, and print what came of it; what was tried until an interrupt counts."""
        self._name, self._began = name, time.monotonic()
        self._load = os.getloadavg()[0]
        with contextlib.suppress(KeyboardInterrupt):
            try_part()
        if name in self.parts:
            print(f"\n{self._text(name)}\n")

    def keep(self, part: dict[str, Any]) -> None:
        from whale_ros.faults.report import write

        about = {"seed": self.options.seed, "seconds": round(time.monotonic() - self._began, 1)}
        about["load_average"] = [self._load, os.getloadavg()[0]]
        self.parts[self._name] = part | about
        elsewhere = {"not injected": [asdict(each) for each in ELSEWHERE]}
        write(self.options.output / "faults.json", self.parts | elsewhere)
        texts = [self._text(name) for name in self.parts]
        (self.options.output / "faults.md").write_text("\n\n".join(texts) + "\n")

    def _text(self, name: str) -> str:
        from whale_ros.faults.report import table

        skipped = [
            f"Not tried: {n}, {why}" for n, why in self.parts[name].get("skipped", {}).items()
        ]
        return "\n\n".join([f"## {name}", table(self.parts[name]["rows"]), *skipped])

    def close(self) -> None:
        missed = []
        for name, part in self.parts.items():
            print(
                f"{name}: {part['injections']} faults, {part['unsafe_commands']} unsafe commands, "
                f"{part['motions_after_latch']} motions after a latch"
            )
            missed += [f"{name}: {line}" for line in part["missed"]]
        for each in ELSEWHERE:
            print(f"not injected: row {each.row}, {each.fault}: {each.why}")
        print(f"faults.json and faults.md are in {self.options.output}/")
        if missed:
            sys.exit("whale faults: " + "; ".join(missed))


def _try_core(report: _Report) -> None:
    from tqdm import tqdm

    from whale_ros.faults.catalogue import FAULTS
    from whale_ros.faults.report import part
    from whale_ros.faults.trial import trials

    count, tried = report.options.core, []
    try:
        all_trials = trials(count, report.options.seed)
        for trial in tqdm(all_trials, "core", count, unit="fault", mininterval=0.5):
            tried.append(trial)
    finally:
        report.keep(part(FAULTS, tried))


def _try_core_combined(report: _Report) -> None:
    from tqdm import tqdm

    from whale_ros.faults.report import combined_part
    from whale_ros.faults.trial import combinations

    tried, end = [], time.monotonic() + report.options.combined
    try:
        for each in tqdm(combinations(report.options.seed), "core, several at once", unit="trial"):
            tried.append(each)
            if time.monotonic() > end:
                break
    finally:
        report.keep(combined_part(tried))


def _try_system(report: _Report) -> None:
    from tqdm import tqdm

    from whale_ros.faults.report import part
    from whale_ros.faults.trial import read_trial
    from whale_ros.nodes.fault_processes import NotRunning
    from whale_ros.nodes.fault_run import PHASES, available, try_round
    from whale_ros.nodes.processes import isolate

    isolate()
    options = report.options
    phases, skipped = available(PHASES)
    faults = [fault for phase in phases for fault in phase.faults]
    kept = options.output / "trials.jsonl"
    if not options.resume:
        kept.unlink(missing_ok=True)
    lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(line["phase"], line["round"]) for line in lines}
    not_running: list[str] = []
    tried = [read_trial(line["trial"]) for line in lines]
    rounds = [
        (number, phase)
        for number in range(options.system)
        for phase in phases
        if number % phase.every == 0
    ]
    total = sum(len(phase.faults) for _, phase in rounds)
    bar = tqdm(total=total, initial=len(tried), desc="system", unit="fault")

    def tell(name: str) -> None:
        bar.set_postfix_str(name, refresh=False)
        bar.update()

    with bar, kept.open("a", buffering=1) as file:
        for number, phase in rounds:
            if (phase.name, number) in done:
                continue
            new = []
            folder = options.output / "system" / f"{phase.name}{number}"
            try:
                for trial in try_round(phase, folder, options.seed + 100 * number, tell):
                    new.append(trial)
            except NotRunning as error:
                not_running.append(f"{phase.name}, round {number}: {error}")
            for trial in new:
                line = {"phase": phase.name, "round": number, "trial": asdict(trial)}
                file.write(json.dumps(line) + "\n")
            tried += new
            part_now = part(faults, tried, skipped=skipped)
            report.keep(part_now | {"missed": part_now["missed"] + not_running})


def _try_system_combined(report: _Report) -> None:
    from tqdm import tqdm

    from whale_ros.faults.report import combined_part
    from whale_ros.nodes.fault_processes import NotRunning
    from whale_ros.nodes.fault_run import try_together
    from whale_ros.nodes.processes import isolate

    isolate()
    options, tried = report.options, []
    folder = options.output / "system" / "together"
    with tqdm(desc="system, several at once", unit="trial") as bar:
        try:
            for each in try_together(
                folder, options.seed, options.combined, lambda _: bar.update()
            ):
                tried.append(each)
        except NotRunning as error:
            sys.exit(f"whale faults: {error}")
        finally:
            report.keep(combined_part(tried))
