import dataclasses
import math

import numpy as np
import pytest

from whale_ros.gate.check import Now
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import State
from whale_ros.gate.estop import EStop

CONFIG = dataclasses.replace(GateConfig(), estop_topic="estop")
SLOW = np.tile([0.005, 0, 0, 0, 0, 0, 0], (8, 1))


@pytest.fixture
def rig(new_rig):
    rig = new_rig(CONFIG)
    rig.cycle(130)
    rig.send(SLOW)
    rig.cycle(5)
    assert rig.moving()
    return rig


@pytest.mark.parametrize("mode", ["gate", "monitor_only"])
def test_pressed_is_zero_in_the_next_cycle_and_latches_in_every_mode(rig, mode):
    rig.gate.set_mode(rig.now, mode)
    rig.cycle()
    rig.send(SLOW)
    rig.cycle()
    assert rig.moving()
    rig.pressed = True
    rig.cycle()
    assert not rig.moving() and rig.status.state is State.LATCHED
    assert "estop is pressed" in rig.status.reason
    assert "the cause persists" in rig.gate.reset(rig.now)
    rig.pressed = False
    rig.cycle(200)
    assert rig.status.state is State.LATCHED
    assert rig.gate.reset(rig.now) is None


def test_no_reset_ends_another_latch_while_it_is_pressed(rig):
    rig.gate.stop(rig.now, "a person said so")
    rig.pressed = True
    rig.cycle()
    assert "estop is pressed" in rig.gate.reset(rig.now)
    rig.pressed = False
    rig.cycle()
    assert rig.gate.reset(rig.now) is None


def test_a_press_of_a_moment_counts(rig):
    rig.gate.on_estop(rig.now, True)
    rig.cycle()
    assert rig.status.state is State.LATCHED, "though a release came before the next cycle"


def test_silence_counts_as_pressed_and_not_before_its_limit(rig):
    rig.silent = {"estop"}
    rig.cycle(9)
    assert rig.moving()
    rig.cycle(2)
    assert not rig.moving() and rig.status.state is State.LATCHED
    assert "counts as pressed" in rig.status.reason


def test_one_that_was_never_heard_holds_but_needs_no_reset(new_rig):
    rig = new_rig(CONFIG)
    rig.silent = {"estop"}
    rig.cycle(130)
    assert rig.status.state is State.HOLD and "no e-stop was heard on estop" in rig.status.reason
    rig.silent = set()
    rig.cycle(101)
    assert rig.send() is None


def test_where_there_is_none_none_is_missed(new_rig):
    rig = new_rig()
    rig.silent = {"estop"}
    rig.cycle(130)
    assert "estop" not in [check.name for check in rig.status.checks] and rig.send() is None


@pytest.mark.parametrize(
    ("age", "pressed", "ok", "message"),
    [
        (0.0, False, True, "the e-stop on /red was heard 0.000 s ago"),
        (0.1, False, True, "the e-stop on /red was heard 0.100 s ago"),
        (
            0.11, False, False,
            "the e-stop on /red was heard 0.110 s ago, limit 0.1 s: counts as pressed",
        ),
        (-0.01, False, False, "the e-stop on /red was heard -0.010 s ago, limit 0.1 s: "
         "counts as pressed"),
        (0.0, True, False, "the e-stop on /red is pressed"),
        (9.0, True, False, "the e-stop on /red is pressed"),
    ],
)  # fmt: skip
def test_what_it_says_is_believed_for_a_tenth_of_a_second(age, pressed, ok, message):
    estop = EStop("/red", 0.1)
    estop.feed(Now(0.0, 1.0), pressed)
    check = estop.check(Now(age, 1.0))
    assert (check.name, check.ok, check.value, check.threshold) == ("estop", ok, age, 0.1)
    assert check.message == message and check.urgent and estop.was_heard


def test_silence_from_the_start_counts_as_pressed():
    estop = EStop("/red", 0.1)
    check = estop.check(Now(0.0, 1.0))
    assert not check.ok and check.value == math.inf and check.urgent
    assert estop.was_heard is False
    assert check.message == "no e-stop was heard on /red: counts as pressed"
