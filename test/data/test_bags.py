"""A bag gives what was recorded, up to where it is cut or damaged, and never anything else."""

import io
import sqlite3
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import lz4.frame
import pytest
import yaml
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.data_stream import RecordBuilder
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Header, Schema
from mcap.records import Message as McapMessage
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter

from whale_ros.data import bag_files, bags
from whale_ros.data.bags import BadBag, Bag, find_bags

STRING = "std_msgs/msg/String"
WANTED = {"/a": (STRING,), "/b": (STRING,)}
COUNT = 120
MAGIC = b"\x89MCAP0\r\n"


def text(number: int) -> str:
    """Of a length that differs, so that nothing lines up."""
    return f"{number} " + "x" * (number * 37 % 91)


def serialized(value: str) -> bytes:
    data = value.encode() + b"\0"
    return b"\0\1\0\0" + struct.pack("<I", len(data)) + data


def topic(number: int) -> str:
    return "/b" if number % 3 == 0 else "/a"


EVERYTHING = [(topic(i), 1000 + i, text(i)) for i in range(COUNT)]


def write_mcap(path, compression=CompressionType.NONE, data=None):
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=1000, compression=compression)
        writer.start("ros2", "test")
        schema = writer.register_schema(STRING, "ros2msg", b"string data\n")
        channels = {name: writer.register_channel(name, "cdr", schema) for name in ("/a", "/b")}
        for name, time, value in EVERYTHING:
            content = serialized(value) if data is None else data
            writer.add_message(channels[name], time, content, time)
        writer.finish()
    return path


def write_with_rosbags(folder, types, plugin, compressed=None):
    writer = RosbagsWriter(folder, version=9, storage_plugin=plugin)
    if compressed:
        writer.set_compression(compressed, CompressionFormat.ZSTD)
    with writer:
        connections = {n: writer.add_connection(n, STRING, typestore=types) for n in ("/a", "/b")}
        for name, time, value in EVERYTHING:
            writer.write(connections[name], time, serialized(value))
    return folder


