"""Training a whole model: resumable, and clear about data it cannot use."""

from dataclasses import replace

import pytest
import torch

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.loop import Schedule
from whale_ros.training.pretrain import encode_all, pretrain
from whale_ros.world_model.frames import to_float


def schedules(seed=0):
    return Schedule(3, 1e-3, seed=seed), Schedule(3, 1e-3, seed=seed)


@pytest.fixture
def data(write_data):
    return EpisodeSet(write_data(), "train")


def test_equal_seeds_give_equal_models_and_a_resumed_run_too(data, small_config, tmp_path):
    torch.set_num_threads(1)
    first = pretrain(data, small_config, tmp_path / "first", *schedules()).state_dict()
    torch.manual_seed(99)
    again = pretrain(data, small_config, tmp_path / "again", *schedules()).state_dict()
    (tmp_path / "again" / "dynamics.safetensors").unlink()
    resumed = pretrain(data, small_config, tmp_path / "again", *schedules()).state_dict()
    other = pretrain(data, small_config, tmp_path / "other", *schedules(1)).state_dict()
    for name in first:
        assert torch.equal(first[name], again[name]), name
        assert torch.equal(first[name], resumed[name]), name
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_changes_both_networks_and_makes_the_training_pictures_familiar(
    data, small_config, tmp_path
):
    untrained = pretrain(data, small_config, tmp_path / "a", Schedule(0, 1e-3), Schedule(0, 1e-3))
    trained = pretrain(data, small_config, tmp_path / "b", *schedules())
    for part in ("tokenizer", "dynamics"):
        before, after = getattr(untrained, part), getattr(trained, part)
        pairs = zip(before.parameters(), after.parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs)
    pictures = to_float(data.frames[0])
    assert trained.familiarity(pictures).max() < trained.familiarity(1 - pictures).min()
    assert not trained.training


def test_every_frame_is_encoded_as_the_model_would(data, small_model):
    codes = encode_all(small_model, data)
    assert codes.shape == (3, 20, 4, 3) and codes.dtype == torch.uint8
    assert torch.equal(codes[2, 7].long(), small_model.encode(to_float(data.frames[2, 7:8]))[0])


def test_episodes_that_are_too_short_for_a_window_are_refused(write_data, small_config, tmp_path):
    data = EpisodeSet(write_data(steps=(12, 12)), "train")
    with pytest.raises(ValueError, match="13 frames.*14"):
        pretrain(data, small_config, tmp_path / "run", *schedules())


def test_a_run_of_another_configuration_is_not_resumed(data, small_config, tmp_path):
    pretrain(data, small_config, tmp_path / "run", *schedules())
    wide = replace(small_config, dynamics=replace(small_config.dynamics, width=32))
    with pytest.raises(ValueError, match="dynamics.safetensors"):
        pretrain(data, wide, tmp_path / "run", *schedules())


def test_a_broken_state_is_refused_by_name(data, small_config, tmp_path):
    pretrain(data, small_config, tmp_path / "run", *schedules())
    state = tmp_path / "run" / "tokenizer.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ValueError, match="tokenizer.safetensors"):
        pretrain(data, small_config, tmp_path / "run", *schedules())
