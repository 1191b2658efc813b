"""Faults of what the gate is told, in simulated time: camera, clocks, pose, world model.

Each begins while the arm moves, and says to the oracle from when on it could be noticed, where that
does not follow from the silence of a stream.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from whale_ros.faults.case import Case
from whale_ros.faults.fault import Steps, fault
from whale_ros.gate.pose import Pose

SILENT_S = 0.9  # longer than every time-out, and shorter than a cut network
FROZEN_M = 0.015  # a hand that moved so far must have changed the picture
MOVED_M = 0.001  # from one picture or number that counts to the next
STREAMS = ("camera", "pose", "heartbeat", "chunk")


def drop(_message: Any) -> list[Any]:
    return []


# ---- camera


@fault(1, "camera stalls", "H, A", "camera")
def camera_stalls(case: Case) -> Steps:
    case.spoil("camera", drop)
    yield SILENT_S


@fault(2, "camera repeats a picture", "H, L", "camera")
def camera_freezes(case: Case) -> Steps:
    world = case.world
    first: list = []
    # What else is tried may stop the arm before the gate, which asks for 2 cm, can be sure.
    enough = FROZEN_M if case.alone else 0.025
    repeats, way, last, plain = 0, 0.0, world.position, False

    def repeat(message: tuple) -> list:
        nonlocal last
        stamp, picture = message
        if not first:
            first.append(picture)
            last = world.position
            return [message]
        world.good("camera", message)
        look()
        return [(stamp, first[0])]

    def look() -> None:
        nonlocal plain, repeats, way, last
        moved = float(np.linalg.norm(world.position - last))
        if moved > MOVED_M:
            repeats, way, last = repeats + 1, way + moved, world.position
        if not plain and repeats >= 5 and way > enough:
            plain = True
            case.must_hold()

    case.spoil("camera", repeat)
    yield from case.until(lambda: plain, 4.0)
    if not plain and case.alone:
        case.must_hold()  # the gate was quicker than we
    yield 0.2


@fault(3, "stamps of images repeat", "H, A", "camera")
def duplicate_stamps(case: Case) -> Steps:
    world = case.world
    stamp = world.now.ros
    case.spoil("camera", lambda message: [(stamp, message[1])])
    world.gate.on_camera(world.now, stamp, world.picture())
    world.good("camera", (stamp, None))
    yield SILENT_S


def _bad_stamp(case: Case, stream: str, max_age_s: float) -> Steps:
    rng = case.rng
    shift = rng.choice(["zero", "future", "old", "nan"])
    by = {"future": rng.uniform(0.3, 5.0), "old": -max_age_s - rng.uniform(0.3, 9.0)}

    def stamped(stamp: float) -> float:
        return {"zero": 0.0, "nan": math.nan}.get(shift, stamp + by.get(shift, 0.0))

    def change(message: Any) -> list[Any]:
        if stream == "camera":
            return [(stamped(message[0]), message[1])]
        return [dataclasses.replace(message, stamp=stamped(message.stamp))]

    case.spoil(stream, change)
    yield SILENT_S


@fault(4, "image stamps of the future, old or zero", "H, A", "camera", "clock")
def bad_image_stamps(case: Case) -> Steps:
    yield from _bad_stamp(case, "camera", 0.3)


@fault(4, "pose stamps of the future, old or zero", "H, A", "pose", "clock")
def bad_pose_stamps(case: Case) -> Steps:
    yield from _bad_stamp(case, "pose", 0.2)


@fault(4, "heartbeat stamps of the future, old or zero", "H, A", "heartbeat", "clock")
def bad_heartbeat_stamps(case: Case) -> Steps:
    yield from _bad_stamp(case, "heartbeat", 1.0)


@fault(12, "images contradict their size", "H, A", "camera")
def impossible_images(case: Case) -> Steps:
    change: dict = case.rng.choice(
        [{"size": 100}, {"step": 0, "size": 0}, {"height": 0, "size": 0}]
    )
    case.spoil("camera", lambda m: [(m[0], dataclasses.replace(m[1], **change))])
    yield SILENT_S


@fault(13, "images of another size or encoding", "H, L", "camera")
def another_size(case: Case) -> Steps:
    change: dict = case.rng.choice(
        [{"width": 64, "step": 192, "size": 192 * 128}, {"encoding": "bgr8"}, {"height": 64}]
    )
    known = False

    def resize(message: tuple) -> list:
        nonlocal known
        if not known:
            known = True
            case.must_hold()
        picture = dataclasses.replace(message[1], **change)
        return [(message[0], dataclasses.replace(picture, size=picture.height * picture.step))]

    case.spoil("camera", resize)
    yield 0.4


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
            case.must_have_held(latches=case.oracle.moving)  # at rest a person may move it
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
    count, at = 0, world.position + 1.0

    def repeat(beat: Any) -> list[Any]:
        nonlocal count, at
        if np.linalg.norm(world.position - at) > MOVED_M:
            count, at = count + 1, world.position
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
