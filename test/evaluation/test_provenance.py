"""Only checkpoints trained alike are averaged, and reports say what data they are of."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.evaluation.provenance import describe_data, must_differ_in_seed_only
from whale_ros.evaluation.tables import prediction_table
from whale_ros.world_model.checkpoint import Card, Scales
from whale_ros.world_model.config import BehaviorConfig, WhaleConfig

TRAINING = {
    "manifest_sha256": "a" * 64,
    "tokenizer_steps": 3,
    "behavior_steps": 2,
    "dynamics_steps": 1,
}


def card_of(seed: int, config: WhaleConfig | None = None, **training) -> Card:
    return Card(
        config=config or WhaleConfig(),
        action_space=ActionSpace(),
        scales=Scales(0.1, 0.2, 3.0),
        sha256=f"weights of seed {seed}",
        training=TRAINING | {"seed": seed} | training,
    )


def why_refused(*cards: Card) -> str:
    folders = [Path(f"run{i}") for i in range(len(cards))]
    with pytest.raises(ValueError) as refusal:
        must_differ_in_seed_only(list(zip(folders, cards, strict=True)))
    return str(refusal.value)


def test_checkpoints_of_other_seeds_are_compared():
    must_differ_in_seed_only([(Path(f"run{i}"), card_of(i)) for i in range(3)])


@pytest.mark.parametrize("name", TRAINING)
def test_checkpoints_trained_otherwise_are_refused_by_what_differs(name):
    message = why_refused(card_of(0), card_of(1), card_of(2, **{name: "other"}))
    assert "run0 and run2" in message and name in message and "'other'" in message


def test_checkpoints_of_another_size_are_refused_by_what_differs():
    other = replace(WhaleConfig(), behavior=BehaviorConfig(z_dim=3))
    message = why_refused(card_of(0), card_of(1, other))
    assert "run0 and run1" in message and "behavior" in message and "'z_dim': 3" in message


def test_checkpoints_of_one_seed_are_refused():
    message = why_refused(card_of(0), card_of(1), replace(card_of(1), sha256="other weights"))
    assert "run1 and run2" in message and "same seed, 1" in message


def test_a_checkpoint_named_twice_is_refused():
    assert "run0 and run1 are the same" in why_refused(card_of(0), card_of(0))


@pytest.mark.parametrize("manifest", ["a" * 64, "b" * 64])
def test_a_report_names_its_data_and_whether_the_checkpoints_were_trained_on_it(manifest):
    data = SimpleNamespace(manifest_sha256=manifest)
    found = describe_data(data, [card_of(0), card_of(1)])
    same = manifest == TRAINING["manifest_sha256"]
    assert found == {"manifest_sha256": manifest, "is_that_of_the_checkpoints": same}
    counted = dict.fromkeys(
        ("windows", "episodes", "split", "observed_frames", "imagined_frames"), 1
    )
    printed = prediction_table(counted | {"data": found, "moving_pixels_gain_db": {}})
    assert f"data set {manifest[:12]}" in printed
    assert ("NOT that of the checkpoint's training" in printed) != same


def test_checkpoints_that_share_a_tokenizer_are_compared_though_only_one_trained_it():
    shared = {"tokenizer_steps": 0, "tokenizer_of": card_of(0).sha256}
    cards = [card_of(0), card_of(1, **shared), card_of(2, **shared)]
    must_differ_in_seed_only([(Path(f"run{i}"), card) for i, card in enumerate(cards)])
    stranger = card_of(3, tokenizer_steps=0, tokenizer_of="another")
    assert "tokenizer_steps" in why_refused(card_of(0), stranger)