def read(path, wanted=WANTED):
    """What was read, and the bag."""
    bag = Bag(path)
    return [(m.topic, m.received_ns, m.content.data) for m in bag.messages(wanted)], bag


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The path of an MCAP; bytes would be printed by the kilobyte."""
    return write_mcap(tmp_path_factory.mktemp("whole") / "bag.mcap")


@pytest.fixture(scope="module")
def database(tmp_path_factory, recorder):
    folder = tmp_path_factory.mktemp("sqlite") / "bag"
    return write_with_rosbags(folder, recorder.types, StoragePlugin.SQLITE3) / "bag.db3"


places = st.floats(0, 1, exclude_max=True)  # in a file


@pytest.mark.parametrize("compression", list(CompressionType))
def test_an_mcap_gives_everything_in_order(tmp_path, compression):
    found, bag = read(write_mcap(tmp_path / "bag.mcap", compression))
    assert found == EVERYTHING and bag.damage == ""
    assert bag.topics == {"/a": STRING, "/b": STRING}


@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_bags_that_others_wrote_give_everything_in_order(tmp_path, recorder, plugin):
    folder = write_with_rosbags(tmp_path / "bag", recorder.types, plugin)
    assert read(folder)[0] == EVERYTHING
    assert read(folder, {"/b": (STRING,)})[0] == [m for m in EVERYTHING if m[0] == "/b"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places)
def test_a_cut_mcap_gives_all_chunks_before_the_cut_and_nothing_wrong(tmp_path, whole, place):
    content = whole.read_bytes()
    cut = int(place * len(content))
    path = tmp_path / "cut.mcap"
    path.write_bytes(content[:cut])
    found, bag = read(path)
    assert found == EVERYTHING[: len(found)]
    chunks = make_reader(io.BytesIO(content)).get_summary().chunk_indexes
    before = [c for c in chunks if c.chunk_start_offset + c.chunk_length <= cut]
    last = before[-1].message_end_time if before else 0
    assert len(found) == sum(time <= last for _, time, _ in EVERYTHING)
    if len(found) < COUNT:
        assert "cut.mcap" in bag.damage


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places, st.integers(1, 255))
def test_an_mcap_with_a_changed_byte_gives_nothing_wrong_and_says_what_is_missing(
    tmp_path, whole, place, change
):
    content = bytearray(whole.read_bytes())
    content[int(place * len(content))] ^= change
    path = tmp_path / "changed.mcap"
    path.write_bytes(content)
    found, bag = read(path)
    assert set(found) <= set(EVERYTHING) and found == sorted(found, key=lambda m: m[1])
    assert found == EVERYTHING or "changed.mcap" in bag.damage


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places)
def test_a_cut_database_gives_nothing_and_says_that_it_is_cut(tmp_path, database, place):
    """SQLite itself would take what is missing for zeros."""
    content = database.read_bytes()
    path = tmp_path / "cut.db3"
    path.write_bytes(content[: int(place * len(content))])
    found, bag = read(path)
    assert not found and "cut.db3 is cut" in bag.damage


def chunk(compression: str, data: bytes, size: int, crc: int = 0) -> bytes:
    """An MCAP that has nothing but this chunk."""
    builder = RecordBuilder()
    builder.write(MAGIC)
    Header("ros2", "").write(builder)
    Chunk(compression, data, 0, 0, crc, size).write(builder)
    return builder.end()


def bomb(compression: str) -> bytes:
    nothing = bytes(50 << 20)
    return lz4.frame.compress(nothing) if compression == "lz4" else zstandard.compress(nothing)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("claim", [1000, 1 << 40])
def test_a_chunk_that_is_larger_than_it_claims_or_may_be_is_not_unpacked(
    tmp_path, compression, claim
):
    (tmp_path / "bomb.mcap").write_bytes(chunk(compression, bomb(compression), claim))
    tracemalloc.start()
    found, bag = read(tmp_path / "bomb.mcap")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [] and str(claim) in bag.damage
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "too early"),
        (b"SQLite format 3", "magic"),
        (MAGIC, "too early"),
        (MAGIC + b"\x01" + struct.pack("<Q", 1 << 62), "exceeds limit"),
        (MAGIC + b"\x06" + struct.pack("<Q", 100) + bytes(24) + b"\xff" * 60, ""),
        (chunk("rot13", b"", 0), "rot13"),
        (chunk("", b"\x05" * 30, 30), "cut or damaged"),
        (chunk("", bytes(9), 9, crc=1), "checksum"),
        (chunk("", b"", 1 << 40), str(bag_files.MAX_BYTES)),
    ],
)  # fmt: skip
def test_what_is_no_mcap_gives_nothing_and_says_why(tmp_path, content, named):
    (tmp_path / "bag.mcap").write_bytes(content)
    found, bag = read(tmp_path / "bag.mcap")
    assert found == [] and "bag.mcap" in bag.damage and named in bag.damage


def test_a_message_that_is_shorter_than_it_claims_ends_the_reading(tmp_path):
    builder = RecordBuilder()
    builder.write(MAGIC)
    Header("ros2", "").write(builder)
    Schema(id=1, name=STRING, encoding="ros2msg", data=b"string data").write(builder)
    Channel(id=1, topic="/a", message_encoding="cdr", metadata={}, schema_id=1).write(builder)
    for value, lie in (("first", 0), ("second", 1 << 31)):
        data = bytearray(serialized(value))
        data[4:8] = struct.pack("<I", len(value) + 1 + lie)
        McapMessage(channel_id=1, log_time=7, data=bytes(data), publish_time=7, sequence=0).write(
            builder
        )
    (tmp_path / "bag.mcap").write_bytes(builder.end())
    found, bag = read(tmp_path / "bag.mcap")
    assert found == [("/a", 7, "first")] and bag.damage


def test_more_or_larger_messages_than_anybody_records_are_not_read(tmp_path, monkeypatch):
    path = write_mcap(tmp_path / "bag.mcap")
    monkeypatch.setattr(bags, "MAX_MESSAGES", 50)
    found, bag = read(path)
    assert found == EVERYTHING[:50] and "allowed are 50 messages" in bag.damage
    monkeypatch.setattr(bags, "MAX_MESSAGES", 1000)
    monkeypatch.setattr(bag_files, "MAX_BYTES", 2000)  # chunks are half as large
    assert read(path)[0] == EVERYTHING
    monkeypatch.setattr(bag_files, "MAX_BYTES", 300)
    found, bag = read(path)
    assert found == [] and "300" in bag.damage


def test_a_topic_of_another_type_is_refused_by_name(tmp_path):
    path = write_mcap(tmp_path / "bag.mcap")
    with pytest.raises(BadBag, match="/a of .* carries std_msgs/msg/String, expected x/msg/Y"):
        read(path, {"/a": ("x/msg/Y",)})
    assert read(path, {})[0] == []


@pytest.mark.parametrize("mode", [CompressionMode.MESSAGE, CompressionMode.FILE])
def test_a_bag_that_rosbag2_compressed_is_refused_with_the_way_out(tmp_path, recorder, mode):
    folder = write_with_rosbags(tmp_path / "bag", recorder.types, StoragePlugin.SQLITE3, mode)
    with pytest.raises(BadBag, match="uncompress"):
        read(folder)


def test_a_database_that_was_not_closed_is_refused_with_the_way_out(tmp_path, recorder):
    folder = write_with_rosbags(tmp_path / "bag", recorder.types, StoragePlugin.SQLITE3)
    connection = sqlite3.connect(folder / "bag.db3")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("DELETE FROM messages WHERE id > 60")
    connection.commit()
    with pytest.raises(BadBag, match="bag.db3-wal.*wal_checkpoint"):
        read(folder)
    connection.close()  # puts it back
    assert read(folder)[0] == EVERYTHING[:60]


def test_the_files_of_a_split_bag_are_read_in_their_order_and_none_may_miss(tmp_path, recorder):
    folder = write_with_rosbags(tmp_path / "bag", recorder.types, StoragePlugin.MCAP)
    whole = (folder / "bag.mcap").read_bytes()
    (folder / "bag.mcap").unlink()
    names = [f"bag_{i}.mcap" for i in range(11)]
    for name in names:
        (folder / name).write_bytes(whole)
    content = yaml.safe_load((folder / "metadata.yaml").read_text())
    content["rosbag2_bagfile_information"]["relative_file_paths"] = names
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))
    assert [file.name for file in Bag(folder).files] == names
    found, bag = read(folder)
    assert found == EVERYTHING * 11 and bag.damage == ""
    (folder / names[-1]).unlink()
    found, bag = read(folder)
    assert found == EVERYTHING * 10 and "bag_10.mcap of it is missing" in bag.damage
    (folder / names[3]).write_bytes(whole[: len(whole) // 2])
    found, bag = read(folder)
    assert found[: 3 * COUNT] == EVERYTHING * 3 and len(found) < 4 * COUNT
    assert "bag_3.mcap" in bag.damage


def test_bags_are_found_below_a_folder_but_none_that_nobody_kept(tmp_path, recorder):
    for name in ("b/one", "a", "c.partial"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        write_mcap(folder / "x_0.mcap")
    assert find_bags(tmp_path) == [tmp_path / "a", tmp_path / "b/one"]
    assert find_bags(tmp_path / "a") == [tmp_path / "a"]
    assert find_bags(tmp_path / "a/x_0.mcap") == [tmp_path / "a/x_0.mcap"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BadBag, match="nothing holds no bag"):
        find_bags(tmp_path / "nothing")
    with pytest.raises(BadBag, match="nowhere does not exist"):
        find_bags(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadBag, match="notes.txt is no bag"):
        Bag(tmp_path / "notes.txt")


def test_files_beside_each_other_are_one_bag_only_if_they_were_split(tmp_path, recorder):
    """Three recordings in one folder are three demonstrations; their numbers mean nothing."""

    def filled(name: str, *files: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file in files:
            write_mcap(folder / file)
        return folder

    flat = filled("flat", "pick_cup_0.mcap", "pick_cup_1.mcap", "pick_cup_2.mcap")
    assert find_bags(flat) == [flat / f"pick_cup_{i}.mcap" for i in range(3)]
    with pytest.raises(BadBag, match="flat holds 3 bags"):
        Bag(flat)
    crashed = filled("pick", "pick_0.mcap", "pick_1.mcap")
    assert find_bags(crashed) == [crashed]
    (flat / "metadata.yaml").write_text("")
    assert find_bags(tmp_path) == [flat, crashed]


def test_reading_bags_needs_no_ros():
    """Nor does converting them: nothing of it imports rclpy or generated messages."""
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'geometry_msgs', 'whale_ros.msg'):\n"
        "    sys.modules[name] = None\n"
        "import whale_ros.data.convert\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
