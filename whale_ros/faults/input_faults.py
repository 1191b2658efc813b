"""Faults of what else the gate is told, in simulated time: clocks, pose, world model."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from whale_ros.faults.camera_faults import MOVED_M, SILENT_S, drop
from whale_ros.faults.case import Case
from whale_ros.faults.fault import Steps, fault
from whale_ros.gate.pose import Pose

STREAMS = ("camera", "pose", "heartbeat", "chunk")


# ---- clocks


@fault(5, "ROS time jumps by up to a second", "H, A", "clock")
def small_jump(case: Case) -> Steps:
    case.world.jump(case.rng.choice([-1, 1]) * case.rng.uniform(0.07, 0.95))
    case.must_have_held()
    yield 0.1


@fault(5, "ROS time jumps by more than a second", "H, L", "clock")
def large_jump(case: Case) -> Steps:
    case.world.jump(case.rng.choice([-1, 1]) * case.rng.uniform(1.05, 1000.0))
    case.must_hold()
    yield 0.1


@fault(6, "ROS time stands still", "H, A", "clock", *STREAMS)
def time_stops(case: Case) -> Steps:
    world = case.world
    world.ros_stopped = world.now.ros
    case.must_hold(case.t + 0.2)
    yield case.rng.uniform(0.4, 0.9)
    world.ros_offset, world.ros_stopped = world.ros_stopped - world.t, None


@fault(7, "poses lag behind images", "H, A", "pose", "camera", "clock")
def skew(case: Case) -> Steps:
    world, lag, images = case.world, case.rng.uniform(0.13, 0.16), 0
    poses = [(world.t, world.now.ros - 0.025)]  # arrival, stamp

    def late(pose: Pose) -> list[Pose]:
        world.delay("pose", pose, lag)
        world.good("pose", pose)  # alive it is
        poses.append((world.t + lag, pose.stamp))
        return []

    def look(message: tuple) -> list[tuple]:
        nonlocal images
        newest = max(stamp for arrival, stamp in poses if arrival <= world.t)
        images = images + 1 if message[0] - newest > 0.055 else 0
        if images == 2:
            case.must_hold()
        return [message]

    case.spoil("pose", late)
    case.spoil("camera", look)
    yield 0.9


# ---- pose


def _bad_poses(case: Case, change: dict, seconds: float) -> Steps:
    known = False

    def spoil(pose: Pose) -> list[Pose]:
        nonlocal known
        if not known and seconds > 0.3:
            known = True
            case.must_hold(case.t + 0.1)
        return [dataclasses.replace(pose, **change)]

    case.spoil("pose", spoil)
    yield seconds


def _not_finite(case: Case) -> dict:
    bad = case.rng.choice([math.nan, math.inf, -math.inf])
    if case.rng.random() < 0.5:
        return {"position": np.array([0.0, bad, 0.2])}
    return {"quaternion": np.array([bad, 0.0, 0.0, 0.0])}


@fault(8, "poses are not finite", "H, A", "pose")
def nan_poses(case: Case) -> Steps:
    yield from _bad_poses(case, _not_finite(case), 0.6)


@fault(8, "two poses are not finite", "-", "pose")
def few_nan_poses(case: Case) -> Steps:
    yield from _bad_poses(case, _not_finite(case), 0.05)


@fault(9, "poses in another frame", "H, A", "pose")
def wrong_frame(case: Case) -> Steps:
    yield from _bad_poses(case, {"frame": case.rng.choice(["", "map", "base "])}, 0.6)


@fault(10, "quaternions are not unit", "H, A", "pose")
def bad_quaternion(case: Case) -> Steps:
    scale = case.rng.choice([0.0, 0.5, 1.01, 100.0])
    yield from _bad_poses(case, {"quaternion": np.array([scale, 0.0, 0.0, 0.0])}, 0.6)


@fault(11, "the pose jumps", "H, L", "pose")
def pose_jumps(case: Case) -> Steps:
    by = np.array([case.rng.choice([-1, 1]) * case.rng.uniform(0.06, 0.3), 0.0, 0.0])
    known = False

    def leap(pose: Pose) -> list[Pose]:
        nonlocal known
        if not known:
            known = True
            # At rest a person may move it, and so it is where the arm is to stand anyway.
            case.must_have_held(latches=case.oracle.moving and not case.oracle.must_stand)
        return [dataclasses.replace(pose, position=pose.position + by)]

    case.spoil("pose", leap)
    yield 0.3


# ---- world model


@fault(16, "the world model dies or hangs", "H, A", "heartbeat")
def model_stalls(case: Case) -> Steps:
    case.spoil("heartbeat", drop)
    yield SILENT_S


def _beats(case: Case, **change: Any) -> Steps:
    known = False

    def spoil(beat: Any) -> list[Any]:
        nonlocal known
        if not known:
            known = True
            if "checkpoint" not in change:
                case.must_hold()
            elif case.oracle.moving:  # without a chunk there is nothing to compare with
                case.must_have_held()
        case.world.good("heartbeat", beat)
        return [dataclasses.replace(beat, **change)]

    case.spoil("heartbeat", spoil)
    yield 0.6


@fault(19, "uncertainty is NaN, zero or impossible", "H, A", "heartbeat")
def impossible_uncertainty(case: Case) -> Steps:
    bad = case.rng.choice([math.nan, math.inf, 0.0, -0.1, 1.6])
    yield from _beats(case, uncertainty=bad, threshold=case.rng.choice([0.5, 5.0]))


@fault(19, "uncertainty does not change while moving", "H, A", "heartbeat")
def constant_uncertainty(case: Case) -> Steps:
    world = case.world
    count, at = 0, world.told_position + 1.0  # the gate knows of no other
    offset = world.ros_offset

    def repeat(beat: Any) -> list[Any]:
        nonlocal count, at, offset
        if count < 6 and world.ros_offset != offset:  # after a jump the gate begins anew
            count, at, offset = 0, world.told_position + 1.0, world.ros_offset
        if np.linalg.norm(world.told_position - at) > MOVED_M:
            count, at = count + 1, world.told_position
        if count == 6:
            count += 1
            case.must_hold()
        world.good("heartbeat", beat)
        return [dataclasses.replace(beat, uncertainty=0.25)]

    case.spoil("heartbeat", repeat)
    yield from case.until(lambda: count > 6, 3.0)
    if count <= 6 and case.alone:
        case.must_hold()  # the gate was quicker than we
    yield 0.3


@fault("contract 4", "uncertainty over its threshold, or no threshold", "H, A", "heartbeat")
def unsure(case: Case) -> Steps:
    change = case.rng.choice(
        [{"uncertainty": 0.51}, {"threshold": math.nan}, {"threshold": 0.0}]
        + [{"familiarity_error": 0.31}, {"familiarity_error": math.nan}, {"ready": False}]
    )
    yield from _beats(case, **change)


@fault(22, "other weights watch than approved", "H, A", "heartbeat")
def other_weights(case: Case) -> Steps:
    yield from _beats(case, checkpoint="other")  # the next chunks are rejected
