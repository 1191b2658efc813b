"""Read rosbag2 bags, MCAP or SQLite, without ROS: whole ones, cut ones and hostile ones.

An MCAP is read from its beginning, never by its index, and every chunk is checked against its
checksum: so what comes before a cut or another damage is what was recorded, and all of it counts.
A SQLite bag has no checksums and its pages are in no order: a cut one often gives nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

import lz4.frame
import yaml
import zstandard
from mcap.exceptions import EndOfFile, McapError
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Schema, Statistics
from mcap.records import Message as McapMessage
from mcap.stream_reader import StreamReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from whale_ros.data.recording import PARTIAL

MAX_BYTES = 256 << 20  # of a message or a chunk; a picture of MAX_PIXELS has fewer
MAX_MESSAGES = 5_000_000  # of the topics that are asked for: an hour at more than 1 kHz
DATA_END_BYTES = 13  # of the record that ends the data of an MCAP
SUFFIXES = (".mcap", ".db3")
PLAIN_CDR = (b"\x00\x00", b"\x00\x01")  # how a message begins that is not compressed

_TYPES = get_typestore(Stores.ROS2_JAZZY)  # what is read here is the same in all of ROS 2


class BadBag(ValueError):
    """A file that is no bag, or not of the kind that is needed; says what to do."""


class Message(NamedTuple):
    topic: str
    received_ns: int
    content: Any  # has the fields of the ROS message


class Bag:
    """topics: type by name, of all that were met so far. damage: why reading ended too early."""

    def __init__(self, path: Path) -> None:
        """A folder as `ros2 bag record` makes it, or a file of it. Raises BadBag."""
        self.path = path
        self.files = [path] if path.is_file() else _files(path)
        if not self.files or any(file.suffix not in SUFFIXES for file in self.files):
            raise BadBag(
                f"{path} is no bag: there is no file in {' or '.join(SUFFIXES)}{_zipped(path)}"
            )
        self.topics: dict[str, str] = {}
        self.damage = ""

    def messages(self, wanted: Mapping[str, Collection[str]]) -> Iterator[Message]:
        """Those of some topics, as they were recorded, up to the end or to a damage.

        wanted: the types that each topic may have. Raises BadBag if it has another.
        """
        count = 0
        for file in self.files:
            try:
                for topic, type, received_ns, data in _raw(file):
                    self.topics[topic] = type
                    if topic not in wanted or data is None:
                        continue
                    if type not in wanted[topic]:
                        raise BadBag(
                            f"{topic} of {self.path} carries {type}, "
                            f"expected {' or '.join(wanted[topic])}"
                        )
                    count += 1
                    yield Message(topic, received_ns, _decode(data, type, count))
            except BadBag:
                raise
            except Exception as error:  # broken bytes make libraries complain in many ways
                self.damage = f"{file.name} is cut or damaged{_in_words(error)}"
                return
        if lost := _missing(self.path):
            self.damage = f"{', '.join(lost)} of it is missing"


def find_bags(path: Path) -> list[Path]:
    """The path itself if it is a bag, else all bags below it, but none that nobody kept.

    Raises BadBag if there is none.
    """
    if path.is_file() or _files(path):
        return [path]
    folders = sorted({file.parent for suffix in SUFFIXES for file in path.rglob(f"*{suffix}")})
    bags = [folder for folder in folders if folder.suffix != PARTIAL]
    if not bags:
        raise BadBag(
            f"{path} does not exist" if not path.exists() else f"{path} holds no bag{_zipped(path)}"
        )
    return bags


def _files(folder: Path) -> list[Path]:
    """The files of a bag that was split, in their order: x_2 comes before x_10."""

    def place(file: Path) -> tuple[int, str]:
        number = re.search(r"(\d+)$", file.stem)
        return (int(number[1]) if number else -1, file.name)

    return sorted((f for suffix in SUFFIXES for f in folder.glob(f"*{suffix}")), key=place)


def _zipped(path: Path) -> str:
    if not list(path.glob("*.zstd")):
        return ""
    return "; it is compressed as a whole, uncompress it with `ros2 bag convert` or `zstd -d`"


def _missing(path: Path) -> list[str]:
    """Files that the bag's metadata.yaml lists and that are not there."""
    try:
        content = yaml.safe_load((path / "metadata.yaml").read_text())
        listed = content["rosbag2_bagfile_information"]["relative_file_paths"]
        return [name for name in (Path(file).name for file in listed) if not (path / name).exists()]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []  # a single file, or after a crash: the files themselves tell


