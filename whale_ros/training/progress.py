"""What a person sees of a training: a bar, TensorBoard scalars, sample pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

REPORT_EVERY = 20
PICTURES_EVERY = 500

Pictures = Callable[[], np.ndarray]  # (height, width, 3) uint8 RGB


class Progress:
    """Of one stage, from step `done` on, in `run`/tensorboard and `run`/samples."""

    def __init__(
        self, stage: str, run: Path, done: int, steps: int, pictures: Pictures | None
    ) -> None:
        self.stage = stage
        self.samples = run / "samples"
        self.steps = steps
        self.pictures = pictures
        self.bar = tqdm(desc=stage, initial=done, total=steps)
        # What a killed run has reported after its last state is taken back.
        self.writer = SummaryWriter(str(run / "tensorboard" / stage), purge_step=done + 1)
        self.recent: list[dict[str, Tensor]] = []
        self.since = time.perf_counter()

    def update(self, done: int, numbers: dict[str, Tensor], learning_rate: float) -> None:
        """After step number `done`, counted from 1; `numbers` without gradient."""
        self.recent.append(numbers)
        self.bar.update()
        if done % REPORT_EVERY == 0 or done == self.steps:
            self._report(done, learning_rate)
        if self.pictures and (done % PICTURES_EVERY == 0 or done == self.steps):
            self._show(done, self.pictures())

    def close(self) -> None:
        self.bar.close()
        self.writer.close()

    def _report(self, done: int, learning_rate: float) -> None:
        """Means since the last report; only here numbers are fetched from a GPU."""
        means = {
            key: float(torch.stack([numbers[key] for numbers in self.recent]).nanmean())
            for key in self.recent[0]
        }
        self.bar.set_postfix({key: f"{mean:.4f}" for key, mean in means.items()})
        now = time.perf_counter()
        means["learning_rate"] = learning_rate
        means["steps_per_second"] = len(self.recent) / (now - self.since)
        for key, mean in means.items():
            self.writer.add_scalar(key, mean, done)
        self.recent, self.since = [], now

    def _show(self, done: int, picture: np.ndarray) -> None:
        self.samples.mkdir(parents=True, exist_ok=True)
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(self.samples / f"{self.stage}_{done:06d}.png"), bgr)
        self.writer.add_image(self.stage, picture, done, dataformats="HWC")
