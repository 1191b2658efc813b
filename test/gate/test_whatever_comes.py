import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.gate.core import State

floats = st.floats(allow_nan=True, allow_infinity=True, width=32)
small = st.floats(-0.12, 0.12)
changes = st.sampled_from(
    [
        {},
        {},
        {},
        {"frame": "x"},
        {"dim": 6},
        {"horizon": 3},
        {"session": "s2"},
        {"sequence": 1},
        {"uncertainty": math.nan},
        {"uncertainty": 2.0},
        {"checkpoint": "y"},
    ]
)
events = st.one_of(
    st.tuples(st.just("cycle"), st.integers(1, 60)),
    st.tuples(st.just("clean"), st.just(110)),
    st.tuples(st.just("chunk"), st.lists(st.lists(small, min_size=7, max_size=7), max_size=5)),
    st.tuples(st.just("good"), changes),
    st.tuples(st.just("wild"), st.lists(floats, min_size=7, max_size=7)),
    st.tuples(st.just("expiry"), st.floats(0.01, 1.0)),
    st.tuples(st.just("silent"), st.sampled_from(["camera", "pose", "heartbeat"])),
    st.tuples(st.just("uncertainty"), floats),
    st.tuples(st.just("stamp"), floats),
    st.tuples(st.just("pose"), st.lists(floats, min_size=7, max_size=7)),
    st.tuples(st.just("skip"), st.floats(0, 3)),
    st.tuples(st.just("mode"), st.sampled_from(["gate", "hold", "nonsense"])),
    st.tuples(st.just("graph"), st.booleans()),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("reset"), st.none()),
)


def apply(rig, kind, value):
    gate, now = rig.gate, rig.now
    if kind in ("cycle", "clean"):
        if kind == "clean":
            rig.silent, rig.heartbeat = set(), {}
            gate.set_mode(now, "gate")
        return value
    if kind == "chunk":
        rig.send(np.reshape(value, (-1, 7)))
    elif kind == "good":
        rig.send(**value)
    elif kind == "wild":
        rig.send([value])
    elif kind == "expiry":
        rig.send(expiry=now.ros + value)
    elif kind == "silent":
        rig.silent = rig.silent ^ {value}
    elif kind == "uncertainty":
        rig.heartbeat = {"uncertainty": value}
    elif kind == "stamp":
        gate.on_camera(now, value, rig.picture())
        gate.on_pose(now, rig.pose(stamp=value))
    elif kind == "pose":
        gate.on_pose(now, rig.pose(position=np.array(value[:3]), quaternion=np.array(value[3:])))
    elif kind == "skip":
        rig.t = round(rig.t + value, 2)
    elif kind == "mode":
        gate.set_mode(now, value)
    elif kind == "graph":
        gate.on_graph({}, ("/x",) if value else ())
    elif kind == "stop":
        gate.stop(now, "stop")
    elif kind == "reset":
        gate.reset(now)
    return 1


@settings(max_examples=3 * settings().max_examples)
@given(st.lists(events, max_size=25))
def test_whatever_comes_the_command_is_finite_within_limits_and_zero_unless_executing(
    new_rig, sequence
):
    rig = new_rig()
    rig.cycle(110)
    latched = False
    previous = np.zeros(6)
    for kind, value in sequence:
        cycles = apply(rig, kind, value)
        latched = latched and kind != "reset"
        for _ in range(cycles):
            running = rig.gate._chunk
            rig.cycle()
            twist = rig.command.twist
            assert twist.shape == (6,) and np.isfinite(twist).all()
            assert np.linalg.norm(twist[:3]) <= 0.25 * 1.0001
            assert np.linalg.norm(twist[3:]) <= 0.5 * 1.0001
            if twist.any():
                assert rig.status.state is State.EXECUTING and not rig.status.reason
                assert not latched, "moved after a latch without a reset"
                assert rig.now.ros < running.expiry, "moved by an expired chunk"
                assert np.linalg.norm((twist - previous)[:3]) <= 2.0 * 0.02 * 1.0001
            elif rig.status.state is not State.EXECUTING:
                assert rig.status.reason
            assert rig.command.gripper is None or 0 <= rig.command.gripper <= 1
            latched = latched or rig.status.state is State.LATCHED
            previous = twist


def test_the_property_above_is_not_empty(rig):
    """The same events do move the arm."""
    apply(rig, "good", {})
    rig.cycle(3)
    assert rig.moving()
