"""Serialized messages in the files of a bag, with a limit to everything that a file may claim."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

import lz4.frame
import zstandard
from mcap.exceptions import EndOfFile
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Message, Schema, Statistics
from mcap.stream_reader import StreamReader
from rosbags.rosbag2 import Reader

MAX_BYTES = 256 << 20  # of a message or a chunk; a picture of MAX_PIXELS has fewer
DATA_END_BYTES = 13  # of the record that ends the data of an MCAP

Raw = Iterator[tuple[str, str, int, bytes | None]]  # topic, type, received [ns], None: no message


class BadBag(ValueError):
    """A file that is no bag, or not of the kind that is needed; says what to do."""


def of_mcap(file: Path, wanted: Collection[str]) -> Raw:
    """All of its messages. Raises anything where it is cut, damaged or has a hole."""
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
            elif isinstance(record, Message):
                yield *channels[record.channel_id], record.log_time, record.data


def _records(stream: IO[bytes]) -> Iterator[McapRecord]:
    """Of the data section, those of chunks too."""
    records = StreamReader(stream, emit_chunks=True, record_size_limit=MAX_BYTES).records
    count = end = 0
    for record in records:
        if isinstance(record, DataEnd):
            break
        for part in _of_chunk(record) if isinstance(record, Chunk) else (record,):
            count += isinstance(part, Message)
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


def of_sqlite(file: Path, wanted: Collection[str]) -> Raw:
    """Messages of the topics that are wanted. Raises anything where it is damaged, and BadBag."""
    for ending in ("-wal", "-journal"):
        log = file.with_name(file.name + ending)
        if log.exists() and log.stat().st_size:
            raise BadBag(
                f"{file} was not closed: part of it is in {log.name}; `sqlite3 {file} "
                "'PRAGMA wal_checkpoint(TRUNCATE)'` puts it back"
            )
    _must_have_all_pages(file)
    with Reader(file) as reader:
        for connection in reader.connections:
            yield connection.topic, connection.msgtype, 0, None
        chosen = [c for c in reader.connections if c.topic in wanted]
        for connection, received_ns, data in reader.messages(chosen) if chosen else ():
            yield connection.topic, connection.msgtype, received_ns, data


def _must_have_all_pages(file: Path) -> None:
    """SQLite takes what is missing at the end of a file for zeros, and so for messages."""
    with file.open("rb") as stream:
        head = stream.read(100)
    page = int.from_bytes(head[16:18], "big")
    expected = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if len(head) < 100 or file.stat().st_size < expected:
        raise ValueError(f"it has {file.stat().st_size} bytes of {expected}")
