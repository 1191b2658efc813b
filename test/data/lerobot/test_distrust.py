"""What is absent, cut or lies in a LeRobot dataset is refused by name; nothing is made up."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import load_episode
from whale_ros.data.lerobot.importing import import_dataset
from whale_ros.data.lerobot.mapping import load_mapping

MAPPING = load_mapping("open_x_euler")
META, DATA, VIDEOS = "meta/episodes", "data", "videos"
SETTINGS = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder, truth, camera=None):
    """The episodes; nothing stays behind."""
    out = folder.parent / "out"
    mapping = replace(MAPPING, camera=truth.VIDEO if camera is None else camera)
    try:
        report = import_dataset(folder, out, mapping, ActionSpace(), truth.HEIGHT)
        return [load_episode(out / info.file) for info in report.episodes]
    finally:
        shutil.rmtree(out, ignore_errors=True)


def file_of(folder, place):
    path = folder / place
    return path if path.is_file() else next(p for p in path.rglob("file-000.*"))


@pytest.mark.parametrize("place", ["meta/info.json", META, DATA, VIDEOS])
def test_a_file_that_is_absent_is_named(theirs, truth, place):
    path = file_of(theirs, place)
    path.unlink()
    with pytest.raises(ValueError, match="info.json|episodes" if place == META else path.name):
        read(theirs, truth)


@pytest.mark.parametrize("place", ["meta/info.json", META, DATA])
@SETTINGS
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_table_that_is_cut_is_refused_by_name(theirs, truth, place, share):
    path = file_of(theirs, place)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * (len(whole) - 1))])
    with pytest.raises(ValueError, match=path.name):
        read(theirs, truth)
    path.write_bytes(whole)


@pytest.fixture
def episodes(theirs, truth):
    return read(theirs, truth)


@SETTINGS
@given(share=st.floats(0, 1, exclude_max=True))
def test_of_a_video_that_is_cut_no_wrong_picture_is_taken(theirs, truth, episodes, share):
    path = file_of(theirs, VIDEOS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    try:
        found = read(theirs, truth)
    except ValueError as error:
        assert "file-000.mp4" in str(error) and "again" in str(error)
    else:  # what was cut is not needed
        for episode, other in zip(found, episodes, strict=True):
            np.testing.assert_array_equal(episode.frames, other.frames)
    finally:
        path.write_bytes(whole)


@SETTINGS
@given(data=st.data())
def test_changed_bytes_of_tables_are_refused_or_the_episodes_are_sound(theirs, truth, data):
    path = file_of(theirs, data.draw(st.sampled_from([META, DATA])))
    whole = path.read_bytes()
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        for episode in read(theirs, truth):
            episode.check()
    except ValueError as error:
        assert "theirs" in str(error)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"codebase_version": "v2.1"}, "v2.1.*convert_dataset_v21_to_v30"),
        ({"codebase_version": None}, "None"),
        ({"fps": 0}, "0.0 frames a second"),
        ({"fps": 1e300}, "frames a second"),
        ({"fps": "often"}, "often"),
        ({"fps": 20}, "off the 20 rows a second"),
        ({"total_episodes": 2}, "3 episodes"),
        ({"total_episodes": 10**12}, "3 episodes"),
        ({"total_episodes": "inf"}, "inf"),
        ({"data_path": "../../etc/passwd"}, "data_path"),
        ({"video_path": "{video_key:99999999999}"}, "video_path"),
        ({"features": []}, "info.json"),
        ({"features": {"action": 3}}, "no mapping"),
        ({"features": {}}, "no column"),
    ],
)
def test_an_info_that_lies_is_named(theirs, truth, change, words):
    path = theirs / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=words) as raised:
        read(theirs, truth)
    assert "theirs" in str(raised.value)


@pytest.mark.parametrize("shape", [[10**9], [8, 10**9], [], "8", [8.5], [-1], [9], [7]])
def test_a_feature_of_another_shape_than_its_column_is_refused(theirs, truth, shape):
    path = theirs / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["features"]["observation.state"]["shape"] = shape
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match="observation.state|yaw"):
        read(theirs, truth)


def put(name, row, value):
    def change(table):
        values = table[name].to_pylist()
        values[row] = value
        column = pa.array(
            values, None if isinstance(value, list | str) else table.schema.field(name).type
        )
        return table.set_column(table.column_names.index(name), name, column)

    return change


@pytest.mark.parametrize(
    "place, change, words",
    [
        (DATA, put("observation.state", 7, [np.nan] * 8), "observation.state.*row 7.*not finite"),
        (DATA, put("observation.state", 7, [0.0] * 9), "observation.state.*8 numbers"),
        (DATA, put("observation.state", 7, None), "observation.state.*missing"),
        (DATA, put("action", 50, [0.0] * 6 + [5.0]), "episode 1.*gripper.*holds 5.*closed"),
        (DATA, put("frame_index", 50, 9), "52 rows of episode 1"),
        (DATA, put("episode_index", 50, 7), "episode 1"),
        (DATA, put("timestamp", 50, 9.0), "row 5 of episode 1.*off"),
        (DATA, lambda table: table.slice(0, 100), "3 rows of episode 2"),
        (DATA, lambda table: table.slice(0, 0), "0 rows of episode 0"),
        (DATA, lambda table: table.drop_columns("action"), "no column action"),
        (META, put("length", 1, 51), "52 rows of episode 1"),
        (META, put("length", 1, -1), "52 rows of episode 1"),
        (META, put("episode_index", 1, 5), "3 episodes"),
        (META, put("data/chunk_index", 1, 10**15), "chunk-1000000000000000"),
        (META, put("data/file_index", 1, None), "data/file_index"),
        (META, put("videos/observation.images.front/from_timestamp", 1, 99.0), "no picture at 99"),
        (META, put("videos/observation.images.front/from_timestamp", 1, 1e300), "file-000.mp4"),
        (META, put("videos/observation.images.front/from_timestamp", 1, np.inf), "not finite"),
        (META, put("videos/observation.images.front/from_timestamp", 1, -3.0), "no picture at -3"),
        (META, put("videos/observation.images.front/file_index", 1, 3), "file-003.mp4 is missing"),
        (META, lambda table: table.drop_columns("tasks"), "no column tasks"),
    ],
)  # fmt: skip
def test_a_table_that_lies_is_named(theirs, truth, place, change, words):
    path = file_of(theirs, place)
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(ValueError, match=words) as raised:
        read(theirs, truth)
    assert "theirs" in str(raised.value)


def test_no_other_file_is_opened_for_a_list_in_the_place_of_a_video(theirs, truth):
    path = file_of(theirs, VIDEOS)
    path.rename(path.with_name("other.mp4"))
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(ValueError, match="file-000.mp4 cannot be decoded"):
        read(theirs, truth)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"bytes": None, "path": "a.png"},
        {"bytes": b"PNG", "path": ""},
        {"bytes": b"ffconcat version 1.0\nfile a.png\n", "path": ""},
    ],
)
def test_a_picture_among_the_rows_that_is_none_is_refused(theirs, truth, content):
    path = file_of(theirs, DATA)
    table = pq.read_table(path)
    pictures = table[truth.IMAGE].to_pylist()
    pictures[4] = content
    column = pa.array(pictures, table.schema.field(truth.IMAGE).type)
    pq.write_table(
        table.set_column(table.column_names.index(truth.IMAGE), truth.IMAGE, column), path
    )
    with pytest.raises(ValueError, match="file-000.parquet, episode 0"):
        read(theirs, truth, truth.IMAGE)


def test_a_table_of_more_rows_than_memory_is_not_read(theirs, truth):
    """Millions of rows that are all alike take few bytes."""
    path = file_of(theirs, DATA)
    alike = pa.table({"timestamp": np.zeros(1_000_000)})
    with pq.ParquetWriter(path, alike.schema) as writer:
        for _ in range(11):
            writer.write_table(alike)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match="file-000.parquet.*11000000 rows"):
        read(theirs, truth)


@pytest.mark.parametrize(
    "camera", ["observation.state", "", "..", "observation.images.none", "a/b"]
)
def test_a_camera_that_there_is_not_is_refused_with_those_that_there_are(theirs, truth, camera):
    with pytest.raises(ValueError, match=f"no camera.*{truth.VIDEO}, {truth.IMAGE}"):
        read(theirs, truth, camera)


def test_an_export_of_ours_that_lies_is_named(ours, tmp_path):
    path = ours / "meta" / "whale_ros.json"
    told = json.loads(path.read_text())
    for change in (
        {"action_space": {}},
        {"episodes": [{"split": "train"}]},
        {"episodes": [told["episodes"][0] | {"split": "../.."}]},
        {"episodes": [told["episodes"][0] | {"seed": "1"}, *told["episodes"][1:]]},
        {"episodes": [told["episodes"][0] | {"behavior": 5}, *told["episodes"][1:]]},
        {"episodes": [told["episodes"][0] | {"of_some": {"hat": [1]}}, *told["episodes"][1:]]},
        {"episodes": [told["episodes"][0] | {"of_some": {"success": [1]}}, *told["episodes"][1:]]},
        {"episodes": 3},
        {"episodes": []},
    ):
        path.write_text(json.dumps(told | change))
        with pytest.raises(ValueError, match="whale_ros.json"):
            import_dataset(ours, tmp_path / "back", None, ActionSpace(), 16)
    path.write_text("{")
    with pytest.raises(ValueError, match="whale_ros.json"):
        import_dataset(ours, tmp_path / "back", None, ActionSpace(), 16)
    assert not (tmp_path / "back").exists()
