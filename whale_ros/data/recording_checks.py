"""Watch what is being recorded: is it what a model can be taught from?

Times: `received_s` on any steady clock, `stamp_s` of the message's header, on that of the robot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from whale_ros.data.bag_writer import Topic
from whale_ros.gate.check import Check
from whale_ros.gate.picture import PictureWatch
from whale_ros.gate.skew import SkewWatch

WINDOW_S = 2.0  # over which rates are measured
SLOWER = 0.8  # a camera with fewer of its pictures is too slow
PERIODS = 21  # between stamps, whose median is the period of a topic
MISSING_SHARE = 0.02  # of pictures or poses; with more (and more than one), episodes have holes
BEHIND_S = 1.0  # that the disk may be; twice what the writer waits
LOW_IS_BAD = ("camera_rate", "pose_rate", "disk")


@dataclass(frozen=True)
class Limits:
    """camera_period_s: images come at least so often. floor_gb: of the disk, 1e9 bytes."""

    camera_period_s: float
    min_pose_rate_hz: float
    max_skew_s: float
    floor_gb: float


class TopicStatistics:
    """Counts, rates and gaps of one topic since its last `begin`."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self._since: float | None = None  # first message ever [s]
        self._recent: deque[float] = deque()  # when received [s]
        self._periods: deque[float] = deque(maxlen=PERIODS)
        self._stamp: float | None = None
        self.begin()

    def begin(self) -> None:
        self.messages = self.bytes = self.missing = self.backwards = 0
        self.longest_gap_s = 0.0
        self._first = self._last = 0.0

    def feed(self, received_s: float, stamp_s: float | None, size: int) -> None:
        if self.messages:
            self.longest_gap_s = max(self.longest_gap_s, received_s - self._last)
        else:
            self._first = received_s
        self.messages, self.bytes, self._last = self.messages + 1, self.bytes + size, received_s
        self._since = received_s if self._since is None else self._since
        self._recent.append(received_s)
        self._forget(received_s)
        if stamp_s is not None:
            self._feed_stamp(stamp_s)

    def _feed_stamp(self, stamp_s: float) -> None:
        period = 0.0 if self._stamp is None else stamp_s - self._stamp
        self._stamp = stamp_s
        if period < 0:
            self.backwards += 1
        elif period > 0:
            if len(self._periods) > PERIODS // 2:
                self.missing += max(0, round(period / median(self._periods)) - 1)
            self._periods.append(period)

    def recent_rate_hz(self, now_s: float) -> float:
        """Over the last two seconds, or since its first message."""
        self._forget(now_s)
        span = WINDOW_S if self._since is None else min(WINDOW_S, now_s - self._since)
        return len(self._recent) / span if span > 0 else 0.0

    def _forget(self, now_s: float) -> None:
        while self._recent and self._recent[0] < now_s - WINDOW_S:
            self._recent.popleft()

    def to_dict(self) -> dict[str, Any]:
        duration = self._last - self._first
        return {
            "type": self.topic.type,
            "messages": self.messages,
            "bytes": self.bytes,
            "rate_hz": round((self.messages - 1) / duration, 3) if duration else 0.0,
            "longest_gap_s": round(self.longest_gap_s, 4),
            "missing": None if self._stamp is None else self.missing,
            "backwards": None if self._stamp is None else self.backwards,
        }


