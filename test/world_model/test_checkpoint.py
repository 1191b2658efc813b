"""Checkpoints come back bit by bit, or are refused by name and reason."""

import hashlib
import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from whale_ros.actions.space import ActionSpace
from whale_ros.world_model.checkpoint import (
    CARD,
    WEIGHTS,
    Card,
    CheckpointError,
    Scales,
    load_checkpoint,
    read_card,
    save_checkpoint,
)


@pytest.fixture
def folder(small_model, tmp_path):
    card = Card(
        config=small_model.config,
        action_space=small_model.action_space,
        scales=Scales(0.1, 0.2, 3.0),
        action_statistics={"mean": [0.0] * 7},
        camera="none",
        training={"steps": 0},
        metrics={"psnr_db": {"model": {"1": 20.5}}},
    )
    save_checkpoint(tmp_path / "fish", small_model, card)
    return tmp_path / "fish"


def change_card(folder, **changes):
    content = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(content | changes))


def accept_weights(folder):
    """Let the card describe the weights that are there, as somebody with bad intent would."""
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    change_card(folder, sha256=digest)


def why_refused(folder) -> str:
    with pytest.raises(CheckpointError) as refusal:
        load_checkpoint(folder)
    assert str(folder) in str(refusal.value)
    return str(refusal.value)


def test_weights_and_card_come_back_as_they_were(folder, small_model):
    model, card = load_checkpoint(folder)
    expected = small_model.state_dict()
    assert model.state_dict().keys() == expected.keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert not model.training
    assert card.config == small_model.config and card.action_space == ActionSpace()
    assert card.scales == Scales(0.1, 0.2, 3.0)
    assert card.action_statistics == {"mean": [0.0] * 7}
    assert card.metrics == {"psnr_db": {"model": {"1": 20.5}}}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_card_with_a_number_that_json_has_not_is_not_saved(folder, small_model, number):
    card = replace(read_card(folder), metrics={"psnr_db": number})
    before = (folder / CARD).read_text()
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(folder, small_model, card)
    assert (folder / CARD).read_text() == before


def test_the_hash_in_the_card_is_that_of_the_weights_file(folder, tmp_path, random_model):
    card = read_card(folder)
    assert len(card.sha256) == 64
    other = save_checkpoint(tmp_path / "other", random_model(1), card)
    assert other.sha256 != card.sha256


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert CARD in why_refused(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    assert name in why_refused(folder)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated_weights_are_refused(folder, share):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: int(share * len(content))])
    assert "corrupt" in why_refused(folder)
    accept_weights(folder)
    assert "do not fit" in why_refused(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_flipped_byte_is_refused(folder, share):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[int(share * len(content))] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert "corrupt" in why_refused(folder)


def test_a_pickle_is_not_unpickled_even_if_the_card_vouches_for_it(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap()))
    assert "corrupt" in why_refused(folder)
    accept_weights(folder)
    assert "do not fit" in why_refused(folder)
    assert not (tmp_path / "sprung").exists()


def test_weights_that_lack_a_tensor_or_have_one_more_are_refused_by_its_name(folder):
    weights = load_file(folder / WEIGHTS)
    save_file({k: v for k, v in weights.items() if k != "dynamics.unknown"}, folder / WEIGHTS)
    accept_weights(folder)
    assert "dynamics.unknown" in why_refused(folder)
    save_file(weights | {"colour": torch.zeros(1)}, folder / WEIGHTS)
    accept_weights(folder)
    assert "colour" in why_refused(folder)


def test_weights_of_another_size_are_refused(folder, random_model, small_config):
    wide = replace(small_config, dynamics=replace(small_config.dynamics, width=32))
    save_file(random_model(0, wide).state_dict(), folder / WEIGHTS)
    accept_weights(folder)
    assert "dynamics.embed.bias has the shape (32,), its configuration gives (16,)" in why_refused(
        folder
    )


def test_a_card_that_claims_to_be_huge_is_refused_without_building_it(folder):
    config = json.loads((folder / CARD).read_text())["config"]
    config["dynamics"]["width"] = 2**20  # would take 100 TB
    change_card(folder, config=config)
    assert "dynamics.embed.bias has the shape (16,)" in why_refused(folder)


def test_a_checkpoint_without_a_behaviour_model_is_refused_as_of_the_first_schema(folder):
    content = json.loads((folder / CARD).read_text())
    del content["config"]["behavior"]
    change_card(folder, schema=1, config=content["config"])
    assert "schema 1, this version of whale_ros reads 3 only" in why_refused(folder)


@pytest.mark.parametrize("schema", [0, 1, 2, 4, "3", None])
def test_another_schema_is_refused_by_number(folder, schema):
    change_card(folder, schema=schema)
    assert f"schema {schema!r}" in why_refused(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "\xff", "[" * 5000])
def test_a_card_that_is_none_is_refused(folder, content):
    (folder / CARD).write_text(content, encoding="latin-1")
    assert CARD in why_refused(folder)


@pytest.mark.parametrize("key", ["config", "action_space", "scales", "colour"])
def test_a_card_with_a_missing_or_unknown_entry_is_refused_by_its_name(folder, key):
    content = json.loads((folder / CARD).read_text())
    if content.pop(key, None) is None:
        content[key] = 1
    (folder / CARD).write_text(json.dumps(content))
    assert key in why_refused(folder)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0, "much", None])
def test_a_scale_that_measures_nothing_is_refused_by_name(folder, bad):
    change_card(
        folder,
        scales={
            "live_uncertainty": 0.1, "candidate_uncertainty": bad, "unfamiliarity": 3.0,
        },
    )  # fmt: skip
    assert "candidate_uncertainty" in why_refused(folder)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("dynamics", "heads", 3),
        ("dynamics", "heads", 0),
        ("behavior", "z_dim", -1),
        ("dynamics", "width", -16),
        ("dynamics", "width", "16"),
        ("tokenizer", "channels", [7, 8, 8]),
        ("tokenizer", "code_levels", 4),
    ],
)
def test_sizes_of_which_no_network_can_be_built_are_refused(folder, section, key, value):
    config = json.loads((folder / CARD).read_text())["config"]
    config[section][key] = value
    change_card(folder, config=config)
    why_refused(folder)
