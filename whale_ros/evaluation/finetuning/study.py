"""`whale evaluate finetuning`: teaches, measures and writes the report; goes on where it was.

Every row of the table is a cell: a method, a number of demonstrations and a seed. What is trained
for it is in a folder `runs/CELL`, what it came to in `cells/CELL.json`; cells that are there are
not done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from whale_ros.evaluation.finetuning.material import Material
from whale_ros.evaluation.finetuning.measures import (
    Foreteller,
    Rulers,
    by,
    copy_last,
    gate,
    measure,
    reality,
)
from whale_ros.evaluation.finetuning.pictures import draw_strip, draw_table
from whale_ros.evaluation.finetuning.summary import summarise
from whale_ros.evaluation.hardware import hardware
from whale_ros.evaluation.prediction import sees_well, tokenizer_psnr
from whale_ros.evaluation.scales import measure_scales
from whale_ros.training.finetune import RATES, STEPS, finetune
from whale_ros.training.pretrain import Steps
from whale_ros.training.record import claim_run, work_alone
from whale_ros.training.workers import Worker
from whale_ros.world_model.checkpoint import (
    Card,
    Scales,
    load_checkpoint,
    read_card,
    save_checkpoint,
    save_checkpoint_at_once,
)
from whale_ros.world_model.device import find_device
from whale_ros.world_model.whale_st import WhaleST

TAUGHT = ("finetuned", "scratch")
METHODS = ("real", "copy", "base", *TAUGHT)
# From scratch it takes several times as many, unless it stops early, and the rates of pretraining.
SCRATCH_STEPS, SCRATCH_RATES = Steps(1500, 400, 1600), dict.fromkeys(RATES, 1.0)


@dataclass(frozen=True)
class Cell:
    method: str
    demonstrations: int | None = None
    seed: int | None = None

    def __str__(self) -> str:
        parts = (self.method, self.demonstrations, self.seed)
        return "_".join(str(part) for part in parts if part is not None)


def cells(methods: Sequence[str], counts: Sequence[int], seeds: int) -> list[Cell]:
    """A seed after the other, and counts as they are given: what matters most can come first."""
    taught = [
        Cell(method, count, seed)
        for seed in range(seeds)
        for count in counts
        for method in TAUGHT
        if method in methods
    ]
    return [
        Cell(method) for method in METHODS if method in methods and method not in TAUGHT
    ] + taught


def study(
    new: Path,
    old: Path,
    base: Path,
    output: Path,
    methods: Sequence[str] = METHODS,
    counts: Sequence[int] = (20, 10, 5),
    seeds: int = 3,
) -> dict:
    """The summary of what is there now, which is written to `output` with pictures.

    new, old: folders of `whale collect`, of another robot and of what the base was trained on.
    Raises ValueError if they do not do, or if the output is another study's.
    """
    if min(counts) < 2:
        raise ValueError(
            "one demonstration is held out of each five begun; give 2 demonstrations at least"
        )
    worker = Worker(find_device("auto"))
    material = Material.read(new, old, seeds, max(counts))
    model, card = load_checkpoint(base)
    for episodes in (material.recorded, material.replay):
        episodes.must_fit(card.config, card.action_space)
    settings = {
        "base": card.sha256,
        "new": material.recorded.manifest_sha256,
        "old": material.replay.manifest_sha256,
        "seeds": seeds,
        "most_demonstrations": max(counts),
    }
    claim_run(output, **settings)
    desk = _Desk(material, base, output, worker, model.to(worker.device))
    bar = tqdm(cells(methods, counts, seeds), "cells", unit="cell")
    for cell in bar:
        bar.set_postfix_str(str(cell))
        desk.do(cell)
    done = [json.loads(path.read_text()) for path in sorted((output / "cells").glob("*.json"))]
    summary = summarise(done, settings | {"hardware": hardware(), "torch": torch.__version__})
    (output / "summary.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    draw_table(summary, done, output / "table.png")
    shown = {cell: output / "runs" / cell / "checkpoint" for cell in desk.shown(max(counts))}
    draw_strip({"base": base} | shown, material.test, output / "strip.png")
    return summary


class _Desk:
    """Where cells are worked on. Its rulers are made when the first one needs them."""

    def __init__(
        self, material: Material, base: Path, output: Path, worker: Worker, model: WhaleST
    ) -> None:
        self._material, self._base, self._output = material, base, output
        self._worker, self._model = worker, model
        self._rulers: tuple[Rulers, Rulers] | None = None

    def do(self, cell: Cell) -> None:
        """Leaves the cell's file, if it is not there."""
        path = self._output / "cells" / f"{cell}.json"
        if path.exists():
            return
        numbers: dict = {**cell.__dict__, "gate": {}, "training": {}}
        foretell: Foreteller
        if cell.method in TAUGHT:
            run = self._output / "runs" / str(cell)
            with work_alone(run):
                model, scales, numbers["training"] = self._teach(cell, run)
            foretell = by(model)
            numbers["gate"] = gate(
                model, scales, self._material.calibrating, self._material.nominal
            )
        else:
            ways = {"real": reality, "copy": copy_last, "base": by(self._model)}
            foretell = ways[cell.method]
        new, old = self._rulers_of_both()
        numbers["new"] = measure(foretell, new, self._material.test)
        numbers["old"] = measure(foretell, old, self._material.old_test)
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n")
        partial.replace(path)

    def shown(self, count: int) -> list[str]:
        """Of what was taught with so many demonstrations and the first seed, what there is."""
        names = [str(Cell(method, count, 0)) for method in TAUGHT]
        return [n for n in names if (self._output / "runs" / n / "checkpoint").exists()]

    def _rulers_of_both(self) -> tuple[Rulers, Rulers]:
        if self._rulers is None:
            sets = self._material.recorded, self._material.replay
            new, old = (Rulers.made(self._model, data, self._output) for data in sets)
            self._rulers = new, old
        return self._rulers

    def _teach(self, cell: Cell, run: Path) -> tuple[WhaleST, Scales, dict]:
        """The model, its scales, and how it came about. Its checkpoint is in the run's folder."""
        assert cell.demonstrations is not None and cell.seed is not None
        made, worker = run / "checkpoint", self._worker
        if made.exists():
            model, card = load_checkpoint(made)
            return model.to(worker.device), card.scales, card.training
        tunes = cell.method == "finetuned"
        data = self._material.demonstrations(cell.seed, cell.demonstrations, replayed=tunes)
        base, steps, rates = self._base, STEPS, RATES
        if not tunes:
            base, steps, rates = self._untrained(run, cell.seed), SCRATCH_STEPS, SCRATCH_RATES
        elif sees_well(
            tokenizer_psnr(self._model, data.held_out), load_checkpoint(base)[1].metrics
        ):
            steps = Steps(0, steps.behavior, steps.dynamics)
        began, fresh = time.process_time(), not any(run.glob("*.safetensors"))
        model, outcomes = finetune(base, data, run, steps, cell.seed, worker, rates)
        training = {
            "method": cell.method,
            "best_step": {name: outcome.best_step for name, outcome in outcomes.items()},
            "held_out_loss": {name: outcome.held_out_loss for name, outcome in outcomes.items()},
            "cpu_s": round(time.process_time() - began) if fresh else None,  # None: in two parts
            **data.described(read_card(base)),
        }
        scales = measure_scales(model, data.held_out)
        card = Card(model.config, model.action_space, scales, training=training)
        save_checkpoint_at_once(made, model, card)
        return model, scales, training

    def _untrained(self, run: Path, seed: int) -> Path:
        """A checkpoint as the base's, but that knows nothing."""
        folder = run / "untrained"
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = WhaleST(self._model.config, self._model.action_space)
        save_checkpoint(folder, model, Card(model.config, model.action_space, Scales(1, 1, 1)))
        return folder
