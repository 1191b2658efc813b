"""A value beside a checkpoint: read as it was written, for that checkpoint only."""

from dataclasses import replace

import pytest
import torch

from whale_ros.world_model.checkpoint import SHIPPED, CheckpointError, read_card
from whale_ros.world_model.value import FILE, Value, features_of, load_value, save_value


@pytest.fixture
def card():
    return read_card(SHIPPED)


def test_what_is_read_is_what_was_written(card, tmp_path):
    value = Value(features_of(card)).eval()
    assert load_value(tmp_path, card) is None
    save_value(tmp_path, value, card, {"seed": 3})
    frame, goal = torch.rand(5, 4, features_of(card) // 4), torch.rand(4, features_of(card) // 4)
    loaded = load_value(tmp_path, card)
    torch.testing.assert_close(loaded(frame, goal), value(frame, goal))
    assert loaded(frame, goal).shape == (5,)


def test_that_of_another_checkpoint_is_refused(card, tmp_path):
    save_value(tmp_path, Value(features_of(card)), replace(card, sha256="0" * 64), {})
    with pytest.raises(CheckpointError, match="for checkpoint 000000000000, not for"):
        load_value(tmp_path, card)


@pytest.mark.parametrize("keep", [0, 7, 200, 100_000])
def test_a_damaged_one_is_refused(card, tmp_path, keep):
    save_value(tmp_path, Value(features_of(card)), card, {})
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="train-value"):
        load_value(tmp_path, card)


def test_one_of_other_features_is_refused(card, tmp_path):
    save_value(tmp_path, Value(features_of(card) + 1), card, {})
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_value(tmp_path, card)