def _decode(data: bytes, type: str, count: int) -> Any:
    if len(data) > MAX_BYTES or count > MAX_MESSAGES:
        raise ValueError(
            f"message {count} has {len(data)} bytes; allowed are {MAX_MESSAGES} messages "
            f"of {MAX_BYTES} bytes"
        )
    if bytes(data[:2]) not in PLAIN_CDR:
        raise BadBag(
            f"messages of {type} are compressed or not CDR; uncompress them with `ros2 bag convert`"
        )
    return _TYPES.deserialize_cdr(data, type)


Raw = Iterator[tuple[str, str, int, bytes | None]]  # topic, type, received [ns], None: no message


def _raw(file: Path) -> Raw:
    return _of_mcap(file) if file.suffix == ".mcap" else _of_sqlite(file)


def _of_mcap(file: Path) -> Raw:
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str]] = {}
    with file.open("rb") as stream:
        for record in _records(stream):
            if isinstance(record, Schema):
                schemas[record.id] = record.name
            elif isinstance(record, Channel):
                type = schemas.get(record.schema_id, "unknown")
                channels[record.id] = (record.topic, type)
                yield record.topic, type, 0, None
            elif isinstance(record, McapMessage):
                yield *channels[record.channel_id], record.log_time, record.data


def _records(stream: IO[bytes]) -> Iterator[McapRecord]:
    """Of the data section, those of chunks too. Raises where it is cut, damaged or has a hole."""
    records = StreamReader(stream, emit_chunks=True, record_size_limit=MAX_BYTES).records
    count = end = 0
    for record in records:
        if isinstance(record, DataEnd):
            break
        for part in _of_chunk(record) if isinstance(record, Chunk) else (record,):
            count += isinstance(part, McapMessage)
            yield part
        end = stream.tell()
    if stream.tell() - end != DATA_END_BYTES:
        raise ValueError("a record has a wrong length")
    try:  # what comes now is written last, and may well be missing
        total = next(r.message_count for r in records if isinstance(r, Statistics))
    except Exception:
        return
    if count < total:
        raise ValueError(f"{total - count} of {total} messages are missing")


def _of_chunk(chunk: Chunk) -> Iterator[McapRecord]:
    content = _uncompressed(chunk)
    if chunk.uncompressed_crc and zlib.crc32(content) != chunk.uncompressed_crc:
        raise ValueError("a chunk does not have its checksum")
    stream, end = BytesIO(content), 0
    try:
        reader = StreamReader(stream, True, emit_chunks=True, record_size_limit=MAX_BYTES)
        for record in reader.records:
            end = stream.tell()
            yield record
    except EndOfFile:
        if end != len(content):
            raise


def _uncompressed(chunk: Chunk) -> bytes:
    """No more than it claims to be, whatever is inside."""
    size = chunk.uncompressed_size
    if size > MAX_BYTES:
        raise ValueError(f"a chunk claims to have {size} bytes, allowed are {MAX_BYTES}")
    if chunk.compression == "lz4":
        content = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
    elif chunk.compression == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(chunk.data) as reader:
            content = reader.read(size + 1)
    elif chunk.compression == "":
        content = chunk.data
    else:
        raise ValueError(f"a chunk is compressed as {chunk.compression!r}, not as lz4 or zstd")
    if len(content) != size:
        raise ValueError(f"a chunk does not have the {size} bytes that it claims")
    return content


def _of_sqlite(file: Path) -> Raw:
    for ending in ("-wal", "-journal"):
        log = file.with_name(file.name + ending)
        if log.exists() and log.stat().st_size:
            raise BadBag(
                f"{file} was not closed: part of it is in {log.name}; `sqlite3 {file} "
                "'PRAGMA wal_checkpoint(TRUNCATE)'` puts it back"
            )
    with Reader(file) as reader:
        for connection in reader.connections:
            yield connection.topic, connection.msgtype, 0, None
        for connection, received_ns, data in reader.messages():
            yield connection.topic, connection.msgtype, received_ns, data


def _in_words(error: Exception) -> str:
    if isinstance(error, EndOfFile):
        return ": it ends too early"
    return f": {error}" if isinstance(error, ValueError | McapError) else f": {error!r}"
