"""Read rosbag2 bags, MCAP or SQLite, without ROS: whole ones, cut ones and hostile ones.

An MCAP is read from its beginning, never by its index, and every chunk is checked against its
checksum, if it was written with one: so what comes before a cut or another damage is what was
recorded, and all of it counts.
A SQLite bag has no checksums and its pages are in no order: of a cut one nothing can be believed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mcap.exceptions import EndOfFile, McapError
from rosbags.typesys import Stores, get_typestore

from whale_ros.data.bag_files import MAX_BYTES, BadBag, of_mcap, of_sqlite
from whale_ros.data.recording import PARTIAL

MAX_MESSAGES = 5_000_000  # of the topics that are asked for: an hour at more than 1 kHz
MAX_METADATA_BYTES = 1 << 20
SUFFIXES = (".mcap", ".db3")
PLAIN_CDR = (b"\x00\x00", b"\x00\x01")  # how a message begins that is not compressed

_TYPES = get_typestore(Stores.ROS2_JAZZY)  # what is read here is the same in all of ROS 2


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
        if path.is_dir() and not _is_one(path, self.files):
            raise BadBag(f"{path} holds {len(self.files)} bags, take them one by one")
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
                read = of_mcap if file.suffix == ".mcap" else of_sqlite
                for topic, type, received_ns, data in read(file, wanted):
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
    if path.is_file() or (_files(path) and _is_one(path, _files(path))):
        return [path]
    folders = sorted({file.parent for suffix in SUFFIXES for file in path.rglob(f"*{suffix}")})
    bags: list[Path] = []
    for folder in folders:
        if folder.suffix != PARTIAL:
            files = _files(folder)
            bags += [folder] if _is_one(folder, files) else files
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


def _is_one(folder: Path, files: list[Path]) -> bool:
    """Whether they are a bag that was split: metadata.yaml tells, or after a crash their names."""
    own = re.compile(re.escape(folder.name.removesuffix(PARTIAL)) + r"_\d+")
    return (
        len(files) < 2
        or (folder / "metadata.yaml").exists()
        or all(own.fullmatch(file.stem) for file in files)
    )


def _zipped(path: Path) -> str:
    if not list(path.glob("*.zstd")):
        return ""
    return "; it is compressed as a whole, uncompress it with `ros2 bag convert` or `zstd -d`"


def _missing(path: Path) -> list[str]:
    """Files that the bag's metadata.yaml lists and that are not there."""
    file = path / "metadata.yaml"
    try:
        if file.stat().st_size > MAX_METADATA_BYTES:
            raise ValueError("nobody's metadata is so long")
        content = yaml.safe_load(file.read_text())
        listed = content["rosbag2_bagfile_information"]["relative_file_paths"]
        return [name for name in (Path(one).name for one in listed) if not (path / name).exists()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError):
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


def _in_words(error: Exception) -> str:
    if isinstance(error, EndOfFile):
        return ": it ends too early"
    return f": {error}" if isinstance(error, ValueError | McapError) else f": {error!r}"
