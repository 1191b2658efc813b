"""Judges commands by the safety contract. It sees what was sent to the gate, what the gate
commands, and the times of both, and shares no code with the gate."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

CLEAN_S = 0.95  # of good inputs before motion may begin again; the contract says 1 s
NOTICED_S = 0.05  # a silence that ends sooner need not be noticed
REMEMBERED_APPROVALS = 8
LATCH = "latch"  # the rule that is broken by motion after a latch without a reset
WRITTEN_VIOLATIONS = 1000


@dataclass(frozen=True)
class Limits:
    """Of the arm, as a person reads them from its data sheet [m, rad, s].

    silence_s: how long each stream of inputs may be silent. hold_s: from the moment at which a
    fault can be noticed until zero. slack_s: by how much the oracle's clock may be off.
    """

    speed: float = 0.25
    turn: float = 0.5
    acceleration: float = 2.0
    turn_acceleration: float = 4.0
    low: Sequence[float] = (-0.32, 0.38, 0.03)
    high: Sequence[float] = (0.32, 0.92, 0.42)
    margin: float = 0.02  # 1 cm that the gate leaves to the arm, and what it moves in a hold
    silence_s: Mapping[str, float] = field(
        default_factory=lambda: {"camera": 0.3, "pose": 0.2, "heartbeat": 0.5}
    )
    hold_s: float = 0.25
    slack_s: float = 0.001


@dataclass(frozen=True)
class Approval:
    """What the planner approved. approved [steady s]; start and expiry [ROS s]; twists (H, 6)."""

    approved: float
    start: float
    expiry: float
    step_s: float
    twists: np.ndarray

    def wanted(self, ros: float) -> np.ndarray:
        """(6,) at a ROS time; zero after the last action."""
        step = max(0, math.floor((ros - self.start) / self.step_s))
        return self.twists[step] if step < len(self.twists) else np.zeros(6)


@dataclass(eq=False)
class Demand:
    """The arm must stand from `since` + `within_s` on, until a reset if it latches, else until
    all was well for a while. Times in steady seconds."""

    fault: str
    since: float
    within_s: float
    latches: bool
    was_moving: bool
    declared: bool  # else it follows from the silence of a stream
    zero: float | None = None  # since then it stands
    arrived: float | None = None  # the command that says so
    over: float | None = None  # all is well again, or was reset
    moved_again: float | None = None

    @property
    def latency_s(self) -> float | None:
        """From the moment at which the fault could be noticed until the command of zero has
        arrived; None if it never stood."""
        return None if self.arrived is None else max(0.0, self.arrived - self.since)

    @property
    def recovery_s(self) -> float | None:
        if self.over is None or self.moved_again is None:
            return None
        return self.moved_again - self.over


@dataclass(frozen=True)
class Violation:
    time: float
    fault: str
    rule: str
    words: str


class Oracle:
    """All times are steady seconds, if they are not called `ros`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.fault = ""  # what is being tried, for the records
        self.demands: list[Demand] = []
        self.violations: list[Violation] = []
        self.unsafe = 0  # commands that broke a rule
        self.commands = 0
        self.moving = False
        self._open: list[Demand] = []
        self._heard: dict[str, float] = {}
        self._silent: dict[str, Demand] = {}
        self._approvals: deque[Approval] = deque(maxlen=REMEMBERED_APPROVALS)
        self._twist = np.zeros(6)
        self._time = -math.inf
        self._held = -math.inf  # when the last hold began
        self._woke = -math.inf  # the gate, from a sleep that is no fault of its own

    # ---- inputs of the gate

    def heard(self, time: float, stream: str) -> None:
        """A message of a stream reached the gate, and there is nothing wrong with it."""
        silent = self._silent.pop(stream, None)
        if silent is not None:
            if time - silent.since < NOTICED_S:
                self._drop(silent)
            else:
                silent.over = time
        self._heard[stream] = time

    @property
    def must_stand(self) -> bool:
        """Whether a hold is due already, or its clean second has not passed."""
        return bool(self._open)

    def last_heard(self, stream: str, otherwise: float) -> float:
        return self._heard.get(stream, otherwise)

    def restarted(self) -> None:
        """The gate is another one: streams that it has not heard yet do not fall silent."""
        self._heard.clear()

    def slept(self, until: float) -> None:
        """The gate was kept from running, and could notice nothing until then."""
        self._woke = until
        for demand in self._open:
            if demand.zero is None:
                demand.since = max(demand.since, until)
                if demand.over is not None:
                    demand.over = max(demand.over, until)

    def approved(self, approval: Approval) -> None:
        """A chunk reached the gate that it may execute."""
        self._approvals.append(approval)

    def must_hold(
        self,
        since: float,
        latches: bool = False,
        within_s: float = 0.0,
        declared: bool = True,
        fault: str = "",
    ) -> Demand:
        """From `since` on it can be known that something is wrong. fault: which of several."""
        within_s = within_s or self.limits.hold_s
        since = max(since, self._woke)
        demand = Demand(fault or self.fault, since, within_s, latches, self.moving, declared)
        self.demands.append(demand)
        self._open.append(demand)
        return demand

    def well_again(self, time: float, fault: str = "") -> None:
        """What was declared is over, or that of one fault; streams tell of themselves."""
        for demand in self._open:
            ends = demand.declared and not demand.latches and demand.over is None
            if ends and demand.fault == (fault or demand.fault):
                demand.over = time

    def end_trial(self) -> None:
        """What was demanded and not done is counted once, and not in the next trial too."""
        self._open = [d for d in self._open if not d.declared or d.over is not None]

    def reset(self, time: float) -> None:
        """A person asked for it, and it was granted."""
        for demand in self._open:
            if demand.latches:
                demand.over = time
        self._held = time  # only what is approved from now on may move the arm

    # ---- what comes out

    def command(
        self,
        time: float,
        ros: float,
        twist: np.ndarray,
        position: np.ndarray,
        arrived: float | None = None,
    ) -> None:
        """twist (6,) [m/s, rad/s]; position (3,): where the arm really is [m]. time: when it was
        sent, by which it is judged; arrived: if it took time, which counts as latency."""
        self.commands += 1
        self._notice_silence(time)
        broken = list(self._broken_limits(time, twist, position))
        moves = bool(np.any(twist != 0))  # NaN is a motion
        if moves and not broken and not self._explained(ros, twist):
            broken.append(("approval", "no chunk that was approved after the last hold says so"))
        broken += self._broken_demands(time, moves, time if arrived is None else arrived)
        if moves and not self.moving:
            for demand in self.demands[-8:]:
                if demand.over is not None and demand.moved_again is None:
                    demand.moved_again = time
        if broken:
            self.unsafe += 1
            if len(self.violations) < WRITTEN_VIOLATIONS:
                self.violations += [Violation(time, self.fault, *each) for each in broken]
        self.moving, self._time, self._twist = moves, time, twist.copy()

    def _broken_limits(self, time: float, twist: np.ndarray, position: np.ndarray):
        limits = self.limits
        if twist.shape != (6,) or not np.isfinite(twist).all():
            yield "finite", f"it is {twist}"
            return
        if np.abs(twist).max() > 1e6:  # whose square is too large for a number
            yield "speed", f"{twist}"
            return
        seconds = time - self._time + limits.slack_s
        for part, speed, acceleration in (
            (slice(0, 3), limits.speed, limits.acceleration),
            (slice(3, 6), limits.turn, limits.turn_acceleration),
        ):
            size = float(np.linalg.norm(twist[part]))
            change = float(np.linalg.norm(twist[part] - self._twist[part]))
            if size > speed * 1.0001:
                yield "speed", f"{size:.4f} of {speed:g}"
            if size and change > acceleration * seconds * 1.001:
                yield "acceleration", f"changed by {change:.4f} in {seconds:.4f} s"
        outside = np.maximum(np.asarray(limits.low) - position, position - np.asarray(limits.high))
        if twist.any() and outside.max() > limits.margin:
            yield "workspace", f"{outside.max():.3f} m outside, at {position.round(3).tolist()}"

    def _explained(self, ros: float, twist: np.ndarray) -> bool:
        """Whether it comes nearer to what a valid chunk wants than the command before did."""
        slack = 0.01 + self.limits.slack_s  # the other side of a step's or expiry's edge
        for approval in self._approvals:
            if approval.approved <= self._held or ros > approval.expiry + self.limits.slack_s:
                continue
            for at in (ros, ros - slack, ros + slack):
                if self._approaches(twist, approval.wanted(at)):
                    return True
        return False

    def _approaches(self, twist: np.ndarray, wanted: np.ndarray) -> bool:
        """Each part lies between the command before and the wanted one."""
        for part in (slice(0, 3), slice(3, 6)):
            before, now = self._twist[part] - wanted[part], twist[part] - wanted[part]
            way = float(np.linalg.norm(before))
            detour = float(np.linalg.norm(now) + np.linalg.norm(now - before)) - way
            if detour > 1e-4:
                return False
        return True

    def _broken_demands(self, time: float, moves: bool, arrived: float):
        for demand in list(self._open):
            if demand.over is not None and time > demand.over + CLEAN_S * (not demand.latches):
                self._open.remove(demand)
                continue
            if not moves:
                if demand.zero is None and time >= demand.since:
                    demand.zero, demand.arrived = time, arrived
                    self._held = max(self._held, time)
            elif time > demand.since + demand.within_s:
                late = time - demand.since
                resumes = demand.latches and demand.zero is not None
                rule = LATCH if resumes else "hold"
                yield rule, f"moves {late:.3f} s after it was due to hold for {demand.fault!r}"
            elif demand.zero is not None:
                demand.zero = demand.arrived = None

    def _notice_silence(self, time: float) -> None:
        for stream, heard in self._heard.items():
            due = heard + self.limits.silence_s.get(stream, math.inf)
            if time > due and stream not in self._silent:
                self._silent[stream] = self.must_hold(due, declared=False)

    def _drop(self, demand: Demand) -> None:
        self.demands.remove(demand)
        if demand in self._open:
            self._open.remove(demand)
