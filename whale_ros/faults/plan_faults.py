"""Faults of what the planner sends, in simulated time: nothing may come of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from whale_ros.faults.case import Case
from whale_ros.faults.fault import Steps, fault


def _rejected(case: Case, *makers: Callable[[], Any]) -> Steps:
    """Send bad chunks to a moving or a resting arm."""
    world = case.world
    if case.rng.random() < 0.5:
        world.planning = False
        yield from case.until(lambda: not case.oracle.moving, 3.0)
        yield 0.05
    for make in makers:
        world.send(make())
    yield 0.3
    world.planning = True


def _aside(case: Case, size: float = 0.03) -> np.ndarray:
    """(5, 7): actions that no good chunk has."""
    angle = case.rng.uniform(0, 2 * math.pi)
    return np.tile([size * math.cos(angle), size * math.sin(angle), 0, 0, 0, 0, 0.5], (5, 1))


@fault(23, "a stale plan", "X", "plan", "clock")
def stale_plan(case: Case) -> Steps:
    uniform = case.rng.uniform
    make: Callable[[float], dict] = case.rng.choice(
        [
            lambda now: {"stamp": now - uniform(1.05, 50)},
            lambda now: {"stamp": now + uniform(0.1, 50), "expiry": now + 51},
            lambda _now: {"stamp": 0.0},
            lambda _now: {"stamp": math.nan},
            lambda now: {"expiry": now - uniform(0.0, 50)},
            lambda now: {"expiry": now + uniform(5.1, 500)},
            lambda _now: {"expiry": math.inf},
            lambda now: {"start": now + uniform(0.1, 50)},
            lambda now: {"start": now - uniform(1.01, 50)},
            lambda _now: {"start": math.nan},
        ]
    )
    world = case.world
    yield from _rejected(case, lambda: world.chunk(_aside(case), **make(world.now.ros)))


@fault(24, "two planners", "H, L", "plan")
def two_planners(case: Case) -> Steps:
    world, old = case.world, case.world.session
    world.session = f"s{int(old[1:]) + 1}"
    world.approve(world.chunk())
    yield case.rng.uniform(0.02, 0.5)
    case.must_hold()
    world.send(world.chunk(_aside(case), session=old))
    yield 0.3


@fault(25, "malformed, empty or huge chunks", "X", "plan")
def malformed(case: Case) -> Steps:
    change: dict = case.rng.choice(
        [
            {"horizon": 0, "numbers": []},
            {"horizon": 2**32 - 1},
            {"horizon": 10_000, "numbers": [0.0] * 70_000},
            {"numbers": [0.0] * 34},
            {"numbers": []},
            {"session": ""},
            {"frame": ""},
            {"frame": "map"},
        ]
    )
    yield from _rejected(case, lambda: case.world.chunk(_aside(case), **change))


@fault(26, "another action space", "X", "plan")
def other_actions(case: Case) -> Steps:
    changes: list[dict] = [{"dim": 6}, {"action_space": "joints/7"}, {"action_space": ""}]
    changes += [{"step_s": 0.1}, {"step_s": math.nan}, {"step_s": 0.0}]
    change = case.rng.choice(changes)
    yield from _rejected(case, lambda: case.world.chunk(_aside(case), **change))


@fault(27, "actions that are not finite, too large or leave the box", "X", "plan")
def bad_actions(case: Case) -> Steps:
    actions, rng = _aside(case), case.rng
    step = rng.randrange(len(actions))
    kind = rng.choice(["number", "step", "turn", "gripper", "box", "unsure", "weights"])
    change: dict = {}
    if kind == "number":
        number = rng.choice([math.nan, math.inf, -math.inf])
        actions[step, rng.randrange(7)] = number
    elif kind == "step":
        actions[step, :3] = [0.0, rng.uniform(0.0502, 5.0), 0.0]
    elif kind == "turn":
        actions[step, 3:6] = [0.0, 0.0, rng.uniform(0.1002, 3.0)]
    elif kind == "gripper":
        actions[step, 6] = rng.choice([-0.01, 1.01, 1e9])
    elif kind == "box":
        side = rng.choice([-1.0, 1.0])
        actions = np.tile([side * 0.05, 0, 0, 0, 0, 0, 0.5], (20, 1))
    elif kind == "unsure":
        change = {"uncertainty": rng.choice([math.nan, 0.0, -1.0, 0.51, 2.0])}
    else:
        change = {"checkpoint": rng.choice(["", "other"])}
    yield from _rejected(case, lambda: case.world.chunk(actions, **change))


@fault(28, "replayed or reordered plans", "X", "plan")
def replayed(case: Case) -> Steps:
    world = case.world
    sent = [chunk for chunk in world.sent if chunk.session == world.session]
    if case.rng.random() < 0.3:
        yield from _rejected(case, lambda: case.rng.choice(sent))
    else:
        back = case.rng.randrange(len(sent))
        yield from _rejected(
            case, lambda: world.chunk(_aside(case), sequence=sent[-1].sequence - back)
        )


@fault(34, "a flood of plans", "X", "plan")
def flood(case: Case) -> Steps:
    make = [lambda: case.world.chunk(_aside(case), checkpoint="other")] * 200
    yield from _rejected(case, *make)
