"""Write serialized ROS 2 messages into a rosbag2 bag; a crash costs at most the last second of it.

What `ros2 bag record -s mcap` writes, except that chunks end and reach the disk twice a second. Not
compressed: pictures gain little by what a robot has time for, and compressed ones gain nothing.
"""

from __future__ import annotations

import functools
import os
import queue
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mcap.writer import CompressionType, Writer

FLUSH_S = 0.5
QUEUE_BYTES = 256_000_000  # that wait for a slow disk; beyond, messages are counted as lost


@dataclass(frozen=True)
class Topic:
    """As the ROS graph knows it. name: absolute. type: such as sensor_msgs/msg/Image.

    definition: in ros2msg, with those of all types inside. qos: what the publishers offer, YAML as
    rosbag2 writes it. type_hash: RIHS01, empty where ROS does not tell.
    """

    name: str
    type: str
    definition: str
    qos: str = ""
    type_hash: str = ""

    @functools.cached_property
    def has_header(self) -> bool:
        """Whether messages begin with a stamp."""
        lines = (line.split("#")[0].split() for line in self.definition.splitlines())
        return next(filter(None, lines), [""])[0] == "std_msgs/Header"


class BagWriter:
    """One .mcap and its metadata.yaml, written by a thread of its own; topics begin as they come.

    problem: why writing ended before `close`, in words; what was written until then is there.
    lost: messages that came and were not written, because the disk was too slow.
    behind_s: since when what came may not be on the disk; a crash costs so much.
    """

    def __init__(self, folder: Path, name: str, floor_bytes: int, ros_distro: str = "") -> None:
        """floor_bytes: writing ends when the disk has less. Raises OSError."""
        self.problem = ""
        self.lost = 0
        self._folder, self._floor_bytes, self._ros_distro = folder, floor_bytes, ros_distro
        self.path = folder / f"{name}_0.mcap"
        self._file = self.path.open("xb", buffering=0)
        self._writer = Writer(self._file, compression=CompressionType.NONE)
        self._channels: dict[Topic, int] = {}
        self._schemas: dict[str, int] = {}
        self._counts: dict[Topic, int] = {}
        self._span = (0, 0)  # first and last log_time [ns]
        self._whole_bytes = 0  # of the file, on the disk
        self._has_index = False
        self._taken_bytes = self._written_bytes = 0  # one thread changes each
        self._taken_s = self._safe_s = time.monotonic()  # what came before is taken, is on the disk
        self._is_closed = False
        self._queue: queue.SimpleQueue[tuple[float, Topic, int, int, bytes] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True, name="bag_writer")
        self._thread.start()

    def write(self, topic: Topic, log_time: int, publish_time: int, data: bytes) -> None:
        """Times in [ns]. Never waits, never raises for the disk's sake."""
        if self.problem:
            return
        if self._taken_bytes - self._written_bytes > QUEUE_BYTES:
            self.lost += 1
            return
        self._taken_bytes += len(data)
        self._queue.put((time.monotonic(), topic, log_time, publish_time, data))

    @property
    def behind_s(self) -> float:
        return 0.0 if self._is_closed else time.monotonic() - self._safe_s

    def close(self) -> None:
        """Write what waits and the index. May be called again; `problem` tells what went wrong."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()
        self._is_closed = True

    def _run(self) -> None:
        try:
            self._writer.start("ros2", "whale_ros")
            while self._take_until(time.monotonic() + FLUSH_S):
                self._flush()
                free = shutil.disk_usage(self._folder).free
                if free < self._floor_bytes:
                    self.problem = (
                        f"the disk has only {free / 1e9:.2f} GB left, "
                        f"the floor is {self._floor_bytes / 1e9:.2f} GB"
                    )
                    break
            self._writer.finish()
            self._flush()
        except Exception as error:  # what is not whole would only confuse readers
            self.problem = f"cannot write {self.path}: {error}"
            os.ftruncate(self._file.fileno(), self._whole_bytes)
        else:
            self._has_index = True

    def _take_until(self, due: float) -> bool:
        """False when there is no more to come."""
        while (left := due - time.monotonic()) > 0:
            try:
                taken = self._queue.get(timeout=left)
            except queue.Empty:
                self._taken_s = due
                break
            if taken is None:
                return False
            self._taken_s, topic, log_time, publish_time, data = taken
            self._writer.add_message(self._channel(topic), log_time, data, publish_time)
            self._counts[topic] = self._counts.get(topic, 0) + 1
            first, last = self._span
            self._span = min(first or log_time, log_time), max(last, log_time)
            self._written_bytes += len(data)
        return True

    def _channel(self, topic: Topic) -> int:
        if topic not in self._channels:
            if topic.type not in self._schemas:
                text = topic.definition.encode()
                schema = self._writer.register_schema(topic.type, "ros2msg", text)
                self._schemas[topic.type] = schema
            self._channels[topic] = self._writer.register_channel(
                topic.name,
                "cdr",
                self._schemas[topic.type],
                {"offered_qos_profiles": topic.qos, "topic_type_hash": topic.type_hash},
            )
        return self._channels[topic]

    def _flush(self) -> None:
        self._writer.flush()
        os.fsync(self._file.fileno())
        self._whole_bytes, self._safe_s = self._file.tell(), self._taken_s

    def write_metadata(self) -> None:
        """metadata.yaml, after `close`, unless the .mcap has no index. Raises OSError.

        In version 8, which rosbag2 reads from Humble on.
        """
        if not self._has_index:
            return
        first, last = self._span
        span: dict[str, Any] = {
            "duration": {"nanoseconds": last - first},
            "starting_time": {"nanoseconds_since_epoch": first},
            "message_count": sum(self._counts.values()),
        }
        information = {
            "version": 8,
            "storage_identifier": "mcap",
            **span,
            "topics_with_message_count": [
                {
                    "topic_metadata": {
                        "name": topic.name,
                        "type": topic.type,
                        "serialization_format": "cdr",
                        "offered_qos_profiles": topic.qos,
                        "type_description_hash": topic.type_hash,
                    },
                    "message_count": count,
                }
                for topic, count in self._counts.items()
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.path.name],
            "files": [{"path": self.path.name, **span}],
            "custom_data": {},
            "ros_distro": self._ros_distro,
        }
        with (self._folder / "metadata.yaml").open("w") as file:
            yaml.safe_dump({"rosbag2_bagfile_information": information}, file, sort_keys=False)
            file.flush()
            os.fsync(file.fileno())
