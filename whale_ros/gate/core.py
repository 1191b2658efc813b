"""The gate's decisions: what the arm is commanded in each cycle, and why.

    gate = Gate(GateConfig(), now)
    gate.on_camera(now, stamp, picture); gate.on_pose(now, pose)
    gate.on_heartbeat(now, heartbeat); gate.on_estop(now, pressed)
    why = gate.on_chunk(now, chunk)      # None: accepted
    command, status = gate.cycle(now)    # every 10 ms, whatever came or did not come

It starts held, and moves only while every check passes, by a chunk that was approved after the
last hold began. A hold is zero velocity at once; a latch is a hold that only `reset` ends.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whale_ros.gate.approvals import Approvals
from whale_ros.gate.check import Check, Now
from whale_ros.gate.chunk import Chunk, why_malformed, why_too_fast, why_unsure, why_untimely
from whale_ros.gate.clock import LATCH_S as CLOCK_LATCH_S
from whale_ros.gate.clock import ClockWatch
from whale_ros.gate.confidence import Confidence, Heartbeat
from whale_ros.gate.config import GateConfig
from whale_ros.gate.debounce import Debounce
from whale_ros.gate.estop import EStop
from whale_ros.gate.limits import Ramp, check_workspace, why_leaves_workspace
from whale_ros.gate.picture import KindWatch, Picture, PictureWatch
from whale_ros.gate.pose import Pose, PoseWatch
from whale_ros.gate.setpoint import Setpoint
from whale_ros.gate.skew import SkewWatch
from whale_ros.gate.watchdogs import Watchdog

NETWORK_SILENCE_S = 1.0  # of camera, pose and world model at once: we are cut off from the arm
MAX_CYCLE_S = 0.1  # a gate that slept for longer knows nothing of the arm


class State(enum.IntEnum):
    """As in GateStatus.msg."""

    HOLD = 0
    EXECUTING = 1
    LATCHED = 2


class Mode(enum.IntEnum):
    """As in GateStatus.msg."""

    GATE = 0
    HOLD = 1
    MONITOR_ONLY = 2


@dataclass(frozen=True)
class Command:
    """twist (6,) [m/s, rad/s]; gripper 0 open .. 1 closed, None while held: it keeps its last.

    position (3,) [m] and quaternion (4,) as (w, x, y, z) say the same for arms that take poses;
    None before the first pose.
    """

    twist: np.ndarray
    gripper: float | None
    position: np.ndarray | None
    quaternion: np.ndarray | None


@dataclass(frozen=True)
class Status:
    """`reason` says why the arm is held; empty while executing."""

    state: State
    mode: Mode
    reason: str
    checks: tuple[Check, ...]
    chunk_id: str
    chunks_executed: int
    chunks_rejected: int


class Gate:
    def __init__(self, config: GateConfig, now: Now) -> None:
        self.config = config
        self.state = State.HOLD
        self.mode = Mode.GATE
        self.chunks_executed = 0
        self.chunks_rejected = 0
        self._camera = Watchdog(
            "camera",
            config.camera_timeout_s,
            config.camera_timeout_s,
            config.future_tolerance_s,
        )
        self._picture = PictureWatch()
        self._kind = KindWatch()
        self._skew = SkewWatch(config.max_skew_s)
        self._clock = ClockWatch(now)
        self._estop = EStop(config.estop_topic, config.estop_timeout_s)
        self._pose = PoseWatch(config)
        self._confidence = Confidence(config)
        self._approvals = Approvals()
        self._debounce = Debounce(config.trip_cycles, config.release_cycles)
        self._ramp = Ramp(config)
        self._setpoint = Setpoint(config)
        self._topic_problems: dict[str, str] = {}
        self._other_commanders: tuple[str, ...] = ()
        self._was_released = False
        self._failed: set[str] = set()  # names of checks, since the last release
        self._chunk: Chunk | None = None
        self._begun = False
        self._gripper: float | None = None
        self._checks: tuple[Check, ...] = ()
        self._hold_began = now.ros
        self._hold_reason = "started just now"
        self._latch_reason = ""
        self._latch_check = ""
        self._note = ""  # what became of the last chunk
        self._accepted = now.steady
        self._last_cycle = now.steady
        self._cycle_took_s = 0.0
        self._silence_s = 0.0
        self._decisions: list[dict[str, Any]] = []

    # ---- what comes in

    def on_camera(self, now: Now, stamp: float, picture: Picture) -> str | None:
        """None if the image counts, else why it is dropped."""
        reason = self._camera.feed(now, stamp, picture.why_bad())
        if reason is None:
            self._picture.feed(picture.pixels, self._position)
            self._kind.feed(picture)
            self._skew.feed_image(stamp)
        return reason

    def on_pose(self, now: Now, pose: Pose) -> str | None:
        """None if the pose counts, else why it is dropped."""
        reason = self._pose.feed(now, pose)
        if reason is None:
            self._skew.feed_pose(pose.stamp)
        return reason

    def on_heartbeat(self, now: Now, heartbeat: Heartbeat) -> str | None:
        """None if the heartbeat counts, else why it is dropped."""
        return self._confidence.feed(now, heartbeat, self._position)

    def on_estop(self, now: Now, pressed: bool) -> None:
        """One heartbeat of the emergency stop."""
        self._estop.feed(now, pressed)
        if pressed:  # also if it is released again before the next cycle
            self._latch(now, self._estop.check(now).message)

    def on_graph(self, problems: Mapping[str, str], other_commanders: tuple[str, ...]) -> None:
        """What is wrong with each topic, and who else publishes commands."""
        self._topic_problems = dict(problems)
        self._other_commanders = other_commanders

    def on_chunk(self, now: Now, chunk: Chunk) -> str | None:
        """None if the chunk will be executed, else why it is rejected."""
        reason = self._why_rejected(now, chunk)
        if reason is None:
            self._chunk, self._begun, self._accepted = chunk, False, now.steady
        else:
            self.chunks_rejected += 1
            self._note = f"chunk {chunk.id!r} was rejected: {reason}"
        self._decide(
            now,
            "chunk rejected" if reason else "chunk accepted",
            reason,
            chunk_id=chunk.id,
            session=chunk.session,
            sequence=chunk.sequence,
            chunk_stamp=chunk.stamp,
            expiry=chunk.expiry,
            checkpoint=chunk.checkpoint,
            uncertainty=chunk.uncertainty,
            uncertainty_threshold=chunk.threshold,
        )
        return reason

    def stop(self, now: Now, reason: str) -> None:
        """Hold until `reset`."""
        self._latch(now, reason)

    def fail(self, now: Now, error: str) -> tuple[Command, Status]:
        """After an exception: latch, and give what to publish."""
        self._latch(now, f"internal error of the gate: {error}")
        return self._hold(), self._status(f"latched until reset: {self._latch_reason}")

    def reset(self, now: Now) -> str | None:
        """End a latch. None if done, else why not: the cause persists."""
        if self.state is not State.LATCHED:
            return None
        for check in self._checks:
            if check.name == "picture_kind":  # a person may accept another kind of pictures
                continue
            if check.name in (self._latch_check, "estop") and not check.ok:
                self._decide(now, "reset refused", check.message)
                return f"the cause persists: {check.message}"
        self._approvals.forget_replaced()
        self._kind.accept()
        self._begin_hold(now, State.HOLD, "reset just now")
        self._decide(now, "reset", None)
        return None

    def set_mode(self, now: Now, mode: str) -> str | None:
        """mode: gate, hold or monitor_only. None if done, else why not."""
        if mode.upper() not in Mode.__members__ or mode != mode.lower():
            known = ", ".join(name.lower() for name in Mode.__members__)
            return f"unknown mode {mode!r}, use one of: {known}"
        self.mode = Mode[mode.upper()]
        if self.state is not State.LATCHED:
            self._drop_chunk(now, State.HOLD, f"mode was set to {mode}")
        self._decide(now, "mode set", None)
        return None

    def take_decisions(self) -> list[dict[str, Any]]:
        """What was decided since the last call, for the audit log."""
        decisions, self._decisions = self._decisions, []
        return decisions

    # ---- what goes out

    def cycle(self, now: Now) -> tuple[Command, Status]:
        """The command of this cycle, and why."""
        before = self.state
        self._cycle_took_s = now.steady - self._last_cycle
        seconds = min(max(self._cycle_took_s, 0.0), 2 * self.config.cycle_s)
        self._last_cycle = now.steady
        self._watch_clock(now)
        self._checks = self._run_checks(now)
        was_tripped = self._debounce.tripped
        failing = self._debounce.update(self._checks)
        for check in failing:
            if self._is_severe(check):
                self._latch(now, check.message, check.name)
        self._was_released = self._was_released or not self._debounce.tripped

        if self.state is State.LATCHED:
            reason = f"latched until reset: {self._latch_reason}"
        elif self.mode is Mode.HOLD:
            reason = "the mode is hold"
        elif self.mode is Mode.GATE and self._debounce.tripped:
            if failing:
                self._hold_reason = "; ".join(check.message for check in failing)
            if not was_tripped:
                self._begin_hold(now, State.HOLD, self._hold_reason)
            reason = self._hold_reason if failing else self._release_reason()
        else:
            reason = self._why_nothing_to_execute(now)
        if not reason and self._chunk is not None:
            command = self._execute(now, self._chunk, seconds)
        else:
            command = self._hold()
        fails_anew = self._fails_anew(failing)
        if self.state is not before:
            if self.state is not State.LATCHED:
                self._decide(now, f"state {self.state.name}", reason)
        elif fails_anew:
            self._decide(now, "checks fail", "; ".join(check.message for check in failing))
        return command, self._status(reason)

    def _fails_anew(self, failing: list[Check]) -> bool:
        """Whether there is one among them that has not failed since the last release."""
        if not self._debounce.tripped:
            self._failed.clear()
            return False
        known = len(self._failed)
        self._failed.update(check.name for check in failing)
        return len(self._failed) > known

    def _execute(self, now: Now, chunk: Chunk, seconds: float) -> Command:
        if not self._begun:
            self._begun = True
            self.chunks_executed += 1
        self.state = State.EXECUTING
        step = chunk.step(now.ros)
        wanted = np.zeros(6) if step is None else chunk.twist(step)
        if step is not None:
            self._gripper = float(np.clip(chunk.actions[step, -1], 0.0, 1.0))  # float32 noise
        if self.mode is Mode.MONITOR_ONLY:
            self._ramp.twist = wanted
        else:
            self._ramp.follow(wanted, seconds)
        if self._pose.pose is not None:
            self._setpoint.follow(self._ramp.twist, seconds, self._pose.pose)
        return self._command()

    def _hold(self) -> Command:
        if self.state is State.EXECUTING:
            self.state = State.HOLD
        self._chunk = None
        self._gripper = None  # whoever frees something from a held gripper is left alone
        self._ramp.stop()
        self._setpoint.hold(self._pose.pose)
        return self._command()

    def _command(self) -> Command:
        return Command(
            self._ramp.twist.copy(),
            self._gripper,
            self._setpoint.position,
            self._setpoint.quaternion,
        )

    def _status(self, reason: str) -> Status:
        return Status(
            self.state,
            self.mode,
            reason,
            self._checks,
            self._chunk.id if self._chunk else "",
            self.chunks_executed,
            self.chunks_rejected,
        )

    # ---- why

    def _why_nothing_to_execute(self, now: Now) -> str:
        if self._chunk is not None:
            ended = self._why_ended(now, self._chunk)
            if not ended:
                return ""
            self._note = f"chunk {self._chunk.id!r} {ended}"
        return "waiting for an approved chunk" + (f"; {self._note}" if self._note else "")

    def _why_ended(self, now: Now, chunk: Chunk) -> str:
        if now.ros >= chunk.expiry:
            return "expired"
        if now.steady - self._accepted > self.config.chunk_max_validity_s:
            return "expired on the steady clock: ROS time stands still"
        if now.ros < chunk.stamp - self.config.future_tolerance_s:
            return "was approved in the future: ROS time went back"
        ramped = self.mode is Mode.MONITOR_ONLY or not self._ramp.twist.any()
        if chunk.step(now.ros) is None and ramped:
            return "is finished"
        return ""

    def _release_reason(self) -> str:
        left = (self.config.release_cycles - self._debounce.good) * self.config.cycle_s
        return f"all checks pass, {left:.2f} s until release; was held because: " + (
            self._hold_reason
        )

    def _why_rejected(self, now: Now, chunk: Chunk) -> str | None:
        reason = why_malformed(chunk, self.config) or why_untimely(chunk, self.config, now)
        if reason:
            return reason
        if self._approvals.is_second_planner(chunk.session):
            self._latch(now, f"two planners approve chunks, one in session {chunk.session!r}")
        reason = self._approvals.why_replayed(chunk.session, chunk.sequence)
        if reason:
            return reason
        if self.state is State.LATCHED:
            return f"the gate is latched: {self._latch_reason}"
        if self.mode is Mode.HOLD:
            return "the mode is hold"
        if chunk.stamp <= self._hold_began:
            return f"it was approved before the hold began: {self._hold_reason}"
        if self.mode is Mode.MONITOR_ONLY:
            return None
        failing = [check.message for check in self._checks if not check.ok]
        if self._debounce.tripped or failing:
            return f"the gate holds: {'; '.join(failing) or self._hold_reason}"
        pose, beat = self._pose.pose, self._confidence.heartbeat
        if pose is None or beat is None:
            return "there is no pose or heartbeat"
        return (
            why_too_fast(chunk, self.config)
            or why_leaves_workspace(chunk, pose.position, self.config, now)
            or why_unsure(chunk, beat.checkpoint)
        )

    @property
    def has_heartbeat(self) -> bool:
        return self._confidence.heartbeat is not None

    @property
    def _position(self) -> np.ndarray | None:
        return None if self._pose.pose is None else self._pose.pose.position

    def _run_checks(self, now: Now) -> tuple[Check, ...]:
        others = self._other_commanders
        problems = self._topic_problems.values()
        return (
            self._camera.check(now),
            self._picture.check(self._position),
            self._kind.check(),
            self._pose.check(now),
            self._pose.check_content(now),
            self._pose.check_jump(),
            self._skew.check(),
            check_workspace(self._position, self.config),
            *self._confidence.checks(now),
            *self._clock.checks(),
            *([self._estop.check(now)] if self.config.estop_topic else []),
            self._check_network(now),
            self._check_loop(),
            self._check_checkpoint(),
            Check(
                "command_topic",
                not others,
                len(others),
                0.0,
                f"others publish arm commands: {', '.join(others)}"
                if others
                else "nobody else publishes arm commands",
            ),
            Check(
                "topics",
                not problems,
                len(problems),
                0.0,
                "; ".join(problems) or "topics have the expected types",
            ),
        )

    def _check_checkpoint(self) -> Check:
        """Whether the running chunk was imagined by the weights that watch it."""
        chunk, beat = self._chunk, self._confidence.heartbeat
        if chunk is None or beat is None:
            return Check("checkpoint", True, 0.0, 0.0, "no chunk to compare checkpoints for")
        same = chunk.checkpoint == beat.checkpoint
        message = (
            f"chunk by checkpoint {chunk.checkpoint[:12]!r}, watched by {beat.checkpoint[:12]!r}"
        )
        return Check("checkpoint", same, float(not same), 0.0, message)

    def _check_network(self, now: Now) -> Check:
        """Whether anything at all still arrives."""
        watchdogs = self._camera, self._pose.watchdog, self._confidence.watchdog
        if min(watchdog.age(now) for watchdog in watchdogs) < self._cycle_took_s:
            self._silence_s = 0.0
        else:  # a gate that slept has not listened all the while
            self._silence_s += min(self._cycle_took_s, MAX_CYCLE_S)
        silence, limit = self._silence_s, NETWORK_SILENCE_S
        message = f"camera, pose and world model are all silent for {silence:.3f} s"
        return Check("network", silence <= limit, silence, limit, f"{message}, limit {limit:g} s")

    def _check_loop(self) -> Check:
        took, limit = self._cycle_took_s, max(MAX_CYCLE_S, 3 * self.config.cycle_s)
        message = f"the gate's last cycle took {took:.3f} s, limit {limit:g} s"
        return Check("loop", 0.0 <= took <= limit, took, limit, message, urgent=True)

    def _watch_clock(self, now: Now) -> None:
        """Stamps from before a jump say nothing of the time after it."""
        self._clock.look(now)
        if not self._clock.jumped:
            return
        why = "ROS time jumped"
        self._camera.forget(why)
        self._pose.forget(why)
        self._confidence.forget(why)
        self._skew.forget()
        if self.state is not State.LATCHED:
            self._begin_hold(now, State.HOLD, why)
            if self._clock.jump_s < 0:  # what was approved until then looks newer than it is
                self._hold_began = now.ros - self._clock.jump_s

    def _is_severe(self, check: Check) -> bool:
        """Whether a failing check latches: no planner may recover from it by itself."""
        if check.name == "estop":
            return self._estop.was_heard
        # At the start others may still be leaving: that is a hold, not a latch. In monitor_only
        # the arm may move before all checks have ever passed.
        if check.name == "command_topic":
            return self._was_released or self._chunk is not None
        if self.mode is Mode.MONITOR_ONLY:
            return False
        if check.name == "clock_jump":
            return not check.value <= CLOCK_LATCH_S
        if check.name == "picture_kind":
            return True
        if self.mode is Mode.HOLD:
            return False
        if check.name == "pose_jump":
            return self.state is State.EXECUTING
        return check.name in ("picture", "network") and self._was_released

    def _latch(self, now: Now, reason: str, check: str = "") -> None:
        if self.state is State.LATCHED:
            return
        self._latch_reason, self._latch_check = reason, check
        self._begin_hold(now, State.LATCHED, reason)
        self._decide(now, "latched", reason)

    def _begin_hold(self, now: Now, state: State, reason: str) -> None:
        """Hold until all checks have passed for a while."""
        self._drop_chunk(now, state, reason)
        self._debounce.tripped = True
        self._debounce.good = 0

    def _drop_chunk(self, now: Now, state: State, reason: str) -> None:
        """Nothing that was approved until now will move the arm."""
        self.state = state
        self._chunk = None
        self._hold_began = now.ros
        self._hold_reason = reason

    def _decide(self, now: Now, event: str, reason: str | None, **details: Any) -> None:
        pose, beat = self._pose.pose, self._confidence.heartbeat
        self._decisions.append(
            {
                "time": now.ros,
                "event": event,
                "reason": reason or "",
                "state": self.state.name,
                "mode": self.mode.name,
                "failing": [check.name for check in self._checks if not check.ok],
                "camera_stamp": self._camera.stamp,
                "pose_stamp": pose.stamp if pose else None,
                "heartbeat_stamp": beat.stamp if beat else None,
                "uncertainty_now": beat.uncertainty if beat else None,
                "checkpoint_now": beat.checkpoint if beat else None,
                **details,
            }
        )
