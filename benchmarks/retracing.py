#!/usr/bin/env python3
"""What retracing costs: a plain rollout against the same with all four retracings of its end.

    source scripts/env.sh
    python benchmarks/retracing.py
    python benchmarks/retracing.py --json

One thread, random weights (speed does not depend on them), no gripper switch, so that every k takes
part. Both are run in turns in one process; medians of time on the clock, and of CPU time, which is
what counts where other work has the cores. Plain means start, fork and imagine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch

from benchmarks.imagination import _inputs, _random_model, _start
from whale_ros.evaluation.hardware import hardware
from whale_ros.imagination.retracing import K, retrace
from whale_ros.imagination.rollout import imagine
from whale_ros.memory import keep_freed_memory


@torch.inference_mode()
def measure(options: argparse.Namespace) -> dict:
    """Median seconds of both, and how many times as long the one with retracing takes."""
    model = _random_model(options.size, "cpu")
    latents, past, actions = _inputs(model, options.context, options.horizon, options.candidates)
    index = torch.zeros(options.candidates, dtype=torch.long)
    held = model.dynamics.no_behavior.unsqueeze(0) if options.hold_behavior else None

    def plain():
        return imagine(model, _start(model, latents, past, index, held), actions, past[index])

    def retraced():
        retracing = retrace(model, plain(), (options.horizon - 1,))
        if not retracing.took_part[:, -1].all():
            raise ValueError(f"the past is too short for all k of {K}: raise --context")

    wall: dict[str, list[float]] = {"plain": [], "retraced": []}
    cpu: dict[str, list[float]] = {"plain": [], "retraced": []}
    for turn in range(options.turns + 1):
        for name, work in (("plain", plain), ("retraced", retraced)):
            seconds = _timed(work)
            if turn:  # the first one warms up
                wall[name].append(seconds[0])
                cpu[name].append(seconds[1])
    wall_s, cpu_s = (
        {name: sorted(values)[len(values) // 2] for name, values in times.items()}
        for times in (wall, cpu)
    )
    return {
        "ratio": round(wall_s["retraced"] / wall_s["plain"], 3),
        "ratio_of_cpu_time": round(cpu_s["retraced"] / cpu_s["plain"], 3),
        "seconds": {name: round(value, 4) for name, value in wall_s.items()},
        "cpu_seconds": {name: round(value, 4) for name, value in cpu_s.items()},
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of CPU."""
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - began_cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--context", type=int, default=6, help="observed frames")
    parser.add_argument("--horizon", type=int, default=8, help="imagined frames")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument(
        "--hold-behavior", action="store_true", help="do not infer z after imagined frames"
    )
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    report = {
        "hardware": hardware(),
        "device": "CPU, one thread",
        "torch": torch.__version__,
        "k": K,
        **settings,
        **measure(options),
    }
    print(json.dumps(report, indent=1) if options.json else _table(report))


def _table(report: dict) -> str:
    seconds, cpu = report["seconds"], report["cpu_seconds"]
    return "\n".join(
        [
            f"{report['hardware']}, {report['device']}, torch {report['torch']}",
            f"{report['size']}: {report['candidates']} candidates x {report['horizon']} frames "
            f"after {report['context']}, behaviour "
            f"{'held' if report['hold_behavior'] else 'inferred after every frame'}, "
            f"median of {report['turns']} turns",
            f"{'':10}{'plain':>10}{'retraced':>10}{'ratio':>8}",
            f"{'clock':10}{seconds['plain']:9.3f}s{seconds['retraced']:9.3f}s"
            f"{report['ratio']:7.2f}x",
            f"{'CPU':10}{cpu['plain']:9.3f}s{cpu['retraced']:9.3f}s"
            f"{report['ratio_of_cpu_time']:7.2f}x",
        ]
    )


if __name__ == "__main__":
    main()
