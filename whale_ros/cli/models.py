"""`whale models`: the sizes to choose from, and what each costs."""

from __future__ import annotations

import argparse
import json


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("models", help="parameters, FLOPs and memory of every size")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from whale_ros.world_model.config import WhaleConfig, shipped
    from whale_ros.world_model.cost import cost

    costs = sorted(
        (cost(WhaleConfig.from_yaml(path)) for path in shipped()), key=lambda c: c.parameters
    )
    if options.json:
        print(json.dumps([asdict(c) | {"parameters": c.parameters} for c in costs], indent=1))
        return

    def row(title: str, *texts: str) -> None:
        print(f"{title:44}" + "".join(f"{text:>12}" for text in texts))

    def numbers(title: str, field: str, unit: float, digits: int) -> None:
        row(title, *(f"{getattr(c, field) / unit:,.{digits}f}" for c in costs))

    row("", *(c.name for c in costs))
    row("camera [pixels]", *(f"{c.resolution} x {c.resolution}" for c in costs))
    numbers("tokens in a frame", "tokens", 1, 0)
    numbers("parameters [M]", "parameters", 1e6, 2)
    for part in ("tokenizer", "behavior", "dynamics"):
        numbers(f"  {part}", f"{part}_parameters", 1e6, 2)
    numbers("imagining a frame in tokens [GFLOP]", "step_flops", 1e9, 3)
    numbers("encoding a frame [GFLOP]", "encode_flops", 1e9, 3)
    numbers("decoding a frame [GFLOP]", "decode_flops", 1e9, 3)
    numbers("weights, fp32 [MB]", "weights_bytes", 1e6, 1)
    numbers("weights, bf16 [MB]", "weights_bf16_bytes", 1e6, 1)
    numbers("full windows of cached past, fp32 [MB]", "full_windows_cache_bytes", 1e6, 2)
    numbers("training without activations, fp32 [MB]", "training_bytes", 1e6, 1)
