"""Faults that can be tried on the gate's core in simulated time, by the rows of the matrix in
docs/safety.md. Each begins while the arm moves, and says to the oracle from when on it could be
noticed, where that does not follow from the silence of a stream."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from whale_ros.faults.world import World
from whale_ros.gate.pose import Pose

SILENT_S = 0.9  # longer than every time-out, and shorter than a cut network
FROZEN_M = 0.015  # a hand that moved so far must have changed the picture


@dataclass(frozen=True)
class Fault:
    """required: H hold, X rejected, - nothing but the limits; latches: until a person resets.

    estop: whether it needs a world with or without an e-stop, None where it does not matter.
    """

    row: int | str  # of the matrix, or an item of the contract above it
    name: str
    required: str
    latches: bool
    inject: Callable[..., None]  # of a World, or of a running system
    estop: bool | None = None


FAULTS: list[Fault] = []


def fault(row: int | str, name: str, required: str, estop: bool | None = None):
    """required: "H, A", "H, L", "X" or "-"."""

    def register(inject: Callable[[World], None]) -> Callable[[World], None]:
        kind, _, ends = required.partition(", ")
        FAULTS.append(Fault(row, name, kind, ends == "L", inject, estop))
        return inject

    return register


def drop(_message: Any) -> list[Any]:
    return []


# ---- camera


@fault(1, "camera stalls", "H, A")
def camera_stalls(world: World) -> None:
    world.filters["camera"] = drop
    world.run(SILENT_S)


@fault(2, "camera repeats a picture", "H, L")
def camera_freezes(world: World) -> None:
    first: list = []
    repeats, way, last, plain = 0, 0.0, world.position, False

    def repeat(message: tuple) -> list:
        nonlocal repeats, last
        stamp, picture = message
        if not first:
            first.append(picture)
            last = world.position
            return [message]
        repeats += 1
        world.good("camera", message)
        look()
        return [(stamp, first[0])]

    def look() -> bool:
        nonlocal plain, way, last
        way, last = way + float(np.linalg.norm(world.position - last)), world.position
        if not plain and repeats >= 5 and way > FROZEN_M:
            plain = True
            world.oracle.must_hold(world.t, latches=True)
        return plain

    world.filters["camera"] = repeat
    if not world.run_until(look, 4.0):
        world.oracle.must_hold(world.t, latches=True)  # the gate was quicker than we
    world.run(0.2)


@fault(3, "stamps of images repeat", "H, A")
def duplicate_stamps(world: World) -> None:
    stamp = world.now.ros
    world.filters["camera"] = lambda message: [(stamp, message[1])]
    world.gate.on_camera(world.now, stamp, world.picture())
    world.good("camera", (stamp, None))
    world.run(SILENT_S)


def _bad_stamp(world: World, stream: str, max_age_s: float) -> None:
    shift = world.rng.choice(["zero", "future", "old", "nan"])
    by = {"future": world.rng.uniform(0.3, 5.0), "old": -max_age_s - world.rng.uniform(0.3, 9.0)}

    def stamped(stamp: float) -> float:
        return {"zero": 0.0, "nan": math.nan}.get(shift, stamp + by.get(shift, 0.0))

    def change(message: Any) -> list[Any]:
        if stream == "camera":
            return [(stamped(message[0]), message[1])]
        return [dataclasses.replace(message, stamp=stamped(message.stamp))]

    world.filters[stream] = change
    world.run(SILENT_S)


@fault(4, "image stamps of the future, old or zero", "H, A")
def bad_image_stamps(world: World) -> None:
    _bad_stamp(world, "camera", 0.3)


@fault(4, "pose stamps of the future, old or zero", "H, A")
def bad_pose_stamps(world: World) -> None:
    _bad_stamp(world, "pose", 0.2)


@fault(4, "heartbeat stamps of the future, old or zero", "H, A")
def bad_heartbeat_stamps(world: World) -> None:
    _bad_stamp(world, "heartbeat", 1.0)


@fault(12, "images contradict their size", "H, A")
def impossible_images(world: World) -> None:
    change: dict = world.rng.choice(
        [{"size": 100}, {"step": 0, "size": 0}, {"height": 0, "size": 0}]
    )
    world.filters["camera"] = lambda m: [(m[0], dataclasses.replace(m[1], **change))]
    world.run(SILENT_S)


@fault(13, "images of another size or encoding", "H, L")
def another_size(world: World) -> None:
    change: dict = world.rng.choice(
        [{"width": 64, "step": 192, "size": 192 * 128}, {"encoding": "bgr8"}, {"height": 64}]
    )
    known = False

    def resize(message: tuple) -> list:
        nonlocal known
        if not known:
            known = True
            world.oracle.must_hold(world.t, latches=True)
        picture = dataclasses.replace(message[1], **change)
        return [(message[0], dataclasses.replace(picture, size=picture.height * picture.step))]

    world.filters["camera"] = resize
    world.run(0.4)


# ---- clocks


@fault(5, "ROS time jumps by up to a second", "H, A")
def small_jump(world: World) -> None:
    world.ros_offset += world.rng.choice([-1, 1]) * world.rng.uniform(0.07, 0.95)
    world.oracle.must_hold(world.t)
    world.oracle.well_again(world.t)
    world.run(0.1)


@fault(5, "ROS time jumps by more than a second", "H, L")
def large_jump(world: World) -> None:
    world.ros_offset += world.rng.choice([-1, 1]) * world.rng.uniform(1.05, 1000.0)
    world.oracle.must_hold(world.t, latches=True)
    world.run(0.1)


@fault(6, "ROS time stands still", "H, A")
def time_stops(world: World) -> None:
    world.ros_stopped = world.now.ros
    world.oracle.must_hold(world.t + 0.2)
    world.run(world.rng.uniform(0.4, 0.9))
    world.ros_offset, world.ros_stopped = world.ros_stopped - world.t, None


@fault(7, "poses lag behind images", "H, A")
def skew(world: World) -> None:
    lag, images = world.rng.uniform(0.13, 0.16), 0
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
            world.oracle.must_hold(world.t)
        return [message]

    world.filters |= {"pose": late, "camera": look}
    world.run(0.9)


# ---- pose


def _bad_poses(world: World, change: dict, seconds: float) -> None:
    known = False

    def spoil(pose: Pose) -> list[Pose]:
        nonlocal known
        if not known and seconds > 0.3:
            known = True
            world.oracle.must_hold(world.t + 0.1)
        return [dataclasses.replace(pose, **change)]

    world.filters["pose"] = spoil
    world.run(seconds)


def _not_finite(world: World) -> dict:
    bad = world.rng.choice([math.nan, math.inf, -math.inf])
    if world.rng.random() < 0.5:
        return {"position": np.array([0.0, bad, 0.2])}
    return {"quaternion": np.array([bad, 0.0, 0.0, 0.0])}


@fault(8, "poses are not finite", "H, A")
def nan_poses(world: World) -> None:
    _bad_poses(world, _not_finite(world), 0.6)


@fault(8, "two poses are not finite", "-")
def few_nan_poses(world: World) -> None:
    _bad_poses(world, _not_finite(world), 0.05)


@fault(9, "poses in another frame", "H, A")
def wrong_frame(world: World) -> None:
    _bad_poses(world, {"frame": world.rng.choice(["", "map", "base "])}, 0.6)


@fault(10, "quaternions are not unit", "H, A")
def bad_quaternion(world: World) -> None:
    scale = world.rng.choice([0.0, 0.5, 1.01, 100.0])
    _bad_poses(world, {"quaternion": np.array([scale, 0.0, 0.0, 0.0])}, 0.6)


@fault(11, "the pose jumps", "H, L")
def pose_jumps(world: World) -> None:
    by = np.array([world.rng.choice([-1, 1]) * world.rng.uniform(0.06, 0.3), 0.0, 0.0])
    known = False

    def leap(pose: Pose) -> list[Pose]:
        nonlocal known
        if not known:
            known = True
            world.oracle.must_hold(world.t, latches=True)
        return [dataclasses.replace(pose, position=pose.position + by)]

    world.filters["pose"] = leap
    world.run(0.3)


# ---- world model


@fault(16, "the world model dies or hangs", "H, A")
def model_stalls(world: World) -> None:
    world.filters["heartbeat"] = drop
    world.run(SILENT_S)


def _beats(world: World, **change: Any) -> None:
    known = False

    def spoil(beat: Any) -> list[Any]:
        nonlocal known
        if not known:
            known = True
            world.oracle.must_hold(world.t)
            if "checkpoint" in change:  # without a chunk there is nothing to compare with
                world.oracle.well_again(world.t)
        world.good("heartbeat", beat)
        return [dataclasses.replace(beat, **change)]

    world.filters["heartbeat"] = spoil
    world.run(0.6)


@fault(19, "uncertainty is NaN, zero or impossible", "H, A")
def impossible_uncertainty(world: World) -> None:
    bad = world.rng.choice([math.nan, math.inf, 0.0, -0.1, 1.6])
    _beats(world, uncertainty=bad, threshold=world.rng.choice([0.5, 5.0]))


@fault(19, "uncertainty does not change while moving", "H, A")
def constant_uncertainty(world: World) -> None:
    count, at = 0, world.position + 1.0

    def repeat(beat: Any) -> list[Any]:
        nonlocal count, at
        if np.linalg.norm(world.position - at) > 0.001:
            count, at = count + 1, world.position
        if count == 6:
            count += 1
            world.oracle.must_hold(world.t)
        world.good("heartbeat", beat)
        return [dataclasses.replace(beat, uncertainty=0.25)]

    world.filters["heartbeat"] = repeat
    if not world.run_until(lambda: count > 6, 3.0):
        world.oracle.must_hold(world.t)  # the gate was quicker than we
    world.run(0.3)


@fault("contract 4", "uncertainty over its threshold, or no threshold", "H, A")
def unsure(world: World) -> None:
    change = world.rng.choice(
        [{"uncertainty": 0.51}, {"threshold": math.nan}, {"threshold": 0.0}]
        + [{"familiarity_error": 0.31}, {"familiarity_error": math.nan}, {"ready": False}]
    )
    _beats(world, **change)


@fault(22, "other weights watch than approved", "H, A")
def other_weights(world: World) -> None:
    _beats(world, checkpoint="other")  # the next chunks are rejected


# ---- planner


def _rejected(world: World, *makers: Callable[[], Any]) -> None:
    """Send bad chunks to a moving or a resting arm: nothing may come of it."""
    if world.rng.random() < 0.5:
        world.planning = False
        world.run_until(lambda: not world.oracle.moving, 3.0)
        world.run(0.05)
    for make in makers:
        world.send(make())
    world.run(0.3)
    world.planning = True


def _aside(world: World, size: float = 0.03) -> np.ndarray:
    """(5, 7): actions that no good chunk has."""
    angle = world.rng.uniform(0, 2 * math.pi)
    return np.tile([size * math.cos(angle), size * math.sin(angle), 0, 0, 0, 0, 0.5], (5, 1))


@fault(23, "a stale plan", "X")
def stale_plan(world: World) -> None:
    now, uniform = world.now.ros, world.rng.uniform
    change: dict = world.rng.choice(
        [
            {"stamp": now - uniform(1.05, 50)},
            {"stamp": now + uniform(0.1, 50), "expiry": now + 51},
            {"stamp": 0.0},
            {"stamp": math.nan},
            {"expiry": now - uniform(0.0, 50)},
            {"expiry": now + uniform(5.1, 500)},
            {"expiry": math.inf},
            {"start": now + uniform(0.1, 50)},
            {"start": now - uniform(1.01, 50)},
            {"start": math.nan},
        ]
    )
    _rejected(world, lambda: world.chunk(_aside(world), **change))


@fault(24, "two planners", "H, L")
def two_planners(world: World) -> None:
    old = world.session
    world.session = f"s{int(old[1:]) + 1}"
    world.approve(world.chunk())
    world.run(world.rng.uniform(0.02, 0.5))
    world.oracle.must_hold(world.t, latches=True)
    world.send(world.chunk(_aside(world), session=old))
    world.run(0.3)


@fault(25, "malformed, empty or huge chunks", "X")
def malformed(world: World) -> None:
    change: dict = world.rng.choice(
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
    _rejected(world, lambda: world.chunk(_aside(world), **change))


@fault(26, "another action space", "X")
def other_actions(world: World) -> None:
    changes: list[dict] = [{"dim": 6}, {"action_space": "joints/7"}, {"action_space": ""}]
    changes += [{"step_s": 0.1}, {"step_s": math.nan}, {"step_s": 0.0}]
    change = world.rng.choice(changes)
    _rejected(world, lambda: world.chunk(_aside(world), **change))


@fault(27, "actions that are not finite, too large or leave the box", "X")
def bad_actions(world: World) -> None:
    actions = _aside(world)
    step = world.rng.randrange(len(actions))
    kind = world.rng.choice(["number", "step", "turn", "gripper", "box", "unsure", "weights"])
    change: dict = {}
    if kind == "number":
        number = world.rng.choice([math.nan, math.inf, -math.inf])
        actions[step, world.rng.randrange(7)] = number
    elif kind == "step":
        actions[step, :3] = [0.0, world.rng.uniform(0.0502, 5.0), 0.0]
    elif kind == "turn":
        actions[step, 3:6] = [0.0, 0.0, world.rng.uniform(0.1002, 3.0)]
    elif kind == "gripper":
        actions[step, 6] = world.rng.choice([-0.01, 1.01, 1e9])
    elif kind == "box":
        side = world.rng.choice([-1.0, 1.0])
        actions = np.tile([side * 0.05, 0, 0, 0, 0, 0, 0.5], (20, 1))
    elif kind == "unsure":
        change = {"uncertainty": world.rng.choice([math.nan, 0.0, -1.0, 0.51, 2.0])}
    else:
        change = {"checkpoint": world.rng.choice(["", "other"])}
    _rejected(world, lambda: world.chunk(actions, **change))


@fault(28, "replayed or reordered plans", "X")
def replayed(world: World) -> None:
    sent = [chunk for chunk in world.sent if chunk.session == world.session]
    if world.rng.random() < 0.3:
        _rejected(world, lambda: world.rng.choice(sent))
    else:
        back = world.rng.randrange(len(sent))
        _rejected(world, lambda: world.chunk(_aside(world), sequence=sent[-1].sequence - back))


@fault(34, "a flood of plans", "X")
def flood(world: World) -> None:
    make = [lambda: world.chunk(_aside(world), checkpoint="other")] * 200
    _rejected(world, *make)


# ---- everything at once


@fault(29, "the network is cut", "H, L")
def cut_network(world: World) -> None:
    for stream in ("camera", "pose", "heartbeat", "chunk"):
        world.filters[stream] = drop
    world.oracle.must_hold(world.t + 1.03, latches=True)
    world.run(1.4)


@fault(30, "messages are lost", "-")
def lossy(world: World) -> None:
    share = world.rng.uniform(0.0, 0.5)
    for stream in ("camera", "pose", "heartbeat", "chunk"):
        world.filters[stream] = lambda m: [] if world.rng.random() < share else [m]
    world.run(1.5)


@fault(30, "messages are late by up to 0.5 s", "-")
def late(world: World) -> None:
    def delay(stream: str) -> Callable[[Any], list[Any]]:
        def later(message: Any) -> list[Any]:
            if stream != "chunk":
                world.good(stream, message)  # how late is too late, others try
            world.delay(stream, message, world.rng.uniform(0.0, 0.5))
            return []

        return later

    for stream in ("camera", "pose", "heartbeat", "chunk"):
        world.filters[stream] = delay(stream)
    world.run(1.5)


@fault(33, "somebody else commands the arm", "H, L")
def foreign_commander(world: World) -> None:
    world.oracle.must_hold(world.t, latches=True)
    world.gate.on_graph({}, ("/joystick on /arm/twist_command",))
    world.run(0.3)
    world.gate.on_graph({}, ())


@fault(38, "the gate restarts while the arm moves", "H, A")
def restart(world: World) -> None:
    world.oracle.must_hold(world.t)
    world.oracle.well_again(world.t)
    world.restart_gate()
    world.run(0.05)
    world.planning = False
    for chunk in world.sent[-3:]:
        world.send(chunk)
    world.run(1.1)
    for chunk in world.sent[-3:]:
        world.send(chunk)
    world.run(0.1)
    world.planning = True


@fault(39, "the gate sleeps", "H, A", estop=False)
def starved(world: World) -> None:
    world.sleep(world.rng.uniform(0.13, 3.0))


@fault(40, "the e-stop is pressed", "H, L", estop=True)
def pressed(world: World) -> None:
    moments = world.rng.choice([1, 5, 30])  # of 20 ms
    count = 0

    def press(_message: bool) -> list[bool]:
        nonlocal count
        count += 1
        if count == 1:
            world.oracle.must_hold(world.t, latches=True, within_s=0.05)
        return [count <= moments]

    world.filters["estop"] = press
    world.run(0.8)


@fault(40, "the e-stop falls silent", "H, L", estop=True)
def silent_estop(world: World) -> None:
    world.filters["estop"] = drop
    world.oracle.must_hold(world.oracle.last_heard("estop"), latches=True, within_s=0.15)
    world.run(0.4)


@fault("contract 2", "an exception in the gate", "H, L")
def exception(world: World) -> None:
    world.oracle.must_hold(world.t, latches=True)
    world.gate.fail(world.now, "ZeroDivisionError")
    world.run(0.2)


@fault("contract 8", "the stop service is called", "H, L")
def stopped(world: World) -> None:
    world.oracle.must_hold(world.t, latches=True)
    world.gate.stop(world.now, "stop was called")
    world.run(0.2)
