"""An episode comes back from disk as it was, or not at all."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import (
    Episode,
    EpisodeInfo,
    add_to_manifest,
    load_episode,
    manifest_hash,
    read_manifest,
    save_episode,
    write_manifest,
)

STEPS = 3


def episode(seed: int = 0) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        frames=rng.integers(0, 256, (STEPS + 1, 8, 8, 3), np.uint8),
        actions=rng.normal(size=(STEPS, 7)).astype(np.float32),
        hand_position=rng.normal(size=(STEPS + 1, 3)).astype(np.float32),
        object_position=rng.normal(size=(STEPS + 1, 3)).astype(np.float32),
        progress=rng.random(STEPS + 1).astype(np.float32),
        success=rng.random(STEPS + 1) < 0.5,
    )


def assert_same(first: Episode, second: Episode) -> None:
    for name, value in first.__dict__.items():
        np.testing.assert_array_equal(value, getattr(second, name))
        assert value.dtype == getattr(second, name).dtype


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("stored") / "a.npz"
    save_episode(path, episode())
    return path.read_bytes()


def test_an_episode_comes_back_bit_by_bit(tmp_path):
    save_episode(tmp_path / "new" / "a.npz", episode())
    assert_same(load_episode(tmp_path / "new" / "a.npz"), episode())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.npz"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cut_file_is_refused_by_name(tmp_path, stored, data):
    path = tmp_path / "cut.npz"
    path.write_bytes(stored[: data.draw(st.integers(0, len(stored) - 1))])
    with pytest.raises(ValueError, match="cut.npz"):
        load_episode(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_a_file_with_a_changed_byte_is_refused_by_name_or_is_whole(tmp_path, stored, data):
    content = bytearray(stored)
    content[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "changed.npz"
    path.write_bytes(content)
    try:
        loaded = load_episode(path)
    except ValueError as error:
        assert "changed.npz" in str(error)
    else:  # a byte that means nothing, such as a date
        assert_same(loaded, episode())


def test_an_absent_file_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="absent.npz"):
        load_episode(tmp_path / "absent.npz")


def test_an_array_that_is_missing_or_that_nobody_knows_is_named(tmp_path):
    arrays = dict(episode().__dict__)
    np.savez(tmp_path / "more.npz", **arrays, colour=np.zeros(3))
    with pytest.raises(ValueError, match="more.npz.*colour"):
        load_episode(tmp_path / "more.npz")
    del arrays["hand_position"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(ValueError, match="less.npz.*hand_position"):
        load_episode(tmp_path / "less.npz")


def test_what_nobody_knows_is_not_stored_and_not_made_up(tmp_path):
    known = {"frames", "actions", "hand_position"}
    real = Episode(**{name: getattr(episode(), name) for name in known})
    save_episode(tmp_path / "a.npz", real)
    with np.load(tmp_path / "a.npz") as arrays:
        assert set(arrays.files) == known
    loaded = load_episode(tmp_path / "a.npz")
    assert (loaded.object_position, loaded.progress, loaded.success) == (None, None, None)


def test_a_pickle_is_not_unpickled(tmp_path):
    arrays = dict(episode().__dict__)
    arrays["progress"] = np.array([print] * (STEPS + 1), object)
    np.savez(tmp_path / "pickle.npz", **arrays)
    with pytest.raises(ValueError, match="pickle.npz"):
        load_episode(tmp_path / "pickle.npz")


@pytest.mark.parametrize("name", ["actions", "hand_position", "object_position", "progress"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused_by_name(tmp_path, name, bad):
    broken = episode()
    getattr(broken, name).flat[1] = bad
    with pytest.raises(ValueError, match=name):
        save_episode(tmp_path / "a.npz", broken)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["frames", "hand_position", "success"])
def test_an_array_of_another_length_is_refused_by_name(name):
    broken = episode()
    setattr(broken, name, getattr(broken, name)[:-1])
    with pytest.raises(ValueError, match=name):
        broken.check()


def test_frames_that_are_no_pictures_and_actions_of_another_dimension_are_refused():
    broken = episode()
    broken.frames = broken.frames.astype(np.float32)
    with pytest.raises(ValueError, match="float32"):
        broken.check()
    broken = episode()
    broken.actions = broken.actions[:, :6]
    with pytest.raises(ValueError, match="actions"):
        broken.check()


def test_a_manifest_comes_back_and_its_hash_names_it(tmp_path):
    space = ActionSpace(step_s=0.1)
    infos = [EpisodeInfo("train/000000.npz", "train", "reach-v3", "expert", 0)]
    save_episode(tmp_path / infos[0].file, episode(0))
    write_manifest(tmp_path, space, infos)
    assert read_manifest(tmp_path) == (space, infos)
    first = manifest_hash(tmp_path)
    write_manifest(tmp_path, space, infos)
    assert manifest_hash(tmp_path) == first
    save_episode(tmp_path / infos[0].file, episode(1))  # another episode under the same name
    write_manifest(tmp_path, space, infos)
    assert manifest_hash(tmp_path) != first


def test_more_episodes_are_added_to_a_manifest_and_none_is_lost(tmp_path):
    infos = [EpisodeInfo(f"train/{i}.npz", "train", "reach-v3", "expert", i) for i in range(3)]
    for info in infos:
        save_episode(tmp_path / info.file, episode(info.seed))
    add_to_manifest(tmp_path, ActionSpace(), infos[:2])
    add_to_manifest(tmp_path, ActionSpace(), infos[1:])
    assert read_manifest(tmp_path) == (ActionSpace(), infos)
    before = manifest_hash(tmp_path)
    with pytest.raises(ValueError, match="0.05m.*0.07m.*another folder"):
        add_to_manifest(tmp_path, ActionSpace(max_translation_m=0.07), infos[:1])
    assert manifest_hash(tmp_path) == before


def test_without_a_manifest_one_is_told_how_to_make_a_dataset(tmp_path):
    with pytest.raises(ValueError, match="whale collect"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", "[" * 5000, '{"action_space": {}}', '{"episodes": [{"colour": 1}]}'],
)
def test_a_manifest_that_is_none_is_refused_by_name(tmp_path, content):
    whole = {"action_space": ActionSpace().to_dict(), "episodes": []}
    if content.startswith('{"episodes'):
        content = json.dumps(whole | json.loads(content))
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match="manifest.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": 5}, "four texts and a whole number"),
        ({"task": None}, "four texts and a whole number"),
        ({"seed": "7"}, "four texts and a whole number"),
        ({"seed": True}, "four texts and a whole number"),
        ({"file": ""}, "in the manifest's folder, not ''"),
        ({"file": "/etc/passwd"}, "in the manifest's folder, not '/etc/passwd'"),
        ({"file": "train/../../x.npz"}, "in the manifest's folder"),
        ({"file": "a\0"}, "in the manifest's folder"),
    ],
)
def test_a_manifest_that_lists_what_is_no_episode_is_refused(tmp_path, change, words):
    entry = {"file": "a.npz", "split": "train", "task": "t", "behavior": "b", "seed": 7} | change
    content = {"action_space": ActionSpace().to_dict(), "episodes": [entry]}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words):
        read_manifest(tmp_path)
