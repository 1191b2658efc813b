"""Candidates: what a policy proposes, variations of it, random motions, and standing still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION, ActionSpace
from whale_ros.planning.commitment import stand_still

SPEEDS = {"slower": 0.5, "faster": 1.5}
CORRELATION = 0.8  # of noise from step to step: white noise would average out
# Spread of the noise as shares of the limits. Little rotation: nothing in a goal picture of
# 64 pixels would correct a slow drift of the orientation.
TRANSLATION_NOISE = 0.4
ROTATION_NOISE = 0.05


def propose(
    committed: np.ndarray,
    policy: Sequence[np.ndarray],
    count: int,
    horizon: int,
    space: ActionSpace,
    rng: np.random.Generator,
    width: float = 1.0,
    limits: ActionSpace | None = None,
) -> dict[str, np.ndarray]:
    """`count` different candidates (horizon, 7) by name, all of which begin with `committed`.

    committed: (n, 7), 0 < n < horizon, what the arm will do while the plan is made.
    policy: sequences (m, 7) that follow it; those without an action have nothing to say and are
    left out. The first one comes first and is varied, `width` times as widely as usual.
    limits: a tighter space for what is invented here, which the policy's own need not keep to.
    """
    limits = limits or space
    steps = horizon - len(committed)
    gripper = float(committed[-1, GRIPPER])
    tails = [fit(tail, steps) for tail in policy if len(tail)]
    own = ((own_name(i), space.clip(tail)) for i, tail in enumerate(tails))
    invented = _invented(tails, steps, gripper, limits, rng, width)
    named = chain(own, ((name, limits.clip(tail)) for name, tail in invented))
    candidates: dict[str, np.ndarray] = {}
    while len(candidates) < count:
        name, tail = next(named)
        actions = np.concatenate([committed, tail])
        # Clipped to the limits, "faster" is often the policy itself: not worth imagining twice.
        if not any(np.array_equal(actions, other) for other in candidates.values()):
            candidates[name] = actions
    return candidates


def deviation(
    candidates: np.ndarray, policy: np.ndarray, steps: int, space: ActionSpace
) -> np.ndarray:
    """(K,) how far candidates (K, H, 7) are from (H, 7) in their last `steps` actions.

    Root mean square of the differences, each in units of its limit.
    """
    difference = space.normalise(candidates[:, -steps:]) - space.normalise(policy[-steps:])
    return np.sqrt((difference**2).mean(axis=(1, 2)))


def own_name(number: int) -> str:
    """Of the policy's own sequences, the first of which is number 0."""
    return "policy" if number == 0 else f"policy {number + 1}"


def _invented(
    policy: list[np.ndarray],
    steps: int,
    gripper: float,
    space: ActionSpace,
    rng: np.random.Generator,
    width: float,
) -> Iterator[tuple[str, np.ndarray]]:
    """New actions (steps, 7) by name, the most useful first, without end."""
    yield "still", stand_still(steps, gripper)
    if policy:
        for name, speed in SPEEDS.items():
            yield name, _scaled(policy[0], speed)
    number = 0
    while True:
        number += 1
        if policy and number % 3:
            share = width * rng.uniform(0.2, 1)
            yield f"noisy {number}", policy[0] + share * noise(steps, space, rng)
        else:
            yield f"sampled {number}", _sampled(steps, gripper, space, rng)


def fit(tail: np.ndarray, steps: int) -> np.ndarray:
    """Cut to `steps` actions, or stand still after the last one."""
    missing = stand_still(max(0, steps - len(tail)), float(tail[-1, GRIPPER]))
    return np.concatenate([tail[:steps], missing])


def _scaled(tail: np.ndarray, speed: float) -> np.ndarray:
    scaled = tail.copy()
    scaled[:, :GRIPPER] *= speed
    return scaled


def _sampled(
    steps: int, gripper: float, space: ActionSpace, rng: np.random.Generator
) -> np.ndarray:
    """A straight motion at a random velocity, with noise."""
    direction = rng.normal(size=3)
    speed = rng.uniform(0.2, 1) * space.max_translation_m / np.linalg.norm(direction)
    actions = stand_still(steps, gripper)
    actions[:, POSITION] = direction * speed
    return actions + 0.5 * noise(steps, space, rng)


def noise(steps: int, space: ActionSpace, rng: np.random.Generator) -> np.ndarray:
    """Correlated noise (steps, 7) of the standard deviation `spread`."""
    deviation = spread(space)
    drawn = np.zeros((steps, DIM))
    drawn[0] = deviation * rng.normal(size=DIM)
    for step in range(1, steps):
        fresh = deviation * rng.normal(size=DIM)
        drawn[step] = CORRELATION * drawn[step - 1] + np.sqrt(1 - CORRELATION**2) * fresh
    return drawn


def spread(space: ActionSpace) -> np.ndarray:
    """(7,) standard deviation of the noise; none for the gripper."""
    deviation = np.zeros(DIM)
    deviation[POSITION] = TRANSLATION_NOISE * space.max_translation_m
    deviation[ROTATION] = ROTATION_NOISE * space.max_rotation_rad
    return deviation
