"""Random pieces of a dataset: frames line up with their actions."""

import json
from hashlib import sha256

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.config import WhaleConfig

LENGTHS = (23, 15, 30)  # actions


@pytest.fixture
def data(write_data):
    return EpisodeSet(write_data(steps=LENGTHS), "train")


def numbers(data) -> Sequences:
    """(T_e+1, 1, 2): number of the episode, of the frame."""
    return Sequences([frames[:, :1, 0, :2] for frames in data.frames])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 24), st.integers(1, 5), st.integers(0, 1000))
def test_windows_line_up_frames_with_the_actions_between_them(data, length, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = numbers(data)
    sequence, actions = data.windows(codes, batch, length, generator)
    assert sequence.shape == (batch, length, 1, 2) and sequence.dtype == torch.long
    assert actions.shape == (batch, length - 1, 7)
    episode, frame = sequence[:, :, 0, 0] // 20, sequence[:, :, 0, 1]
    assert (episode == episode[:, :1]).all()
    assert (frame == frame[:, :1] + torch.arange(length)).all()
    # Action t begins at frame t.
    assert (actions[:, :, 0] == episode[:, :-1]).all()
    assert (actions[:, :, 1] == frame[:, :-1]).all()


def test_every_window_is_drawn_sooner_or_later_up_to_both_ends(data):
    codes = numbers(data)
    sequence, _ = data.windows(codes, 2000, 14, torch.Generator().manual_seed(0))
    starts = {(int(e) // 20, int(t)) for e, t in sequence[:, 0, 0]}
    assert starts == {(e, t) for e in range(3) for t in range(LENGTHS[e] + 1 - 14 + 1)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 30), st.integers(0, 1000))
def test_a_reference_is_an_earlier_frame_of_the_same_episode(data, max_gap, seed):
    generator = torch.Generator().manual_seed(seed)
    frames, references = data.frame_pairs(20, max_gap, generator)
    assert frames.shape == references.shape == (20, 3, 32, 32)
    assert torch.equal(frames[:, 0], references[:, 0])
    gap = (255 * (frames[:, 1, 0, 0] - references[:, 1, 0, 0])).round()
    assert gap.min() >= 0 and gap.max() <= max_gap


def test_only_the_split_that_was_asked_for_is_loaded(write_data):
    folder = write_data(split="validation")
    assert len(EpisodeSet(folder, "validation")) == 3
    with pytest.raises(ValueError, match="no train episodes; its splits are: validation"):
        EpisodeSet(folder, "train")


def test_episodes_are_left_out_by_their_file_or_by_the_bag_that_they_came_from(write_data):
    folder = write_data()
    made = [{"file": f"train/{i}.npz"} for i in range(3)]
    bags = [{"sha256": f"bag {i}", "number": i, "task": "t", "episodes": made[i:i + 1 + i]}
            for i in (0, 1)]  # fmt: skip
    kind = {"action_space": json.loads((folder / "manifest.json").read_text())["action_space"]}
    (folder / "conversion.json").write_text(json.dumps({"kind": kind, "bags": bags}))

    def left(*without):
        return [info.seed for info in EpisodeSet(folder, "train", without=without).infos]

    own = sha256((folder / "train/2.npz").read_bytes()).hexdigest()
    assert left() == [0, 1, 2] == left("another")
    assert left("bag 0") == [1, 2] and left("bag 1") == [0] and left(own) == [0, 1]
    assert EpisodeSet(folder, "train").known_by[2] == {own, "bag 1"}
    with pytest.raises(ValueError, match="has learnt from all"):
        left("bag 0", "bag 1")


def test_episodes_that_are_too_short_are_refused_by_name_with_the_length_that_is_needed(data):
    data.must_last(16, "this")
    with pytest.raises(
        ValueError, match=r"this needs .* at least 17 frames \(3.2 s\).*/1.npz \(16\);"
    ):
        data.must_last(17, "this")


def test_a_broken_episode_is_refused_by_name(write_data):
    folder = write_data()
    (folder / "train" / "1.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="1.npz"):
        EpisodeSet(folder, "train")


def test_frames_of_another_resolution_than_the_model_s_are_refused(data, small_config):
    data.must_fit(small_config)
    with pytest.raises(ValueError, match="32 x 32 pixels, model 'tiny' takes 64 x 64"):
        data.must_fit(WhaleConfig())
