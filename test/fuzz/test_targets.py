"""A moment of `make fuzz`, not guided: each target on its first inputs, and on random ones."""

import importlib
import random

import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

from fuzz.targets import TARGETS

RANDOM = {"checkpoint": 1, "gate": 20, "model_yaml": 20}  # the slow ones; others 100


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds(name):
    target, rng = TARGETS[name], random.Random(name)
    module = importlib.import_module(f"fuzz.{target.module}")
    seeds = getattr(module, target.seeds)()
    for seed in seeds:
        getattr(module, name)(seed)
    for _ in range(RANDOM.get(name, 100)):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 20)):
            at = rng.randrange(len(data) + 1)
            data[at : at + 1] = rng.randbytes(1)
        getattr(module, name)(bytes(data))
