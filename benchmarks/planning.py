#!/usr/bin/env python3
"""How long one plan takes, stage by stage, as the running planner and world model make it.

    source scripts/env.sh
    python benchmarks/planning.py
    python benchmarks/planning.py --json

The shipped checkpoint, pictures of the simulated arm, one process and one thread, without messages:
take in an image, propose candidates, imagine and retrace them, choose. Naive is the same with one
candidate at a time. Medians of the processor's time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict

import numpy as np
import torch

from whale_ros.actions.timeline import CommandTimeline
from whale_ros.evaluation.hardware import hardware
from whale_ros.imagination.live import HISTORY, MAX_HORIZON, imagine_after
from whale_ros.imagination.loaded import load
from whale_ros.imagination.retracing import judge
from whale_ros.planning.commitment import stand_still
from whale_ros.planning.objectives import Weights
from whale_ros.planning.proposals import deviation, propose
from whale_ros.planning.screening import choose, judged_part
from whale_ros.sim.arm import SimArm

SETTLED = 4  # steps, as with a planning_latency_s of 0.8


def measure(candidates: int, turns: int, device: str) -> dict:
    """Median seconds of each stage, of a whole plan, and of a naive one."""
    arm = SimArm()
    pictures = []
    for _ in range(HISTORY):
        pictures.append(arm.render())
        for _ in range(16):
            arm.step(np.array([0.1, 0.1, 0, 0, 0, 0]), 0.0)
    arm.close()
    loaded = load("", "", "", False, (128, 128), device)
    live, space = loaded.live, loaded.card.action_space
    rng, commands = np.random.default_rng(0), CommandTimeline()
    commands.add(0.0, np.array([0.1, 0.1, 0, 0, 0, 0]), 0.0)
    settled = stand_still(SETTLED, 0.0)
    policy = settled + np.array([0.02, 0.02, 0, 0, 0, 0, 0])
    live.observe([i * space.step_s for i in range(HISTORY)], pictures)
    live.set_goal(pictures[0])
    codes = torch.stack([frame.codes for frame in live._aligned()])[None]
    past = torch.zeros(1, HISTORY - 1, 7, device=codes.device)
    seconds: defaultdict[str, list[float]] = defaultdict(list)

    def timed(name, work):
        _wait(codes)
        began = time.process_time() if codes.device.type == "cpu" else time.perf_counter()
        result = work()
        _wait(codes)
        now = time.process_time() if codes.device.type == "cpu" else time.perf_counter()
        seconds[name].append(now - began)
        return result

    now = (HISTORY - 1) * space.step_s
    for turn in range(turns + 1):
        timed("take in an image", lambda t=turn: live._encode([pictures[t % HISTORY]]))
        proposed = timed(
            "propose",
            lambda: propose(settled, [policy], candidates, MAX_HORIZON, space, rng),
        )
        actions = np.stack(list(proposed.values()))
        with torch.inference_mode():
            tensor = live._tensor(actions)
            rollout = timed("imagine", lambda a=tensor: imagine_after(live.model, codes, past, a))
            timed("retrace", lambda r=rollout: judge(live.model, r))
        imagined = timed("imagine and retrace", lambda a=actions: live.predict(now, a, commands))
        timed(
            "naive imagine and retrace",
            lambda a=actions: [live.predict(now, one[None], commands) for one in a],
        )
        timed("choose", lambda a=actions, p=proposed, i=imagined: _choose(a, p, i, space))
    median = {name: float(np.median(values[1:])) for name, values in seconds.items()}
    whole = sum(
        median[name] for name in ("take in an image", "propose", "imagine and retrace", "choose")
    )
    naive = whole - median["imagine and retrace"] + median["naive imagine and retrace"]
    return {
        "ratio": round(naive / whole, 2),
        "plans_per_second": round(1 / whole, 2),
        "candidates_per_second": round(candidates / whole, 1),
        "seconds": {name: round(s, 5) for name, s in median.items()},
        "seconds_of_a_plan": round(whole, 4),
        "seconds_of_a_naive_plan": round(naive, 4),
        "candidates": candidates,
        "horizon": MAX_HORIZON,
        "turns": turns,
        "device": codes.device.type,
        "hardware": hardware(),
    }


def _choose(actions, proposed, imagined, space):
    uncertainty = imagined.retracing.uncertainty.cpu().numpy()
    took_part = imagined.retracing.took_part.any(dim=2).cpu().numpy()
    return choose(
        list(proposed),
        uncertainty,
        1.0,
        [judged_part(a, used) for a, used in zip(actions, took_part, strict=True)],
        Weights().cost(imagined.goal_distance[:, -1].cpu().numpy(), None, None, uncertainty),
        deviation(actions, proposed["policy"], MAX_HORIZON - SETTLED, space),
        0.3,
        [None] * len(actions),
    )


def _wait(tensor: torch.Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = measure(options.candidates, options.turns, options.device)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for name, value in report["seconds"].items():
        print(f"{name:28}{1000 * value:9.1f} ms")
    print(
        f"{report['candidates']} candidates: {1000 * report['seconds_of_a_plan']:.0f} ms a plan, "
        f"{report['plans_per_second']} a second; naive "
        f"{1000 * report['seconds_of_a_naive_plan']:.0f} ms, ratio {report['ratio']}"
    )


if __name__ == "__main__":
    main()
