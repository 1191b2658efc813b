"""`whale finetune`: a finished model learns another scene from a few demonstrations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from whale_ros.cli.collect import STEPS

if TYPE_CHECKING:
    from whale_ros.training.finetune import Demonstrations
    from whale_ros.world_model.checkpoint import Card


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "finetune",
        help="teach a model another scene from a few demonstrations; resumes where it was stopped",
    )
    parser.add_argument("run", type=Path, help="folder for progress and the new checkpoint")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder that `whale convert` made of demonstrations",
    )
    parser.add_argument("--base", type=Path, help="checkpoint's folder; default: the shipped one")
    parser.add_argument(
        "--replay",
        type=Path,
        help="folder of what the base was trained on, so that it remembers; default: for the "
        "shipped base some of it is collected in the run's folder",
    )
    parser.add_argument(
        "--replay-share",
        type=float,
        default=0.4,
        help="of every batch; 0: nothing is replayed; default: %(default)s",
    )
    parser.add_argument("--tokenizer-steps", type=int, default=400, help="at most")
    parser.add_argument("--behavior-steps", type=int, default=200, help="at most")
    parser.add_argument("--dynamics-steps", type=int, default=400, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--device", help="as torch names it; default: a GPU if there is one")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> None:
    from dataclasses import replace

    import torch

    from whale_ros.actions.statistics import statistics
    from whale_ros.evaluation.hardware import trained_on
    from whale_ros.evaluation.prediction import evaluate_prediction, sees_well, tokenizer_psnr
    from whale_ros.evaluation.prediction_pictures import draw_before_and_after
    from whale_ros.evaluation.scales import measure_scales
    from whale_ros.evaluation.tables import finetuning_table, finetuning_verdict
    from whale_ros.training.dataset import EpisodeSet
    from whale_ros.training.finetune import (
        REPLAYED,
        Demonstrations,
        finetune,
        is_low_rank,
    )
    from whale_ros.training.pretrain import Steps
    from whale_ros.training.record import work_alone
    from whale_ros.training.workers import Worker
    from whale_ros.world_model.checkpoint import (
        SHIPPED,
        Card,
        load_checkpoint,
        read_card,
        save_checkpoint_at_once,
    )
    from whale_ros.world_model.device import find_device

    counts = (options.tokenizer_steps, options.behavior_steps, options.dynamics_steps)
    if min(counts) < 0 or not any(counts):
        raise ValueError(f"steps must be 0 or more, and not all 0: {counts}")
    torch.set_num_threads(options.threads)
    base, made = options.base or SHIPPED, options.run / "checkpoint"
    if base.resolve() in (options.run.resolve(), made.resolve()):
        raise ValueError(f"the base {base} is only read; choose another folder for the run")
    worker = Worker(find_device(options.device or "auto"))
    with work_alone(options.run):
        model, card = load_checkpoint(base)
        new, held_out = (EpisodeSet(options.data, name) for name in ("train", "validation"))
        data = Demonstrations(new, held_out, share=options.replay_share)
        data.must_fit(card)  # raises ValueError now, not after the work
        model.to(worker.device)
        measure_scales(model, held_out)  # so does this
        keeps = sees_well(tokenizer_psnr(model, held_out), card.metrics)
        if options.replay_share and (replay := replayed(options, base, card)):
            data = replace(data, replay=EpisodeSet(replay, "train", REPLAYED))
        print(_plan(card, data, keeps, is_low_rank(model)), flush=True)
        steps = Steps(
            0 if keeps else options.tokenizer_steps, options.behavior_steps, options.dynamics_steps
        )
        tuned, outcomes = finetune(base, data, options.run, steps, options.seed, worker)
        if not made.exists():
            before = evaluate_prediction(model, held_out)["moving_pixels_psnr_db"]
            new_card = Card(
                config=tuned.config,
                action_space=tuned.action_space,
                scales=measure_scales(tuned, held_out),
                action_statistics=statistics(new.actions.flat.numpy()),
                camera=f"that of the demonstrations in {options.data.resolve().name}",
                training={
                    "command": "whale finetune",
                    "base": card.sha256,
                    **data.described(card),
                    **{f"{name}_steps": outcome.best_step for name, outcome in outcomes.items()},
                    "held_out_loss": {name: o.held_out_loss for name, o in outcomes.items()},
                    "moving_pixels_psnr_db_before": before,
                    "low_rank": is_low_rank(tuned),
                    "seed": options.seed,
                    **trained_on(worker),
                },
                metrics=evaluate_prediction(tuned, held_out),
            )
            draw_before_and_after(model, tuned, held_out, options.run / "before_and_after.png")
            save_checkpoint_at_once(made, tuned, new_card)
    card = read_card(made)
    before = card.training["moving_pixels_psnr_db_before"]
    print(finetuning_table(before, card.metrics))
    print(finetuning_verdict(before, card.metrics))
    print(f"checkpoint {card.sha256[:12]} is in {made}; calibrate it before the gate trusts it:")
    print(f"    whale calibrate CALIBRATION_DATA --checkpoint {made}")


def replayed(options: argparse.Namespace, base: Path, card: Card) -> Path | None:
    """A folder of what the base was trained on: as given, or made again if that can be done.

    Raises ValueError if it should be possible and is not.
    """
    from importlib.util import find_spec

    from whale_ros.data.episodes import MANIFEST
    from whale_ros.training.finetune import REPLAYED
    from whale_ros.world_model.checkpoint import SHIPPED

    folder: Path = options.run / "replay"
    if options.replay or base.resolve() != SHIPPED.resolve():
        return options.replay
    if (folder / MANIFEST).exists():
        return folder
    if find_spec("metaworld") is None:
        return None
    print("some of what the shipped model learnt from is collected, so that it remembers")
    resolution = card.config.tokenizer.resolution
    try:
        from whale_ros.sim.collect import collect

        collect(folder, REPLAYED, 1, STEPS, resolution, options.threads, card.action_space)
    except Exception as error:  # of rendering, which may lack a driver, in another process
        raise ValueError(
            f"nothing can be collected from the simulated arm ({error}): give episodes of what the "
            "base was trained on with --replay, or --replay-share 0, with which it forgets that"
        ) from error
    return folder


def _plan(card: Card, data: Demonstrations, keeps: bool, low_rank: bool) -> str:
    parts = "dynamics and behaviour model" if keeps else "tokenizer, behaviour model and dynamics"
    how = "what is added to the weights" if low_rank else "all weights"
    lines = [
        f"{card.config.name} {card.sha256[:12]} learns from {len(data.new)} demonstrations, "
        f"{len(data.held_out)} are held out: {how} of {parts}"
    ]
    if data.replay is None:
        lines.append(
            "it will forget what it knew: give episodes of that with --replay (for the shipped "
            "checkpoint they are collected where the extra [sim] is installed)"
        )
    return "\n".join(lines)
