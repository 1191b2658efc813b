"""A moment of `make fuzz`, not guided: each target on its first inputs, on random ones, and on what
`make fuzz` has found to break it, which is kept in fuzz/found."""

import random
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

from fuzz.targets import TARGETS, load

FOUND = Path(__file__).parents[2] / "fuzz/found"
QUICK = {"image", "compressed_image", "action_sequence", "candidate_set", "calibration", "manifest"}
SLOW = {"checkpoint", "mcap", "sqlite_bag", "parameters", "run_state", "lerobot_export"}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds(name):
    (target, seeds), rng = load(name), random.Random(name)
    for seed in seeds:
        target(seed)
    for _ in range(100 if name in QUICK else 2 if name in SLOW else 15):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 20)):
            at = rng.randrange(len(data) + 1)
            data[at : at + 1] = rng.randbytes(1)
        target(bytes(data))


@pytest.mark.parametrize("name", sorted(file.name for file in FOUND.iterdir()))
def test_what_was_found_once_holds(name):
    target, _ = load(name.partition(".")[0])
    target((FOUND / name).read_bytes())
