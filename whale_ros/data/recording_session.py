"""Episode after episode: start, stop, keep or discard. Knows no ROS; times are given to it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from enum import Enum
from pathlib import Path

from whale_ros.data import recording as disk
from whale_ros.data.bag_writer import BagWriter, Topic
from whale_ros.data.recording import ROLES, Recording, needed_roles
from whale_ros.data.recording_checks import RecordingChecks
from whale_ros.gate.check import Check

# Without a message from these there is nothing to learn from; a gripper may well rest.
FILLED_ROLES = ("camera", "pose", "command")


class Refused(Exception):
    """What is asked for cannot be done now; the message says why."""


class State(Enum):
    IDLE = 0
    RECORDING = 1
    STOPPED = 2  # an episode waits to be kept or discarded


class RecordingSession:
    def __init__(self, folder: Path, checks: RecordingChecks, floor_gb: float) -> None:
        """folder: made if it is not there. floor_gb: of the disk, 1e9 bytes. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.state = State.IDLE
        self.kept = 0
        self.recording: Recording | None = None  # of the episode that is open
        self.duration_s = 0.0
        self._folder, self._checks, self._floor_gb = folder, checks, floor_gb
        self._writer: BagWriter | None = None
        self._partial = folder
        self._began_s = 0.0

    def start(self, now_s: float, recording: Recording) -> Recording:
        """Begin an episode as described, under the next free name. Raises Refused, OSError."""
        if self.recording:
            state = self.state.name.lower()
            raise Refused(f"{self.recording.episode} is {state}; keep or discard it")
        if (free := self.free_gb()) <= self._floor_gb:
            raise Refused(f"the disk has only {free:.2f} GB left, the floor is {self._floor_gb:g}")
        recording = replace(recording, episode=disk.next_name(self._folder))
        self._partial = disk.begin(self._folder, recording)
        distro = recording.versions.get("ros", "")
        self._writer = BagWriter(
            self._partial, recording.episode, int(self._floor_gb * 1e9), distro
        )
        disk.sync(self._partial)  # the names of its files are on the disk too
        self._checks.begin()
        self.recording, self.state, self._began_s = recording, State.RECORDING, now_s
        return recording

    def write(self, topic: Topic, log_time: int, publish_time: int, message: bytes) -> None:
        """Times in [ns]; never waits. Nothing happens while nothing is recorded."""
        if self._writer and self.state == State.RECORDING:
            self._writer.write(topic, log_time, publish_time, message)

    def look(self, now_s: float) -> tuple[list[Check], str]:
        """The checks as they are, and in words what has just ended the recording by itself."""
        lost, behind_s = (self._writer.lost, self._writer.behind_s) if self._writer else (0, 0.0)
        checks = self._checks.look(now_s, self.free_gb(), lost, behind_s)
        if self.state != State.RECORDING or not self._writer:
            return checks, ""
        self.duration_s = now_s - self._began_s
        if not self._writer.problem:
            return checks, ""
        problem = self._writer.problem
        try:
            self.stop(now_s, problem)
        except OSError as error:
            problem += f"; {error}"
        return checks, f"{problem}; keep or discard what there is"

    def stop(self, now_s: float, by: str) -> None:
        """What there is stays in its partial folder. Raises OSError; it is stopped all the same."""
        if self.state != State.RECORDING or not (self._writer and self.recording):
            raise Refused("nothing is being recorded")
        self.state, self.duration_s = State.STOPPED, now_s - self._began_s
        self._writer.close()
        self._checks.look(now_s, self.free_gb(), self._writer.lost, self._writer.behind_s)
        came = {role: t.topic.name for role, t in self._checks.topics.items() if role in ROLES}
        self.recording = replace(
            self.recording,
            topics=self.recording.topics | came,
            duration_s=round(self.duration_s, 3),
            stopped_by=self._writer.problem or by,
            checks=self._checks.worst,
            statistics=self._checks.statistics,
            lost=self._writer.lost,
        )
        self._writer.write_metadata()
        disk.write_recording(self._partial, self.recording)

    def keep(self, now_s: float, success: bool, note: str) -> Recording:
        """Make a demonstration of the open episode. Raises Refused, OSError."""
        if not self.recording or not self._writer:
            raise Refused("there is no episode to keep")
        if self.state == State.RECORDING:
            self.stop(now_s, "operator")
        for role in set(needed_roles(self.recording.action_source)) & set(FILLED_ROLES):
            name = self.recording.topics[role]
            if not self.recording.statistics.get(name, {}).get("messages"):
                raise Refused(f"nothing came from {name}; discard the episode")
        self._writer.write_metadata()  # once more: the disk may have been full
        recording = replace(self.recording, success=success, note=note)
        disk.keep(self._partial, recording)
        self._close()
        self.kept += 1
        return recording

    def discard(self, now_s: float) -> str:
        """Delete the open episode; its name. Raises Refused, OSError."""
        if not self.recording or not self._writer:
            raise Refused("there is no episode to discard")
        name = self.recording.episode
        self._writer.close()
        disk.discard(self._partial)
        self._close()
        return name

    def free_gb(self) -> float:
        return shutil.disk_usage(self._folder).free / 1e9

    def _close(self) -> None:
        self.state, self.recording, self._writer = State.IDLE, None, None
