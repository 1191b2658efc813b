"""Does a sequence end in success? A small network tells by its last picture, real or imagined."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from whale_ros.evaluation.position_probe import BATCH, LEARNING_RATE, LOOKS, SIZE, reader
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_float

STEPS = 2500
AFTER = 2  # frames that a sequence goes on when it has come to success


class OutcomeProbe(nn.Module):
    """Pictures (B, 3, R, R) float in [0, 1] to logits (B,): positive where the task is done."""

    def __init__(self) -> None:
        super().__init__()
        self.network = reader(1)

    def forward(self, frames: Tensor) -> Tensor:
        return self.network(F.adaptive_avg_pool2d(frames, SIZE) - 0.5)[:, 0]


def train_outcome_probe(
    data: EpisodeSet, device: torch.device | str = "cpu", steps: int = STEPS, seed: int = 0
) -> OutcomeProbe:
    """From real pictures only, half of them of success.

    Raises ValueError if it is not known of all episodes, or none succeeds, or none fails.
    """
    done = None if data.success is None else data.success.flat
    if done is None or done.all() or not done.any():
        raise ValueError(
            f"{data.folder} does not show both success and failure, as `whale collect` does"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        probe = OutcomeProbe().to(device).train()
    kinds = [torch.nonzero(done)[:, 0], torch.nonzero(~done)[:, 0]]
    truth = torch.arange(BATCH, device=device) % 2 == 0
    steps = min(steps, 2 + LOOKS * len(done) // BATCH)
    optimizer = torch.optim.AdamW(probe.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in trange(steps, desc="training an outcome probe"):
        halves = [k[torch.randint(len(k), (BATCH // 2,), generator=generator)] for k in kinds]
        picked = torch.stack(halves, dim=1).flatten()
        logits = probe(to_float(data.frames.flat[picked].to(device)))
        loss = F.binary_cross_entropy_with_logits(logits, truth.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe.eval().requires_grad_(False)


def sequences(data: EpisodeSet) -> tuple[Tensor, Tensor]:
    """Of each episode that allows it, one whose newest observed frame does not tell the outcome.

    Returns (S, 2) episodes and first frames, of HISTORY observed and MAX_HORIZON more, and (S,)
    bool whether the last of these shows success. One that comes to success ends AFTER frames
    later; one that never does ends when those of its task do in the median.
    Raises ValueError if not both kinds are there.
    """
    tasks = [info.task for info in data.infos]
    lasts = (data.frames.lengths - 1).tolist()
    ends: dict[int, int] = {}
    for episode, first in enumerate(data.success_at.tolist()):
        end = min(first + AFTER, lasts[episode])
        done = data.success is not None and first >= 0 and bool(data.success[episode][end])
        if done and end - MAX_HORIZON < first:
            ends[episode] = end
    come = dict(ends)
    for episode in torch.nonzero(data.failed)[:, 0].tolist():
        like = [end for other, end in come.items() if tasks[other] == tasks[episode]]
        if like:
            ends[episode] = min(sorted(like)[len(like) // 2], lasts[episode])
    length = HISTORY + MAX_HORIZON
    rows = [(episode, end - length + 1, episode in come) for episode, end in sorted(ends.items())]
    rows = [row for row in rows if row[1] >= 0]
    if len({success for *_, success in rows}) < 2:
        raise ValueError(
            f"{data.folder} needs episodes that come to success and some that do not, of "
            f"{length} frames before their outcome; `whale collect` makes them"
        )
    table = torch.tensor(rows)
    return table[:, :2], table[:, 2].bool()
