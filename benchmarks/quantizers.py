#!/usr/bin/env python3
"""Which discrete codebook for the tokenizer: scalar (FSQ) or vector quantisation (VQ)?

    source scripts/env.sh
    python benchmarks/quantizers.py DATA            # a folder made by `whale collect`
    python benchmarks/quantizers.py DATA --json

Trains the tokenizer of `tiny` with each, on the same batches, for as many steps, and compares what
comes back of held-out frames. The VQ is that of ViT-VQGAN (arXiv 2110.04627): nearest code by
cosine, straight-through gradient, commitment loss; codes that nobody uses begin anew. Once with as
many bits a token as the FSQ, in two codebooks, and once with one codebook of 1024, as in Genie.
The package holds the winner only.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from whale_ros.evaluation.hardware import hardware
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.config import TokenizerConfig
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.tokenizer import CHANGED_PIXEL_WEIGHT, Tokenizer

BATCH, GAP = 48, 16
COMMITMENT = 0.25
RESTART_EVERY = 100  # steps
MOVING = 0.05  # as in `whale evaluate prediction`


class VectorQuantizer(nn.Module):
    """Splits a token's numbers into groups, and takes the nearest code of a book for each."""

    def __init__(self, books: int, codes: int, size: int) -> None:
        super().__init__()
        self.books = nn.Parameter(torch.randn(books, codes, size))
        self.register_buffer("used", torch.zeros(books, codes))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of z (B, N, books * size): quantised, codes (B, N, books) and the loss of both sides."""
        books, _, size = self.books.shape
        z = F.normalize(z.unflatten(-1, (books, size)), dim=-1)
        table = F.normalize(self.books, dim=-1)
        codes = torch.einsum("bngs,gks->bngk", z, table).argmax(-1)
        nearest = table[torch.arange(books), codes]
        loss = (nearest - z.detach()).square().mean()
        loss = loss + COMMITMENT * (nearest.detach() - z).square().mean()
        with torch.no_grad():
            self.used += F.one_hot(codes, self.used.shape[1]).sum((0, 1)).float()
        return (z + (nearest - z).detach()).flatten(-2), codes, loss

    @torch.no_grad()
    def restart_unused(self, z: Tensor, generator: torch.Generator) -> None:
        z = z.unflatten(-1, (len(self.books), -1)).flatten(0, 1)
        for book in range(len(self.books)):
            unused = (self.used[book] == 0).nonzero()[:, 0]
            pick = torch.randint(len(z), (len(unused),), generator=generator)
            self.books[book, unused] = z[pick, book]
        self.used.zero_()


class VectorTokenizer(Tokenizer):
    """The tokenizer with a vector instead of a scalar quantiser."""

    def __init__(self, config: TokenizerConfig, books: int, codes: int) -> None:
        super().__init__(config)
        self.quantizer = VectorQuantizer(books, codes, config.code_dim // books)

    def forward(self, frames: Tensor, reference: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        values, _, quantising = self.quantizer(self.encoder(frames))
        decoded = self.decoder(values, reference)
        changed = (frames - reference).abs().amax(1, keepdim=True) > MOVING
        weight = 1 + (CHANGED_PIXEL_WEIGHT - 1) * changed.float()
        return (weight * (decoded - frames).square()).mean() + quantising, {}

    def rebuilt(self, frames: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        values, codes, _ = self.quantizer(self.encoder(frames))
        return self.decoder(values, reference).clamp(0, 1), codes


def fit(tokenizer: Tokenizer, data: EpisodeSet, steps: int, seed: int, name: str) -> float:
    """Train as `whale train` does; returns CPU seconds a step."""
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 1e-3, (0.9, 0.95), weight_decay=0.01)
    began = time.process_time()
    for step in trange(steps, desc=name):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 100)
            group["lr"] = 1e-3 * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        generator = torch.Generator().manual_seed(seed * 10_000_019 + step)
        frames, reference = data.frame_pairs(BATCH, GAP, generator)
        loss, _ = tokenizer(frames, reference)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(tokenizer.parameters(), 1.0)
        optimizer.step()
        if isinstance(tokenizer, VectorTokenizer) and (step + 1) % RESTART_EVERY == 0:
            with torch.no_grad():
                tokenizer.quantizer.restart_unused(tokenizer.encoder(frames), generator)
    return (time.process_time() - began) / steps


@torch.inference_mode()
def measure(tokenizer: Tokenizer, data: EpisodeSet) -> dict:
    """PSNR of held-out frames from a reference GAP frames earlier, and how many codes are used."""
    error, pixels, seen = torch.zeros(2), torch.zeros(2), []
    for episode in data.frames:
        frames, reference = to_float(episode[GAP:]), to_float(episode[:-GAP])
        if isinstance(tokenizer, VectorTokenizer):
            rebuilt, codes = tokenizer.rebuilt(frames, reference)
        else:
            codes = tokenizer.encode(frames)
            rebuilt = tokenizer.decode(codes, reference)
        moving = ((frames - reference).abs().amax(1, keepdim=True) > MOVING).float()
        squared = (rebuilt - frames).square().mean(1, keepdim=True)
        error += torch.stack([squared.sum(), (squared * moving).sum()])
        pixels += torch.stack([torch.ones_like(moving).sum(), moving.sum()])
        seen.append(codes.flatten(0, -2))
    psnr = -10 * torch.log10(error / pixels)
    books = torch.cat(seen).unbind(-1)
    entropies = [_entropy_bits(book) for book in books]
    return {
        "psnr_db": round(float(psnr[0]), 2),
        "moving_pixels_psnr_db": round(float(psnr[1]), 2),
        "bits_used_per_token": round(sum(entropies), 1),
    }


def _entropy_bits(codes: Tensor) -> float:
    share = torch.bincount(codes).float() / len(codes)
    return float(-torch.special.xlogy(share, share).sum() / math.log(2))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, held_out = (EpisodeSet(options.data, split) for split in ("train", "validation"))
    config = TokenizerConfig()
    variants = {
        f"FSQ, {config.code_dim} x {config.code_levels} levels": (
            config.code_dim * math.log2(config.code_levels),
            lambda: Tokenizer(config),
        ),
        "VQ, 2 books of 2048": (22.0, lambda: VectorTokenizer(config, 2, 2048)),
        "VQ, 1 book of 1024": (10.0, lambda: VectorTokenizer(config, 1, 1024)),
    }
    rows = {}
    for name, (bits, make) in variants.items():
        torch.manual_seed(options.seed)
        tokenizer = make()
        seconds = fit(tokenizer, train, options.steps, options.seed, name)
        rows[name] = {"bits_per_token": round(bits, 1), **measure(tokenizer, held_out)}
        rows[name]["cpu_seconds_per_step"] = round(seconds, 3)
    report = {
        "quantizers": rows,
        "steps": options.steps,
        "batch": BATCH,
        "seed": options.seed,
        "held_out_frames": int((held_out.frames.lengths - GAP).sum()),
        "hardware": hardware(),
        "torch": torch.__version__,
    }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{options.steps} steps of {BATCH} frames, seed {options.seed}, {report['hardware']}")
    print(f"{'':22}{'bits':>6}{'used':>6}{'PSNR dB':>9}{'moving':>8}{'s/step':>8}")
    for name, row in rows.items():
        print(
            f"{name:22}{row['bits_per_token']:6.1f}{row['bits_used_per_token']:6.1f}"
            f"{row['psnr_db']:9.2f}{row['moving_pixels_psnr_db']:8.2f}"
            f"{row['cpu_seconds_per_step']:8.3f}"
        )


if __name__ == "__main__":
    main()