class RecordingChecks:
    """Live checks of camera, pose and disk, and what was the worst of each since `begin`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.topics: dict[str, TopicStatistics] = {}  # by role, or by name
        self._skew = SkewWatch(limits.max_skew_s)
        self._picture = PictureWatch()
        self._position: np.ndarray | None = None
        self.begin()

    def begin(self) -> None:
        """A new episode; rates and periods go on."""
        self._worst: dict[str, Check] = {}
        self._of_pictures: dict[str, Check] = {}  # the worst since the last look
        for topic in self.topics.values():
            topic.begin()

    def feed(
        self, key: str, topic: Topic, received_s: float, stamp_s: float | None, size: int
    ) -> None:
        """key: the role of the topic, or its name if it has none."""
        if key not in self.topics:
            self.topics[key] = TopicStatistics(topic)
        self.topics[key].feed(received_s, stamp_s, size)

    def feed_picture(self, stamp_s: float, pixels: int) -> None:
        """pixels: a hash of them."""
        self._skew.feed_image(stamp_s)
        if self._position is not None:
            self._picture.feed(pixels, self._position)
        for check in self._see():
            _remember(self._of_pictures, check)

    def feed_pose(self, stamp_s: float, position: np.ndarray) -> None:
        """position: (3,) of the hand [m]."""
        self._skew.feed_pose(stamp_s)
        self._position = position

    def look(self, now_s: float, free_gb: float, lost: int, behind_s: float) -> list[Check]:
        """How it is now. lost: messages that were not written since `begin`. behind_s: how much
        of what came last is not on the disk."""
        limits = self._limits
        checks = [
            self._rate("camera", now_s, SLOWER / limits.camera_period_s),
            self._rate("pose", now_s, limits.min_pose_rate_hz),
            *(self._of_pictures.values() or self._see()),
            *(self._whole(role) for role in ("camera", "pose")),
            Check(
                "disk", free_gb > limits.floor_gb, free_gb, limits.floor_gb,
                f"{free_gb:.1f} GB left, recording ends at {limits.floor_gb:g} GB",
            ),
            Check("written", not lost, lost, 0.0, f"{lost} messages lost, as the disk is too slow"),
            Check(
                "disk_behind", behind_s <= BEHIND_S, behind_s, BEHIND_S,
                f"the disk is {behind_s:.1f} s behind, so much would be lost in a crash",
            ),
        ]  # fmt: skip
        self._of_pictures = {}
        for check in checks:
            if check.name.endswith("_missing"):  # counted since `begin`
                self._worst.pop(check.name, None)
            _remember(self._worst, check)
        return checks

    @property
    def statistics(self) -> dict[str, dict[str, Any]]:
        """By name of the topic, as recording.json has them."""
        return {topic.topic.name: topic.to_dict() for topic in self.topics.values()}

    @property
    def total(self) -> int:
        """Messages of all topics since `begin`."""
        return sum(topic.messages for topic in self.topics.values())

    def is_silent(self, key: str, now_s: float) -> bool:
        return key not in self.topics or not self.topics[key].recent_rate_hz(now_s)

    @property
    def worst(self) -> list[dict[str, Any]]:
        """Of each check since `begin`, as recording.json has it."""
        keys = ("name", "ok", "value", "threshold", "message")
        return [{key: asdict(check)[key] for key in keys} for check in self._worst.values()]

    def _see(self) -> tuple[Check, Check]:
        return self._skew.check(), self._picture.check(self._position)

    def _rate(self, role: str, now_s: float, lowest: float) -> Check:
        rate = self.topics[role].recent_rate_hz(now_s) if role in self.topics else 0.0
        message = f"{role} comes with {rate:.1f} Hz, at least {lowest:.1f} are needed"
        return Check(f"{role}_rate", rate >= lowest, rate, lowest, message)

    def _whole(self, role: str) -> Check:
        """By stamps: what the driver did not make or the network did not bring."""
        topic = self.topics.get(role)
        messages, missing, backwards = (
            (topic.messages, topic.missing, topic.backwards) if topic else (0, 0, 0)
        )
        allowed = max(1, int(MISSING_SHARE * messages))
        message = f"{missing} of {messages + missing} {role} messages are missing by their stamps"
        message += f", {backwards} stamps went backwards" if backwards else ""
        ok = missing <= allowed and not backwards
        return Check(f"{role}_missing", ok, missing, allowed, message)


def _remember(worst: dict[str, Check], check: Check) -> None:
    known = worst.get(check.name)
    if known is None or _badness(check) > _badness(known):
        worst[check.name] = check


def _badness(check: Check) -> tuple[bool, float]:
    return not check.ok, -check.value if check.name in LOW_IS_BAD else check.value
