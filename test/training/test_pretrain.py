"""Training a whole model: resumable, and clear about what it cannot use."""

from dataclasses import replace

import pytest
import torch

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.pretrain import Steps, encode_all, pretrain
from whale_ros.world_model.checkpoint import Card, Scales, save_checkpoint
from whale_ros.world_model.frames import to_float

STEPS = Steps(3, 3, 3)


@pytest.fixture
def data(write_data):
    return EpisodeSet(write_data(), "train")


@pytest.fixture
def checkpoint(small_model, tmp_path):
    folder = tmp_path / "checkpoint"
    scales = Scales(1.0, 1.0, 1.0)
    card = Card(small_model.config, small_model.action_space, scales)
    return folder, save_checkpoint(folder, small_model, card)


def assert_equal(first, second) -> None:
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_equal_seeds_give_equal_models_and_a_resumed_run_too(data, small_config, tmp_path):
    torch.set_num_threads(1)
    first = pretrain(data, small_config, tmp_path / "first", STEPS).state_dict()
    torch.manual_seed(99)
    again = pretrain(data, small_config, tmp_path / "again", STEPS).state_dict()
    assert_equal(first, again)
    for lost in (("dynamics",), ("behavior", "dynamics")):
        for stage in lost:
            (tmp_path / "again" / f"{stage}.safetensors").unlink()
        assert_equal(first, pretrain(data, small_config, tmp_path / "again", STEPS).state_dict())
    other = pretrain(data, small_config, tmp_path / "other", STEPS, seed=1).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_every_stage_changes_its_own_network_and_no_other(data, small_config, tmp_path):
    counts = [(0, 0, 0), (3, 0, 0), (3, 3, 0), (3, 3, 3)]
    models = [
        pretrain(data, small_config, tmp_path / str(i), Steps(*count))
        for i, count in enumerate(counts)
    ]
    stages = ("tokenizer", "behavior", "dynamics")
    for before, after, trained in zip(models[:-1], models[1:], stages, strict=True):
        for part in stages:
            old, new = getattr(before, part).state_dict(), getattr(after, part).state_dict()
            same = all(torch.equal(old[name], new[name]) for name in old)
            assert same == (part != trained), (part, trained)
        assert not after.training


def test_training_makes_the_training_pictures_familiar(data, small_config, tmp_path):
    model = pretrain(data, small_config, tmp_path / "run", Steps(1, 0, 0))
    pictures = to_float(data.frames[0])
    assert model.familiarity(pictures).max() < model.familiarity(1 - pictures).min()


def test_the_tokenizer_of_a_checkpoint_is_taken_as_it_is(data, small_model, checkpoint, tmp_path):
    folder, card = checkpoint
    run = tmp_path / "run"
    model = pretrain(data, small_model.config, run, Steps(0, 3, 3), tokenizer_of=folder)
    assert_equal(small_model.tokenizer.state_dict(), model.tokenizer.state_dict())
    assert_equal(small_model.familiarity.state_dict(), model.familiarity.state_dict())
    assert not (run / "tokenizer.safetensors").exists()
    # And a run that trains its own does not go on from there.
    with pytest.raises(ValueError, match=f"tokenizer_of is '{card.sha256}'.* None now"):
        pretrain(data, small_model.config, run, Steps(0, 3, 3))


def test_a_tokenizer_of_another_size_is_refused(data, small_config, checkpoint, tmp_path):
    wide = replace(small_config, tokenizer=replace(small_config.tokenizer, width=32))
    with pytest.raises(ValueError, match="width=16.*width=32"):
        pretrain(data, wide, tmp_path / "run", STEPS, tokenizer_of=checkpoint[0])


def test_every_frame_is_encoded_as_the_model_would(data, small_model):
    codes = encode_all(small_model, data)
    assert codes.flat.shape == (3 * 24, 4, 3) and codes.flat.dtype == torch.uint8
    assert torch.equal(codes[2][7].long(), small_model.encode(to_float(data.frames[2][7:8]))[0])


def test_episodes_that_are_too_short_for_a_sequence_are_refused(write_data, small_config, tmp_path):
    data = EpisodeSet(write_data(steps=(20, 20)), "train")
    with pytest.raises(
        ValueError, match=r"training needs .* 22 frames.*0.npz \(21\), train/1.npz \(21\)"
    ):
        pretrain(data, small_config, tmp_path / "run", STEPS)


@pytest.mark.parametrize("change", ["seed", "steps", "config", "manifest"])
def test_a_run_is_not_resumed_as_another_one(data, write_data, small_config, tmp_path, change):
    run = tmp_path / "run"
    pretrain(data, small_config, run, STEPS)
    config, steps, seed = small_config, STEPS, 0
    if change == "seed":
        seed, named = 7, "seed is 0 .* 7 now"
    elif change == "steps":
        steps, named = Steps(3, 3, 4), "steps.dynamics is 3 .* 4 now"
    elif change == "config":
        config = replace(small_config, behavior=replace(small_config.behavior, layers=2))
        named = "config.behavior.layers is 1 .* 2 now"
    else:
        data = EpisodeSet(write_data(steps=(23, 23)), "train")
        named = f"manifest_sha256 is .* '{data.manifest_sha256}' now"
    with pytest.raises(ValueError, match=f"run.json: {named}"):
        pretrain(data, config, run, steps, seed)


def test_a_broken_state_is_refused_by_name(data, small_config, tmp_path):
    pretrain(data, small_config, tmp_path / "run", STEPS)
    state = tmp_path / "run" / "tokenizer.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ValueError, match="tokenizer.safetensors"):
        pretrain(data, small_config, tmp_path / "run", STEPS)
