"""`whale record`: a demo_recorder of its own, driven by keys, its checks in one line."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.task import Future

from whale_ros.msg import RecorderStatus
from whale_ros.nodes.processes import installed_or_source
from whale_ros.nodes.recorder_client import RecorderClient

KEYS = {
    RecorderStatus.IDLE: "space start, n note, q quit",
    RecorderStatus.RECORDING: "space stop, k success, f failure, d discard, n note",
    RecorderStatus.STOPPED: "k keep as success, f keep as failure, d discard, n note",
}
SHOWN = {
    "camera_rate": ("camera", "{:.1f} Hz"),
    "pose_rate": ("pose", "{:.1f} Hz"),
    "skew": ("skew", "{:.3f} s"),
    "camera_missing": ("missing", "{:.0f}"),
    "disk": ("disk", "{:.0f} GB"),
}
CLEAR_LINE = "\r\x1b[K"
START_UP_S = 30.0
SHUT_DOWN_S = 10.0


class RecorderStopped(Exception):
    """The recorder's process has ended or never came up; the message is its own."""


def record(parameters: list[str], log: Path) -> None:
    """Start the recorder with these ROS arguments and follow the keys until `q`.

    log: file for what the recorder's process prints. Raises RecorderStopped.
    """
    _, executables = installed_or_source()
    command = [sys.executable, str(executables / "demo_recorder"), "--ros-args", *parameters]
    log.parent.mkdir(parents=True, exist_ok=True)
    rclpy.init()
    with log.open("w") as output, contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            with _keys_one_by_one():
                _Keyboard(RecorderClient(), process, log).run()
        finally:
            process.send_signal(signal.SIGINT)  # it finishes what it is writing
            try:
                process.wait(SHUT_DOWN_S)
            except subprocess.TimeoutExpired:
                process.kill()
            rclpy.try_shutdown()


def status_line(status: RecorderStatus, width: int) -> str:
    """What is going on, what is wrong or how it goes, and what can be done, as far as it fits."""
    where = {
        RecorderStatus.IDLE: f"{status.kept} kept",
        RecorderStatus.RECORDING: f"REC {status.episode} {status.duration_s:.0f} s",
        RecorderStatus.STOPPED: f"{status.episode} {status.duration_s:.0f} s waits",
    }[status.state]
    bad = [check.message for check in status.checks if not check.ok]
    values = {check.name: check.value for check in status.checks}
    fine = [f"{title} {form.format(values[name])}" for name, (title, form) in SHOWN.items()]
    how = f"! {'; '.join(bad)}" if bad else ", ".join(fine)
    return f"{where} | {how} | {KEYS[status.state]}"[: width - 1]


class _Keyboard:
    def __init__(self, client: RecorderClient, process: subprocess.Popen, log: Path) -> None:
        self._client, self._process, self._log = client, process, log
        self._typed = ""  # and not yet looked at
        self._shown = ""

    def run(self) -> None:
        end = time.monotonic() + START_UP_S
        while not self._client.is_ready():
            self._spin()
            if time.monotonic() > end:
                raise RecorderStopped(f"the recorder does not answer; see {self._log}")
        if self._client.count_publishers("demo_recorder/status") > 1:
            raise RecorderStopped("another demo_recorder runs already; end it, or use its services")
        self._print(self._status.message)
        while (key := self._key()) != "q" or self._is_open():
            if answer := self._press(key):
                self._print(answer)

    def _press(self, key: str) -> str:
        """Do what the key means; what there is to say."""
        if key == "q":
            return f"{self._status.episode} is not decided: k, f or d first"
        if key == "n":
            return self._note()
        asked = {
            "k": lambda: self._client.keep(True),
            "f": lambda: self._client.keep(False),
            "d": self._client.discard,
            " ": self._client.stop if self._is_recording() else self._client.start,
        }.get(key)
        return self._answer(asked()) if asked else ""

    def _note(self) -> str:
        note = ""
        while (key := self._key(f"note: {note}")) not in "\r\n":
            note = note[:-1] if key in "\x7f\b" else note + key
        result = self._wait(self._client.set_note(note)).results[0]
        return f"note: {note}" if result.successful else result.reason

    def _answer(self, future: Future) -> str:
        return self._wait(future).message

    def _wait(self, future: Future):
        while not future.done():
            self._spin()
        return future.result()

    @property
    def _status(self) -> RecorderStatus:
        assert self._client.status is not None
        return self._client.status

    def _is_recording(self) -> bool:
        return self._status.state == RecorderStatus.RECORDING

    def _is_open(self) -> bool:
        return self._status.state != RecorderStatus.IDLE

    def _key(self, line: str = "") -> str:
        """The next key; shows the line, or the status, meanwhile."""
        while not self._typed:
            self._spin()
            shown = line or status_line(self._status, shutil.get_terminal_size().columns)
            if shown != self._shown:
                print(CLEAR_LINE + shown, end="", flush=True)
                self._shown = shown
            if select.select([sys.stdin], [], [], 0)[0]:
                if not (keys := os.read(sys.stdin.fileno(), 1024)):
                    raise KeyboardInterrupt  # the terminal is gone
                self._typed += keys.decode(errors="ignore")
        key, self._typed = self._typed[0], self._typed[1:]
        return key

    def _spin(self) -> None:
        self._client.spin_once()
        if self._process.poll() is not None:
            raise RecorderStopped((self._log.read_text().strip().splitlines() or ["no reason"])[-1])

    def _print(self, text: str) -> None:
        print(f"{CLEAR_LINE}{text}", flush=True)
        self._shown = ""


@contextlib.contextmanager
def _keys_one_by_one() -> Iterator[None]:
    """Keys come at once and are not shown."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        print()
