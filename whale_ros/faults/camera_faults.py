"""Faults of the camera, and of stamps, in simulated time.

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

SILENT_S = 0.9  # longer than every time-out, and shorter than a cut network
FROZEN_M = 0.015  # a hand that moved so far must have changed the picture
MOVED_M = 0.001  # from one picture or number that counts to the next


def drop(_message: Any) -> list[Any]:
    return []


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
    repeats, way, last, plain = 0, 0.0, world.told_position, False  # the gate knows of no other

    def repeat(message: tuple) -> list:
        nonlocal last
        stamp, picture = message
        if not first:
            first.append(picture)
            last = world.told_position
            return [message]
        world.good("camera", message)
        look()
        return [(stamp, first[0])]

    def look() -> None:
        nonlocal plain, repeats, way, last
        moved = float(np.linalg.norm(world.told_position - last))
        if moved > MOVED_M:
            repeats, way, last = repeats + 1, way + moved, world.told_position
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
