"""Bags of any bytes: what is read of them can be learnt from, or is refused by name."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from geometry_msgs.msg import PoseStamped, TwistStamped
from mcap.writer import CompressionType, Writer
from rclpy.serialization import serialize_message
from rclpy.time import Time
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Float64

from fuzz.draw import FOLDER, file_of
from whale_ros.data.bags import BadBag, Bag
from whale_ros.data.conventions import of_robot
from whale_ros.data.reading import read_tracks
from whale_ros.data.synchronize import synchronize
from whale_ros.data.tracks import Tracks
from whale_ros.nodes.images import from_array

RESOLUTION = 4
SECONDS = 5.0
SPEED = 0.05  # [m/s]
EPOCH_NS = 1_700_000_000 * 10**9
CONVENTIONS = of_robot("sim")
TYPES = get_typestore(Stores.ROS2_JAZZY)

Written = tuple[str, str, int, bytes]  # topic, type, received [ns], serialized


def mcap(data: bytes) -> None:
    _read(FOLDER / "bag.mcap", data)


def sqlite_bag(data: bytes) -> None:
    _read(FOLDER / "bag.db3", data)


def bag_metadata(data: bytes) -> None:
    """What metadata.yaml tells of files."""
    folder = FOLDER / "bag"
    folder.mkdir(exist_ok=True)
    (folder / "bag.mcap").write_bytes(_mcap(CompressionType.NONE, True, []))
    (folder / "metadata.yaml").write_bytes(file_of(data, _metadata(), yaml.safe_dump))
    bag = Bag(folder)
    assert not list(bag.messages({})) and bag.files == [folder / "bag.mcap"]


def _read(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    bag = Bag(path)
    try:
        tracks = read_tracks(bag, CONVENTIONS, RESOLUTION)
    except BadBag:
        return
    _check(tracks)
    stretches, _ = synchronize(tracks, CONVENTIONS)
    for stretch in stretches:
        frames, steps = len(stretch.frames), len(stretch.actions)
        assert frames == steps + 1 == len(stretch.moment_s) == len(stretch.pose)
        assert (np.diff(stretch.moment_s) > 0).all() and np.isfinite(stretch.actions).all()


def _check(tracks: Tracks) -> None:
    for track in tracks.by_role().values():
        assert len(track.values) == len(track.stamp_s) == len(track.received_s)
        assert np.isfinite(track.received_s).all() and np.isfinite(track.values).all()
    if len(tracks.camera):
        assert tracks.camera.values.shape[1:] == (RESOLUTION, RESOLUTION, 3)
    if len(tracks.pose):
        assert np.allclose(np.linalg.norm(tracks.pose.values[:, 3:], axis=1), 1)
    for track in (tracks.gripper, tracks.gripper_command):
        assert all(0 <= value <= 1 for value in track.values)


# ---- where to begin


def mcaps() -> list[bytes]:
    """Whole demonstrations, and one message of each topic, in chunks and without."""
    drive = _drive()
    first = list({message[0]: message for message in drive}.values())
    kinds = CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD
    return [
        *(_mcap(kind, True, drive) for kind in kinds),
        *(_mcap(CompressionType.NONE, chunks, first) for chunks in (True, False)),
        _mcap(CompressionType.NONE, False, drive),
    ]


def sqlite_bags() -> list[bytes]:
    drive = _drive()
    return [_sqlite(drive), _sqlite(drive[:4])]


def _mcap(compression: CompressionType, chunks: bool, messages: list[Written]) -> bytes:
    file = io.BytesIO()
    writer = Writer(file, chunk_size=2000, compression=compression, use_chunking=chunks)
    writer.start("ros2", "fuzz")
    channels: dict[str, int] = {}
    for topic, type, ns, content in messages:
        if topic not in channels:
            schema = writer.register_schema(type, "ros2msg", b"")
            channels[topic] = writer.register_channel(topic, "cdr", schema)
        writer.add_message(channels[topic], ns, content, ns)
    writer.finish()
    return file.getvalue()


def _sqlite(messages: list[Written]) -> bytes:
    folder = FOLDER / "made"
    shutil.rmtree(folder, ignore_errors=True)
    with RosbagsWriter(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections: dict[str, Any] = {}
        for topic, type, ns, content in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, type, typestore=TYPES)
            writer.write(connections[topic], ns, content)
    (file,) = folder.glob("*.db3")
    return file.read_bytes()


def _metadata() -> dict:
    files = ["bag.mcap", "bag_1.mcap"]
    return {"rosbag2_bagfile_information": {"version": 9, "relative_file_paths": files}}


def _drive() -> list[Written]:
    """The hand goes sideways as it is told, under a camera that shows other pictures each time."""
    messages = [_written("gripper_command", 0, Float64(data=0.5))]
    for i in range(round(SECONDS * 10)):
        twist, pose = TwistStamped(), PoseStamped()
        twist.twist.linear.x = SPEED
        at = pose.pose.position
        at.x, at.y, at.z, pose.pose.orientation.w = 0.1 + SPEED * i / 10, 0.5, 0.2, 1.0
        messages += [_written("command", i, twist), _written("pose", i, pose)]
        if i % 2 == 0:
            picture = from_array(np.full((RESOLUTION, RESOLUTION, 3), i, np.uint8), "rgb8")
            messages.append(_written("camera", i, picture))
    return messages


def _written(role: str, tenths: int, message: Any) -> Written:
    if hasattr(message, "header"):
        message.header.stamp = Time(nanoseconds=EPOCH_NS + tenths * 10**8).to_msg()
        message.header.frame_id = CONVENTIONS.base_frame
    kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
    received_ns = EPOCH_NS + tenths * 10**8 + 10**6
    return CONVENTIONS.topics[role], kind, received_ns, serialize_message(message)
