"""`whale faults`: try faults on the gate, and see what comes of them."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any


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
        default=6,
        metavar="N",
        help="how often each fault is tried on the running system; 0: none",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from whale_ros.faults.report import write

    options.output.mkdir(parents=True, exist_ok=True)
    parts, texts = {}, []
    for name, count, try_part in (
        ("core", options.core, _try_core),
        ("system", options.system, _try_system),
    ):
        if not count:
            continue
        load, began = os.getloadavg()[0], time.monotonic()
        part, text = try_part(count, options)
        seconds = round(time.monotonic() - began, 1)
        loads = [load, os.getloadavg()[0]]
        parts[name] = part | {"seed": options.seed, "seconds": seconds, "load_average": loads}
        texts.append(f"## {name}\n\n{text}\n")
        print(f"\n{text}\n")
        write(options.output / "faults.json", parts)  # also if the next part is interrupted
        (options.output / "faults.md").write_text("\n".join(texts))
    missed = []
    for name, part in parts.items():
        print(f"{name}: {part['injections']} faults, {part['unsafe_commands']} unsafe commands")
        missed += part["missed"]
    print(f"faults.json and faults.md are in {options.output}/")
    if missed:
        sys.exit("whale faults: " + "; ".join(missed))


def _try_core(count: int, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from tqdm import tqdm

    from whale_ros.faults import report
    from whale_ros.faults.catalogue import FAULTS
    from whale_ros.faults.trial import trials

    tried = []
    with contextlib.suppress(KeyboardInterrupt):  # what was tried until then counts
        for trial in tqdm(
            trials(count, options.seed), "core", count, unit="fault", mininterval=0.5
        ):
            tried.append(trial)
    return report.part(FAULTS, tried), report.table(report.rows(FAULTS, tried))


def _try_system(repeats: int, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from tqdm import tqdm

    from whale_ros.faults import report
    from whale_ros.faults.judge import SYSTEM_LIMITS, judge, read_events
    from whale_ros.nodes.fault_catalogue import PHASES
    from whale_ros.nodes.fault_system import NotRunning, System, try_faults
    from whale_ros.nodes.processes import isolate

    isolate()
    tried = []
    all_faults = [fault for faults in PHASES.values() for fault in faults]
    with tqdm(total=repeats * len(all_faults), desc="system", unit="fault") as bar:
        for name, faults in PHASES.items():
            folder = options.output / "system" / name
            system = System(folder, options.seed, estop=name == "estop")
            try:
                system.start()
                for fault in try_faults(system, faults, repeats):
                    bar.set_postfix_str(fault, refresh=False)
                    bar.update()
            except NotRunning as error:
                sys.exit(f"whale faults: {error}")
            finally:
                system.close()
            tried += list(judge(read_events(folder / "events"), SYSTEM_LIMITS))
    return report.part(all_faults, tried), report.table(report.rows(all_faults, tried))
