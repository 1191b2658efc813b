"""Our episodes come back from a LeRobot dataset bit by bit, and LeRobot can read it."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import load_episode, read_manifest
from whale_ros.data.lerobot import statistics
from whale_ros.data.lerobot.exporting import CAMERA, export_dataset
from whale_ros.data.lerobot.importing import import_dataset

KNOWN = ("object_position", "progress", "success")


def assert_same(first, second) -> None:
    assert first.arrays().keys() == second.arrays().keys()
    for name, value in first.arrays().items():
        other = getattr(second, name)
        assert value.dtype == other.dtype, name
        np.testing.assert_array_equal(value, other, name)


def round_trip(folder, space):
    export_dataset(folder / "data", folder / "exported")
    import_dataset(folder / "exported", folder / "back", None, ActionSpace(), resolution=64)
    back_space, back = read_manifest(folder / "back")
    assert back_space == space
    return back


@settings(max_examples=15)
@given(data=st.data())
def test_episodes_come_back_bit_by_bit_and_so_do_their_pictures(
    tmp_path_factory, write_episodes, random_episode, data
):
    folder = tmp_path_factory.mktemp("trip")
    space = ActionSpace("body_twist", data.draw(st.sampled_from([0.2, 0.1, 1.0])), 0.07, 0.2)
    size = data.draw(st.tuples(st.integers(8, 24), st.integers(8, 24)))  # odd ones too
    steps = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    splits = data.draw(st.lists(st.sampled_from(["train", "validation"]), min_size=4, max_size=4))
    task = data.draw(st.text(max_size=20))
    known = st.sets(st.sampled_from(KNOWN))  # of a part without its end nobody knows the success
    episodes = [random_episode(n, i, size, data.draw(known)) for i, n in enumerate(steps)]
    infos = write_episodes(folder / "data", episodes, space, splits, task)

    back = round_trip(folder, space)

    order = sorted(infos, key=lambda info: info.split != infos[0].split)
    for info, found in zip(order, back, strict=True):
        told = [(i.split, i.task, i.behavior, i.seed) for i in (info, found)]
        assert told[0] == told[1]
        assert_same(
            load_episode(folder / "data" / info.file), load_episode(folder / "back" / found.file)
        )


def test_a_long_dataset_has_several_videos_none_longer_than_lerobot_can_read(
    tmp_path, write_episodes, random_episode
):
    space = ActionSpace(step_s=1.0)
    episodes = [random_episode(399, i, (8, 8)) for i in range(3)]
    write_episodes(tmp_path / "data", episodes, space)
    for episode, found in zip(episodes, round_trip(tmp_path, space), strict=True):
        assert_same(episode, load_episode(tmp_path / "back" / found.file))
    assert len(list((tmp_path / "exported" / "videos" / CAMERA).rglob("*.mp4"))) == 2
    entries = pq.read_table(next((tmp_path / "exported" / "meta" / "episodes").rglob("*.parquet")))
    assert entries[f"videos/{CAMERA}/to_timestamp"].to_pylist() == [400, 800, 400]


def test_the_files_are_as_lerobot_writes_them(ours, theirs, truth):
    def told(path):
        return json.loads(path.read_text())

    def types(folder, camera, pattern):
        schema = pq.read_schema(next((folder / pattern).rglob("*.parquet")))
        return {field.name.replace(camera, "CAMERA"): field.type for field in schema}

    our_info, their_info = (told(folder / "meta" / "info.json") for folder in (ours, theirs))
    assert our_info.keys() == their_info.keys()
    for name in ("codebase_version", "chunks_size", "data_path", "video_path"):
        assert our_info[name] == their_info[name]
    for feature in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        assert our_info["features"][feature] == their_info["features"][feature]
    our_video, their_video = (
        info["features"][camera] for info, camera in ((our_info, CAMERA), (their_info, truth.VIDEO))
    )
    assert our_video.keys() == their_video.keys()
    assert our_video["info"].keys() == their_video["info"].keys()

    ours_are, theirs_are = types(ours, CAMERA, "data"), types(theirs, truth.VIDEO, "data")
    common = ours_are.keys() & theirs_are.keys()
    assert {"action", "observation.state", "timestamp", "task_index"} <= common
    for name in common - {"observation.state"}:
        assert ours_are[name] == theirs_are[name], name
    ours_are = types(ours, CAMERA, "meta/episodes")
    theirs_are = types(theirs, truth.VIDEO, "meta/episodes")
    places = {name for name in theirs_are if not name.startswith("stats/")}
    assert places == {name for name in ours_are if not name.startswith("stats/")}
    statistics = {name for name in theirs_are if name.startswith(("stats/action", "stats/CAMERA"))}
    assert len(statistics) == 20 and statistics <= ours_are.keys()
    for name in places | statistics:
        assert ours_are[name] == theirs_are[name], name

    ours_are, theirs_are = (pq.read_table(f / "meta" / "tasks.parquet") for f in (ours, theirs))
    assert ours_are.column_names == theirs_are.column_names
    indices = [
        json.loads(t.schema.metadata[b"pandas"])["index_columns"] for t in (ours_are, theirs_are)
    ]
    assert indices[0] == indices[1]


def test_statistics_are_those_of_lerobot(theirs, truth):
    told = json.loads((theirs / "meta" / "stats.json").read_text())
    episodes = range(len(truth.LENGTHS))
    for name in ("action", "observation.state"):
        found = statistics.of_vectors(np.concatenate([truth.columns(e)[name] for e in episodes]))
        for key in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(found[key], told[name][key], atol=1e-6)
    rows = [(e, row) for e in episodes for row in range(truth.LENGTHS[e])]
    pictures = np.stack([truth.picture(*row) for row in rows])
    found = statistics.of_pictures(statistics.levels(pictures), len(pictures))
    for key in ("min", "max", "mean", "count"):
        np.testing.assert_allclose(found[key], told[truth.IMAGE][key], atol=1e-6)
    # Not "std": LeRobot 0.4.4 squares pixels as uint8, which overflows.
    expected = (pictures / 255).std(axis=(0, 1, 2))
    np.testing.assert_allclose(np.ravel(found["std"]), expected)
    one = json.loads(json.dumps(statistics.of_pictures(statistics.levels(pictures[:45]), 45)))
    entries = pq.read_table(next((theirs / "meta" / "episodes").rglob("*.parquet"))).slice(0, 1)
    for key in statistics.QUANTILES:  # which LeRobot estimates, from histograms
        estimate = entries[f"stats/{truth.IMAGE}/{key}"][0].as_py()
        np.testing.assert_allclose(one[key], estimate, atol=1 / 255)


def test_quantiles_of_pictures_are_those_of_their_pixels():
    pictures = np.random.default_rng(0).integers(30, 200, (5, 9, 7, 3), np.uint8)
    found = statistics.of_pictures(statistics.levels(pictures), 5)
    pixels = pictures.reshape(-1, 3) / 255
    for name, quantile in statistics.QUANTILES.items():
        expected = np.quantile(pixels, quantile, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(np.ravel(found[name]), expected, atol=1e-12)


def test_lerobot_itself_reads_it(tmp_path, monkeypatch, write_episodes, random_episode):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="LeRobot is absent")
    episodes = [random_episode(4, i) for i in range(3)]
    write_episodes(tmp_path / "data", episodes)
    export_dataset(tmp_path / "data", tmp_path / "exported")
    rows = iter(datasets.LeRobotDataset("whale/test", root=tmp_path / "exported"))
    for number, episode in enumerate(episodes):
        for t, frame in enumerate(episode.frames):
            row = next(rows)
            assert (row["episode_index"], row["frame_index"]) == (number, t)
            assert row["task"] == "reach-v3"
            seen = (row[CAMERA].permute(1, 2, 0).numpy() * 255).round()
            np.testing.assert_array_equal(seen, frame)
            np.testing.assert_array_equal(row["observation.state"], episode.hand_position[t])
            told = episode.actions[t] if t < 4 else np.append(np.zeros(6), episode.actions[3, 6])
            np.testing.assert_array_equal(row["action"], told)


def test_what_lerobot_cannot_hold_is_refused(tmp_path, write_episodes, random_episode):
    out = tmp_path / "out"
    for number, (episodes, space, word) in enumerate(
        [
            ([random_episode(3)], ActionSpace(step_s=0.15), "0.15"),
            ([random_episode(3), random_episode(3, size=(16, 8))], None, "train/1.npz"),
        ]
    ):
        write_episodes(tmp_path / str(number), episodes, space)
        with pytest.raises(ValueError, match=word):
            export_dataset(tmp_path / str(number), out)
        assert not out.exists() and not list(tmp_path.glob(".out*"))


def test_nothing_is_written_over(ours):
    with pytest.raises(ValueError, match="ours exists"):
        export_dataset(ours.parent / "data", ours)


def test_without_a_mapping_an_export_that_was_changed_is_refused(ours, tmp_path):
    path = ours / "meta" / "whale_ros.json"
    content = json.loads(path.read_text())
    content["episodes"] = content["episodes"][1:]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="changed since its export.*--mapping"):
        import_dataset(ours, tmp_path / "back", None, ActionSpace(), 16)
