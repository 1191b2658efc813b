"""Bags that are written without ROS, and what a crash, a full disk and a hasty person leave."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from whale_ros.data import recording as disk
from whale_ros.data.bag_writer import BagWriter, Topic
from whale_ros.data.recording import Recording, read_recording
from whale_ros.data.recording_checks import Limits, RecordingChecks
from whale_ros.data.recording_session import RecordingSession, Refused, State

ROOT = Path(__file__).resolve().parents[2]
HASH = "RIHS01_fbdc52018fc13755dce18024d1a671c856aa8b4aaf63adfb095b608f98e8c943"  # as ROS has it
NUMBER = Topic("/number", "std_msgs/msg/UInt64", "uint64 data\n", type_hash=HASH)
NAME = Topic("/name", "std_msgs/msg/String", "string data\n")


TOPICS = {"camera": "/camera", "pose": "/pose", "command": "/command"}
RECORDING = Recording("", "sim", TOPICS, "commanded_twists", "base", began=5.0)
PLENTY = Limits(camera_period_s=0.1, min_pose_rate_hz=20.0, max_skew_s=0.05, floor_gb=1e-9)


def number(value: int) -> bytes:
    """A serialized std_msgs/UInt64."""
    return b"\0\1\0\0" + value.to_bytes(8, "little")


def session(folder: Path, floor_gb: float = 1e-9) -> tuple[RecordingSession, RecordingChecks]:
    checks = RecordingChecks(PLENTY)
    return RecordingSession(folder, checks, floor_gb), checks


def begin(session: RecordingSession, checks: RecordingChecks, values) -> None:
    """An episode that may be kept, with these numbers in it."""
    session.start(0.0, RECORDING)
    for role, name in TOPICS.items():
        checks.feed(role, replace(NUMBER, name=name), 0.0, None, 12)
    for value in values:
        session.write(NUMBER, 1000 + value, 900 + value, number(value))


def numbers_in(bag: Path) -> list[int]:
    """Every number that a bag holds, whether it was closed or not, by our own reader of bags."""
    from whale_ros.data.bags import Bag

    messages = Bag(bag).messages({NUMBER.name: {NUMBER.type}})
    return [message.content.data for message in messages]


def test_a_bag_is_read_by_others_as_it_was_written(tmp_path):
    writer = BagWriter(tmp_path, "bag", floor_bytes=0, ros_distro="kilted")
    for value in range(300):
        writer.write(NUMBER, 2000 + value, 1000 + value, number(value))
        if value == 100:
            writer.write(NAME, 2100, 1100, b"\0\1\0\0\3\0\0\0hi\0")
    writer.close()
    writer.write_metadata()
    assert not writer.problem and writer.lost == 0
    with AnyReader([tmp_path]) as reader:
        assert (reader.message_count, reader.duration) == (301, 300)
        assert {c.topic: c.msgcount for c in reader.connections} == {"/number": 300, "/name": 1}
        assert {c.topic: c.digest for c in reader.connections}["/number"] == HASH
        read = [(c, t, reader.deserialize(m, c.msgtype)) for c, t, m in reader.messages()]
    assert [m.data for c, _, m in read if c.topic == "/name"] == ["hi"]
    of_numbers = [(t, m.data) for c, t, m in read if c.topic == "/number"]
    assert of_numbers == [(2000 + value, value) for value in range(300)]
    with writer.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        sent = [m.publish_time for _, c, m in reader.iter_messages() if c.topic == "/number"]
    assert sent == list(range(1000, 1300))


def test_what_is_killed_loses_the_last_second_at_most_and_nothing_that_was_kept(tmp_path):
    folders = [tmp_path / str(index) for index in range(3)]
    children = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("record_in_process.py"), folder],
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for folder in folders
    ]  # fmt: skip
    killed_ns = []
    for index, child in enumerate(children):
        assert [child.stdout.readline() for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
        time.sleep(0.9 + 0.37 * index)
        child.send_signal(signal.SIGKILL)
        killed_ns.append(time.time_ns())
        child.wait()
    for folder, end_ns in zip(folders, killed_ns, strict=True):
        kept = sorted(path.name for path in folder.iterdir() if path.suffix != disk.PARTIAL)
        assert kept == ["episode_000000", "episode_000001", "episode_000002"]
        for name, success in zip(kept, (True, False, True), strict=True):
            assert read_recording(folder / name).success is success
            assert numbers_in(folder / name) == list(range(100))
        (name,) = disk.unfinished(folder)
        assert read_recording(folder / name).success is None
        values = numbers_in(folder / name)
        assert values == list(range(len(values)))
        with next((folder / name).glob("*.mcap")).open("rb") as file:
            last_ns = max(time_ns for time_ns in _log_times(file))
        assert end_ns - last_ns < 1e9
        assert disk.next_name(folder) == "episode_000004"


def _log_times(file):
    from mcap.exceptions import EndOfFile
    from mcap.records import Message
    from mcap.stream_reader import StreamReader

    with contextlib.suppress(EndOfFile):
        for record in StreamReader(file).records:
            if isinstance(record, Message):
                yield record.log_time


def test_recording_ends_before_the_disk_is_full_and_what_is_there_can_be_kept(tmp_path):
    recorder, checks = session(tmp_path)
    begin(recorder, checks, range(10))
    recorder._writer._floor_bytes = 1 << 60  # as if another program filled the disk now
    end = time.monotonic() + 5
    while not (told := recorder.look(1.5)[1]):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert "GB left" in told and "keep or discard" in told
    assert recorder.state == State.STOPPED
    kept = recorder.keep(2.0, True, "")
    assert "GB left" in kept.stopped_by and kept.duration_s == 1.5
    assert numbers_in(tmp_path / kept.episode) == list(range(10))
    with AnyReader([tmp_path / kept.episode]) as reader:
        assert reader.message_count == 10


def test_nothing_begins_on_a_disk_that_is_almost_full(tmp_path):
    with pytest.raises(Refused, match="the floor is 1e"):
        session(tmp_path, floor_gb=1e9)[0].start(0.0, RECORDING)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_whole_before(tmp_path):
    recorder, checks = session(tmp_path)
    begin(recorder, checks, range(50))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    while numbers_on_disk(tmp_path) != list(range(50)):
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))  # the system refuses more
    try:
        for value in range(50, 20_000):
            recorder.write(NUMBER, value, value, number(value))
        while not (told := recorder.look(1.0)[1]):
            time.sleep(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "cannot write" in told and "File too large" in told
    kept = recorder.keep(1.0, True, "")
    folder = tmp_path / kept.episode
    assert "cannot write" in kept.stopped_by and not (folder / "metadata.yaml").exists()
    assert numbers_in(folder) == list(range(50))


def numbers_on_disk(folder: Path) -> list[int]:
    return numbers_in(folder / disk.unfinished(folder)[0])


def test_an_episode_is_stopped_kept_or_discarded_in_any_order_and_only_once(tmp_path):
    recorder, checks = session(tmp_path)
    for act in (lambda: recorder.stop(0, ""), lambda: recorder.discard(0),
                lambda: recorder.keep(0, True, "")):  # fmt: skip
        with pytest.raises(Refused):
            act()
    begin(recorder, checks, range(3))
    with pytest.raises(Refused, match="episode_000000 is recording; keep or discard it"):
        recorder.start(1.0, RECORDING)
    recorder.stop(4.0, "operator")
    recorder.write(NUMBER, 1, 1, number(99))  # comes too late
    with pytest.raises(Refused, match="episode_000000 is stopped; keep or discard it"):
        recorder.start(5.0, RECORDING)
    assert disk.unfinished(tmp_path) == ["episode_000000.partial"]
    kept = recorder.keep(6.0, False, "dropped it")
    assert read_recording(tmp_path / "episode_000000") == kept
    assert (kept.success, kept.note, kept.duration_s) == (False, "dropped it", 4.0)
    assert kept.statistics["/pose"]["messages"] == 1
    assert numbers_in(tmp_path / "episode_000000") == [0, 1, 2]

    begin(recorder, checks, range(3))
    assert recorder.discard(8.0) == "episode_000001"
    begin(recorder, checks, range(3))
    recorder.stop(9.0, "operator")
    assert recorder.discard(10.0) == "episode_000001"
    assert [path.name for path in tmp_path.iterdir()] == ["episode_000000"]
    assert recorder.state == State.IDLE and recorder.kept == 1


def test_an_episode_in_which_nobody_moved_the_arm_is_not_kept(tmp_path):
    recorder, checks = session(tmp_path)
    recorder.start(0.0, RECORDING)
    for role in ("camera", "pose"):
        checks.feed(role, replace(NUMBER, name=f"/{role}"), 0.0, None, 12)
    with pytest.raises(Refused, match="nothing came from /command; discard the episode"):
        recorder.keep(1.0, True, "")
    assert recorder.discard(2.0) == "episode_000000"


def test_what_was_kept_is_neither_overwritten_nor_deleted(tmp_path):
    recorder, checks = session(tmp_path)
    begin(recorder, checks, range(3))
    kept = tmp_path / recorder.keep(1.0, True, "").episode
    with pytest.raises(ValueError, match="was kept"):
        disk.discard(kept)
    partial = tmp_path / "episode_000000.partial"
    partial.mkdir()
    with pytest.raises(FileExistsError):
        disk.keep(partial, RECORDING)
    assert numbers_in(kept) == [0, 1, 2] and partial.exists()


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"topics": {"hat": "/x"}}, {"action_source": "dreams"}, {"more": 1}]
)
def test_a_description_that_is_not_one_is_refused_by_name(tmp_path, change):
    disk.write_recording(tmp_path, RECORDING)
    path = tmp_path / "recording.json"
    assert read_recording(tmp_path) == RECORDING
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match="recording.json does not describe a recording"):
        read_recording(tmp_path)


@settings(max_examples=30)
@given(st.binary(max_size=60))
def test_nonsense_is_no_description(data):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "recording.json").write_bytes(data)
        with pytest.raises(ValueError, match="does not describe a recording"):
            read_recording(Path(folder))


def test_a_disk_that_keeps_one_waiting_is_told_before_anything_is_lost(tmp_path, monkeypatch):
    goes_on = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: goes_on.wait())
    writer = BagWriter(tmp_path, "slow", 0)
    try:
        writer.write(NUMBER, 1, 1, b"\0\1\0\0" + bytes(8))
        due = time.monotonic() + 10
        while writer.behind_s < 1.5:
            assert time.monotonic() < due
            time.sleep(0.01)
        assert not writer.lost and not writer.problem
        goes_on.set()
        while writer.behind_s > 1.0:
            assert time.monotonic() < due
            time.sleep(0.01)
    finally:
        goes_on.set()
        writer.close()
    assert writer.behind_s == 0


# Checks


def feed(checks, begin_s=0.0, seconds=3.0, camera_hz=10, pose_hz=40, ahead_s=0.0, frozen=False):
    """A robot that moves 0.1 m a second; images are stamped `ahead_s`."""
    topics = {role: replace(NUMBER, name=f"/{role}") for role in ("camera", "pose")}
    events = [(begin_s + i / pose_hz, "pose", i) for i in range(int(seconds * pose_hz))]
    events += [(begin_s + i / camera_hz, "camera", i) for i in range(int(seconds * camera_hz))]
    for now_s, role, i in sorted(events):
        checks.feed(role, topics[role], now_s, 1e9 + now_s, 12)
        if role == "pose":
            checks.feed_pose(1e9 + now_s, np.array([0.1 * now_s, 0, 0]))
        else:
            checks.feed_picture(1e9 + now_s + ahead_s, 7 if frozen else hash((begin_s, i)))


def looked(checks, now_s=3.0, lost=0, behind_s=0.5):
    return {check.name: check for check in checks.look(now_s, 50.0, lost, behind_s)}


def test_a_robot_that_is_well_passes_every_check():
    checks = RecordingChecks(PLENTY)
    feed(checks)
    assert all(check.ok for check in looked(checks).values())
    assert all(check["ok"] for check in checks.worst)
    assert checks.statistics["/camera"]["rate_hz"] == pytest.approx(10, abs=0.1)


@given(st.sets(st.integers(14, 58), max_size=8), st.floats(-0.005, 0.005))
def test_what_did_not_come_is_counted_by_the_stamps(dropped, jitter_s):
    checks = RecordingChecks(PLENTY)
    for i in range(60):
        if i not in dropped:
            stamp_s = 1e9 + 0.1 * i + jitter_s * (i % 2)
            checks.feed("camera", NUMBER, 0.1 * i, stamp_s, 12)
    found = looked(checks, 6.0)["camera_missing"]
    assert found.value == len(dropped) == checks.statistics["/number"]["missing"]
    assert found.ok is (len(dropped) <= 1)


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("camera_rate", {"camera_hz": 7}),
        ("pose_rate", {"pose_hz": 18}),
        ("skew", {"ahead_s": 0.06}),
        ("picture", {"frozen": True}),
    ],
)
def test_what_is_wrong_is_found_and_stays_in_the_record(name, wrong):
    checks = RecordingChecks(PLENTY)
    feed(checks, **wrong)
    assert not looked(checks)[name].ok
    feed(checks, begin_s=3.0)
    assert looked(checks, 6.0)[name].ok
    (worst,) = (check for check in checks.worst if check["name"] == name)
    assert not worst["ok"]
    checks.begin()
    assert looked(checks, 6.0)[name].ok and all(check["ok"] for check in checks.worst)


def test_a_camera_that_went_away_is_found_and_lost_messages_too():
    checks = RecordingChecks(PLENTY)
    assert not looked(checks)["camera_rate"].ok
    feed(checks)
    assert not looked(checks, now_s=5.5)["camera_rate"].ok
    assert not looked(checks, lost=1)["written"].ok
    assert not looked(checks, behind_s=1.1)["disk_behind"].ok


def test_stamps_that_go_backwards_are_told():
    checks = RecordingChecks(PLENTY)
    feed(checks)
    checks.feed("camera", NUMBER, 3.0, 5.0, 12)
    check = looked(checks)["camera_missing"]
    assert not check.ok and "1 stamps went backwards" in check.message
