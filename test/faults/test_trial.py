"""The gate passes the trial, and gates that are broken on purpose do not."""

import dataclasses
from itertools import islice

import numpy as np
import pytest

from whale_ros.faults.catalogue import FAULTS
from whale_ros.faults.report import missed
from whale_ros.faults.trial import combinations, trials
from whale_ros.gate.core import Gate, State
from whale_ros.gate.debounce import Debounce


def find_missed(make_gate, count, *names, seed=3):
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    assert len(faults) == len(names) or not names
    tried = list(trials(count, seed, make_gate, faults))
    return missed(faults, tried)


def test_the_gate_keeps_the_contract_whatever_is_tried():
    assert find_missed(Gate, len(FAULTS)) == []
    assert find_missed(Gate, 6, *(fault.name for fault in FAULTS if fault.estop)) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_keeps_it_thousands_of_times():
    assert find_missed(Gate, 3000, seed=11) == []


def test_the_same_seed_tries_the_same():
    first, second = (list(trials(6, 5)) for _ in range(2))
    assert first == second and first != list(trials(6, 6))


def find_missed_of_several(make_gate, count, seed=3, faults=FAULTS):
    tried = list(islice(combinations(seed, make_gate, faults), count))
    return missed([fault for fault, _ in tried], [trial for _, trial in tried])


def test_it_keeps_it_when_several_faults_come_at_once():
    assert find_missed_of_several(Gate, 25) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_keeps_it_under_hundreds_of_pairs_and_triples():
    assert find_missed_of_several(Gate, 800, seed=11) == []


class Blind(Gate):
    """Does not look at some checks."""

    unseen: tuple[str, ...] = ()

    def _run_checks(self, now):
        return tuple(check for check in super()._run_checks(now) if check.name not in self.unseen)


class Repeating(Gate):
    """An arm's driver would keep on driving: the last command is repeated for ever."""

    last = None

    def cycle(self, now):
        command, status = super().cycle(now)
        if command.twist.any():
            self.last = command
        return self.last or command, status


class Forgetful(Gate):
    """Ends a latch by itself."""

    def cycle(self, now):
        self.reset(now)
        return super().cycle(now)


class Credulous(Gate):
    """Takes every chunk that has the right shape."""

    def _why_rejected(self, now, chunk):
        if chunk.horizon * 7 != len(chunk.numbers) or not np.isfinite(chunk.actions).all():
            return "malformed"
        if not np.isfinite([chunk.start, chunk.expiry]).all():
            return "timeless"
        return None


class Hasty(Gate):
    """Releases after a tenth of a second."""

    def __init__(self, config, now):
        super().__init__(config, now)
        self._debounce = Debounce(config.trip_cycles, 10)


class Slow(Gate):
    """Trips after a third of a second."""

    def __init__(self, config, now):
        super().__init__(config, now)
        self._debounce = Debounce(35, config.release_cycles)


class Jerky(Gate):
    """Knows no ramp."""

    def cycle(self, now):
        self._ramp.config = dataclasses.replace(self.config, max_linear_acceleration=1e6)
        return super().cycle(now)


class Drunken(Gate):
    """Goes somewhere else than the chunk says."""

    def cycle(self, now):
        command, status = super().cycle(now)
        return dataclasses.replace(command, twist=np.roll(command.twist, 1)), status


class Distracted(Gate):
    """Sees one thing at a time: while a check fails, those after it count as good."""

    def _run_checks(self, now):
        checks = super()._run_checks(now)
        bad = [i for i, check in enumerate(checks) if not check.ok]
        return tuple(
            dataclasses.replace(check, ok=check.ok or i > bad[0]) for i, check in enumerate(checks)
        )


class Resuming(Gate):
    """Goes on with the old plan after a hold."""

    old = None

    def cycle(self, now):
        if self._chunk is not None:
            self.old = dataclasses.replace(self._chunk, expiry=now.ros + 9, start=now.ros)
        command, status = super().cycle(now)
        if self.state is State.HOLD and not self._debounce.tripped and self._chunk is None:
            self._chunk = self.old
        return command, status


def blind(*unseen):
    return type("Blind", (Blind,), {"unseen": unseen})


@pytest.mark.parametrize(
    ("make_gate", "fault", "words"),
    [
        (blind("camera"), "camera stalls", "unsafe"),
        (blind("camera"), "stamps of images repeat", "unsafe"),
        (blind("pose", "pose_content", "skew"), "poses are not finite", "unsafe"),
        (blind("heartbeat"), "the world model dies or hangs", "unsafe"),
        (blind("uncertainty"), "uncertainty is NaN, zero or impossible", "unsafe"),
        (blind("picture"), "camera repeats a picture", "unsafe"),
        (blind("picture_kind"), "images of another size or encoding", "unsafe"),
        (blind("pose_jump"), "the pose jumps", "unsafe"),
        (blind("skew"), "poses lag behind images", "unsafe"),
        (blind("network"), "the network is cut", "unsafe"),
        (blind("command_topic"), "somebody else commands the arm", "unsafe"),
        (blind("loop"), "the gate sleeps", "unsafe"),
        (blind("estop"), "the e-stop falls silent", "unsafe"),
        (Repeating, "camera stalls", "unsafe"),
        (Repeating, "the stop service is called", "unsafe"),
        (Forgetful, "the pose jumps", "unsafe"),
        (Credulous, "a stale plan", "unsafe"),
        (Credulous, "actions that are not finite, too large or leave the box", "unsafe"),
        (Credulous, "replayed or reordered plans", "unsafe"),
        (Hasty, "camera stalls", "unsafe"),
        (Slow, "camera stalls", "unsafe"),
        (Jerky, "camera stalls", "unsafe"),
        (Drunken, "camera stalls", "unsafe"),
        (Resuming, "camera stalls", "unsafe"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_gate_is_caught(make_gate, fault, words):
    wrong = find_missed(make_gate, 4, fault)
    assert any(fault in line and words in line for line in wrong), wrong


def test_who_sees_one_thing_at_a_time_is_caught_only_when_several_come_at_once():
    names = "camera stalls", "somebody else commands the arm"
    faults = [fault for fault in FAULTS if fault.name in names]
    assert find_missed(Distracted, 4, *names) == []
    wrong = find_missed_of_several(Distracted, 8, faults=faults)
    assert any(all(name in line for name in names) and "unsafe" in line for line in wrong), wrong
