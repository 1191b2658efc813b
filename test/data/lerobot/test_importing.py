"""What LeRobot recorded becomes episodes at the model's step, and says what each thing means."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.cli import main
from whale_ros.data.episodes import Episode, load_episode, read_manifest
from whale_ros.data.lerobot.exporting import export_dataset
from whale_ros.data.lerobot.importing import import_dataset
from whale_ros.data.lerobot.mapping import load_mapping

POSES, DELTAS = load_mapping("open_x_euler"), load_mapping("end_effector_deltas")
DELTAS = replace(DELTAS, gripper=POSES.gripper)
STRIDE = 2  # of 10 rows a second in a step of 0.2 s


def from_poses(truth, camera):
    return replace(POSES, camera=camera)


def rewrite(folder, pattern, change) -> None:
    """Replace the parquet file by what change(table) makes of it."""
    path = next((folder / pattern).rglob("*.parquet"))
    pq.write_table(change(pq.read_table(path)), path)


def set_column(name, change):
    """A change that replaces a column (rows, width) by change(it)."""

    def changed(table):
        values = np.array(table[name].to_pylist())
        column = pa.array(list(change(values)), table.schema.field(name).type)
        return table.set_column(table.column_names.index(name), name, column)

    return changed


@pytest.mark.parametrize("mapping", [POSES, DELTAS], ids=["poses", "deltas"])
@pytest.mark.parametrize("camera", ["VIDEO", "IMAGE"])
def test_what_lerobot_wrote_is_what_happened(theirs, truth, tmp_path, mapping, camera):
    mapping = replace(mapping, camera=getattr(truth, camera))
    report = import_dataset(theirs, tmp_path / "data", mapping, ActionSpace(), truth.HEIGHT)
    space, infos = read_manifest(tmp_path / "data")
    assert space == ActionSpace() and infos == report.episodes and not report.left_out
    assert [info.task for info in infos] == list(truth.TASKS)
    assert [info.split for info in infos] == ["train", "validation", "train"]
    for number, info in enumerate(infos):
        episode = load_episode(tmp_path / "data" / info.file)
        rows = np.arange(0, truth.LENGTHS[number], STRIDE)
        position, orientation = truth.poses(number)
        turns = orientation[rows[1:]] * orientation[rows[:-1]].inv()
        np.testing.assert_allclose(episode.hand_position, position[rows], atol=1e-6)
        np.testing.assert_allclose(
            episode.actions[:, :3], np.diff(position[rows], axis=0), atol=1e-6
        )
        np.testing.assert_allclose(episode.actions[:, 3:6], turns.as_rotvec(), atol=1e-6)
        np.testing.assert_array_equal(episode.actions[:, 6], truth.closed(number)[rows[1:] - 1])
        middle = slice((truth.WIDTH - truth.HEIGHT) // 2, -(truth.WIDTH - truth.HEIGHT) // 2)
        shown = np.stack([truth.picture(number, row)[:, middle] for row in rows])
        loss = 0 if camera == "IMAGE" else 2.5  # AV1 as LeRobot writes it; a row is 4 levels
        assert (
            np.abs(episode.frames[:, 12:].mean((1, 2, 3)) - shown[:, 12:].mean((1, 2, 3))).max()
            <= loss
        )
        if mapping is DELTAS or mapping.success:
            assert episode.success.nonzero()[0].tolist() == [len(rows) - 1]
        else:
            assert episode.success is None


@pytest.mark.parametrize(
    "column, rows", [("at_end", [25]), ("done", [3, 10]), ("next.done", [3, 11])]
)
def test_success_is_told_of_the_frame_at_which_the_task_is_done(
    theirs, truth, tmp_path, column, rows
):
    """Rows 5, 20 and 21 of the episode of 52 say that it is; every second one is a frame."""

    def add(table):
        here = table["episode_index"].to_numpy() == 1
        row = table["frame_index"].to_numpy()
        return table.append_column(
            column, pa.array(here & np.isin(row, [5, 20] if column == "done" else [5, 21]))
        )

    if column != "at_end":
        rewrite(theirs, "data", add)
        path = theirs / "meta" / "info.json"
        info = json.loads(path.read_text())
        info["features"][column] = {"dtype": "bool", "shape": [1], "names": None}
        path.write_text(json.dumps(info))
    mapping = replace(POSES, camera=truth.IMAGE, success=column)
    report = import_dataset(theirs, tmp_path / "data", mapping, ActionSpace(), 32)
    episode = load_episode(tmp_path / "data" / report.episodes[1].file)
    assert episode.success.nonzero()[0].tolist() == rows


def test_an_episode_is_cut_where_the_hand_is_too_fast(theirs, truth, tmp_path):
    def jump(table):
        here = (table["episode_index"].to_numpy() == 1) & (table["frame_index"].to_numpy() >= 5)
        return set_column("observation.state", lambda s: s + np.outer(here, np.eye(8)[0]))(table)

    rewrite(theirs, "data", jump)
    mapping = from_poses(truth, truth.IMAGE)
    report = import_dataset(theirs, tmp_path / "data", mapping, ActionSpace(), 32)
    assert len(report.episodes) == 3
    assert [text.split(":")[0] for text in report.left_out] == ["episode 1", "episode 1"]
    assert "step 2 of 1.0" in report.left_out[0] and "3 frames are too short" in report.left_out[1]
    episode = load_episode(tmp_path / "data" / report.episodes[1].file)
    position = truth.poses(1)[0] + [1, 0, 0]
    np.testing.assert_allclose(episode.hand_position, position[6::STRIDE], atol=1e-6)
    assert (episode.frames[0, 12:] == truth.picture(1, 6)[12:, 8:40]).all()


@pytest.mark.parametrize("done_at", [None, 5, 60])
def test_of_the_first_part_of_an_episode_nobody_knows_that_it_failed(
    write_episodes, tmp_path, done_at
):
    actions = np.zeros((60, 7), np.float32)
    actions[:, 0], actions[30, 0] = 0.01, 1.0
    success = np.arange(61) == (-1 if done_at is None else done_at)
    episode = Episode(
        frames=np.zeros((61, 16, 16, 3), np.uint8),
        actions=actions,
        hand_position=np.cumsum(np.r_[[[0, 0, 0]], actions[:, :3]], axis=0, dtype=np.float32),
        success=success,
    )
    write_episodes(tmp_path / "data", [episode])
    export_dataset(tmp_path / "data", tmp_path / "exported")
    mapping = load_mapping("whale_ros")
    report = import_dataset(tmp_path / "exported", tmp_path / "back", mapping, ActionSpace(), 16)
    first, last = (load_episode(tmp_path / "back" / info.file) for info in report.episodes)
    if done_at == 5:
        assert first.success.nonzero()[0].tolist() == [5]
    else:
        assert first.success is None
    assert last.success.any() == (done_at == 60)


@pytest.mark.parametrize("list_type", [pa.list_, pa.large_list])
@pytest.mark.parametrize("number", [pa.float32(), pa.float64()])
def test_lists_and_numbers_of_other_kinds_are_the_same(theirs, truth, tmp_path, list_type, number):
    """As pandas writes them, with which LeRobot converts older datasets."""
    mapping = from_poses(truth, truth.IMAGE)
    first = import_dataset(theirs, tmp_path / "first", mapping, ActionSpace(), 32).episodes
    for name in ("observation.state", "action"):
        kind = pa.field(name, list_type(number))
        rewrite(
            theirs,
            "data",
            lambda table, kind=kind: table.set_column(
                table.column_names.index(kind.name), kind, table[kind.name].cast(kind.type)
            ),
        )
    second = import_dataset(theirs, tmp_path / "second", mapping, ActionSpace(), 32).episodes
    for one, other in zip(first, second, strict=True):
        pair = (
            load_episode(tmp_path / "first" / one.file),
            load_episode(tmp_path / "second" / other.file),
        )
        np.testing.assert_array_equal(pair[0].actions, pair[1].actions)
        np.testing.assert_array_equal(pair[0].hand_position, pair[1].hand_position)


@pytest.mark.parametrize("unit", [0.0, 3.0, -1.0])
def test_actions_that_are_not_what_the_hand_did_are_left_out(theirs, truth, tmp_path, unit):
    mapping = replace(DELTAS, camera=truth.IMAGE, position=replace(DELTAS.position, unit=unit))
    space = ActionSpace(max_translation_m=1.0)
    with pytest.raises(
        ValueError, match="no episode that is of use.*differ from what the hand did.*poses"
    ):
        import_dataset(theirs, tmp_path / "data", mapping, space, 32)
    assert not (tmp_path / "data").exists()


def test_several_datasets_come_together_unless_their_actions_differ(theirs, truth, tmp_path):
    mapping = from_poses(truth, truth.IMAGE)
    import_dataset(theirs, tmp_path / "data", mapping, ActionSpace(), 32)
    theirs = theirs.rename(theirs.with_name("others"))
    import_dataset(theirs, tmp_path / "data", mapping, ActionSpace(), 32)
    assert len(read_manifest(tmp_path / "data")[1]) == 6
    euler = replace(DELTAS, camera=truth.IMAGE, actions="euler_coordinate_difference")
    with pytest.raises(ValueError, match="euler_coordinate_difference.*another folder"):
        import_dataset(theirs, tmp_path / "data", euler, ActionSpace(), 32)
    assert len(read_manifest(tmp_path / "data")[1]) == 6


def test_another_dataset_of_the_same_name_replaces_nothing(theirs, truth, tmp_path):
    mapping, data = from_poses(truth, truth.IMAGE), tmp_path / "data"
    import_dataset(theirs, data, mapping, ActionSpace(), 32)
    import_dataset(theirs, data, mapping, ActionSpace(), 32)  # once more is no harm
    first = data / "train" / "theirs_000000_0.npz"
    before = first.read_bytes()
    with pytest.raises(ValueError, match="theirs_000000_0.npz is another episode already.*rename"):
        import_dataset(theirs, data, replace(mapping, success="at_end"), ActionSpace(), 32)
    assert first.read_bytes() == before and len(read_manifest(data)[1]) == 3


@pytest.mark.parametrize("step_s", [0.25, 0.05, 0.15])
def test_a_step_that_is_no_whole_number_of_rows_is_refused(theirs, truth, tmp_path, step_s):
    with pytest.raises(ValueError, match=f"info.json.*10 rows a second.*step of {step_s:g} s"):
        import_dataset(
            theirs,
            tmp_path / "data",
            from_poses(truth, truth.IMAGE),
            ActionSpace(step_s=step_s),
            32,
        )


def test_a_person_imports_with_a_mapping_by_its_name(theirs, truth, tmp_path, capsys):
    data = tmp_path / "data"
    main(
        [
            "lerobot",
            "import",
            str(theirs),
            str(data),
            "--mapping=open_x_euler",
            f"--camera={truth.VIDEO}",
        ]
    )
    assert "3 episodes" in capsys.readouterr().out
    assert load_episode(data / "train" / "theirs_000000_0.npz").frames.shape == (23, 64, 64, 3)
    pictures = sorted(path.name for path in (data / "pictures").iterdir())
    assert pictures == [f"theirs_00000{number}_0.png" for number in range(3)]
    main(["lerobot", "export", str(data), str(tmp_path / "exported")])
    assert "3 episodes" in capsys.readouterr().out
    for words, message in (
        (["import", str(theirs), str(data)], "not exported from here.*--mapping"),
        (["import", str(theirs), str(data), "--mapping=ours"], "open_x_euler"),
        (["import", str(theirs), str(data), "--mapping=open_x_euler"], truth.VIDEO),
        (["export", str(data), str(tmp_path / "exported")], "exported exists"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["lerobot", *words])
