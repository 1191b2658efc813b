"""`whale optimize`: improve a policy from recorded episodes alone, and try it in the simulator."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "optimize", help="improve a policy from recorded episodes by imagined ones"
    )
    parser.add_argument("data", type=Path, help="folder made by `whale collect`")
    parser.add_argument("--checkpoint", type=Path, help="folder; default: the shipped one")
    parser.add_argument("--task", default="drawer-open-v3")
    parser.add_argument(
        "--behaviors", nargs="+", default=["noisy", "random", "slow"], metavar="NAME",
        help="whose episodes to learn from; default: those without the good ones",
    )  # fmt: skip
    parser.add_argument(
        "--uncertainty", nargs="+", default=["on", "off", "shuffled"],
        choices=["on", "off", "shuffled"], help="as a penalty on imagined rollouts",
    )  # fmt: skip
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=30, help="in the simulator, of each policy")
    parser.add_argument(
        "--penalty", type=float, default=1.0,
        help="spread of the penalties, over that of the gains in progress",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, required=True, help="folder; what is there is not done again"
    )
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    import torch

    from whale_ros.data.episodes import manifest_hash
    from whale_ros.evaluation.hardware import hardware
    from whale_ros.policy_optimization.correction import LIMIT
    from whale_ros.policy_optimization.offline import load_offline
    from whale_ros.policy_optimization.optimize import Settings
    from whale_ros.policy_optimization.pictures import draw_study
    from whale_ros.policy_optimization.study import differences, study, study_table, summarise
    from whale_ros.training.record import claim_run
    from whale_ros.world_model.checkpoint import SHIPPED, load_checkpoint

    torch.set_num_threads(1)
    model, card = load_checkpoint(options.checkpoint or SHIPPED)
    settings = Settings(penalty_spread=options.penalty)
    conditions = {
        "task": options.task,
        "behaviors": options.behaviors,
        "episodes": options.episodes,
        "checkpoint": card.sha256,
        "data": manifest_hash(options.data),
        "limit": LIMIT,
        "settings": asdict(settings),
    }
    claim_run(options.output, **conditions)
    data, held_out = (
        load_offline(model, options.data, split, options.task, options.behaviors)
        for split in ("train", "validation")
    )
    study(
        model, data, held_out, options.task, options.uncertainty, options.seed,
        options.episodes, settings, options.output,
    )  # fmt: skip
    table = summarise(options.output, data)
    report = {
        **conditions,
        "recorded_episodes": len(data.behaviors),
        "policies": table,
        "differences": differences(options.output),
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    (options.output / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False))
    picture = options.output / "policy_optimization.png"
    draw_study(report, picture)
    print(
        json.dumps(report, indent=1, allow_nan=False)
        if options.json
        else f"{study_table(report)}\nresults and {picture.name} are in {options.output}"
    )
