"""What is seen of a training: a bar, TensorBoard scalars, sample pictures, a file for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from whale_ros.training.record import PROGRESS

REPORT_EVERY = 20
PICTURES_EVERY = 100

Pictures = Callable[[], np.ndarray]  # (height, width, 3) uint8 RGB


class Progress:
    """Of one stage, from step `done` on, in `run`: tensorboard/, samples/ and progress.json."""

    def __init__(
        self,
        stage: str,
        run: Path,
        done: int,
        steps: int,
        pictures: Pictures | None,
        afterwards_s: float = 0.0,
    ) -> None:
        """afterwards_s: about how long what comes after this stage will take."""
        self.stage = stage
        self.run = run
        self.steps = steps
        self.pictures = pictures
        self.done = done
        self.afterwards_s = afterwards_s
        self.bar = tqdm(desc=stage, initial=done, total=steps)
        # What a killed run has reported after its last state is taken back.
        self.writer = SummaryWriter(str(run / "tensorboard" / stage), purge_step=done + 1)
        self.recent: list[dict[str, Tensor]] = []
        self.shown: dict[str, str] = {}
        self.since = time.perf_counter()
        self.begun = done, self.since

    def update(self, done: int, numbers: dict[str, Tensor], learning_rate: float) -> None:
        """After step number `done`, counted from 1; `numbers` without gradient."""
        self.recent.append(numbers)
        self.bar.update()
        if done % REPORT_EVERY == 0 or done == self.steps:
            self._report(done, learning_rate)
        self.done = done
        if self.pictures and done % PICTURES_EVERY == 0:
            self._show(done, self.pictures())

    def held_out(self, done: int, loss: float) -> None:
        """The loss on data that is not learned from, after that step."""
        self.shown["held out"] = f"{loss:.4f}"
        self.writer.add_scalar("held_out_loss", loss, done)

    def close(self) -> None:
        """With pictures of how it ended, wherever that was."""
        if self.pictures and self.done % PICTURES_EVERY:
            self._show(self.done, self.pictures())
        self.bar.close()
        self.writer.close()

    def _report(self, done: int, learning_rate: float) -> None:
        """Means since the last report; only here numbers are fetched from a GPU."""
        means = {
            key: float(torch.stack([numbers[key] for numbers in self.recent]).nanmean())
            for key in self.recent[0]
        }
        self.shown |= {key: f"{mean:.4f}" for key, mean in means.items()}
        now = time.perf_counter()
        first, began = self.begun
        left_s = (self.steps - done) * (now - began) / (done - first) + self.afterwards_s
        if self.afterwards_s:
            self.shown["in all left"] = tqdm.format_interval(left_s)
        self.bar.set_postfix(self.shown)
        self._tell({"stage": self.stage, "step": done, "steps": self.steps, "left_s": left_s})
        means["learning_rate"] = learning_rate
        means["steps_per_second"] = len(self.recent) / (now - self.since)
        for key, mean in means.items():
            self.writer.add_scalar(key, mean, done)
        self.recent, self.since = [], now

    def _tell(self, content: dict) -> None:
        partial = self.run / f"{PROGRESS}.partial"
        partial.write_text(json.dumps(content) + "\n")
        partial.replace(self.run / PROGRESS)

    def _show(self, done: int, picture: np.ndarray) -> None:
        samples = self.run / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(samples / f"{self.stage}_{done:06d}.png"), bgr)
        self.writer.add_image(self.stage, picture, done, dataformats="HWC")
