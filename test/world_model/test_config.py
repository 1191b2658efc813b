"""Configurations: read back what was written, refuse what nobody knows."""

import json

import pytest

from whale_ros.world_model.config import DynamicsConfig, TokenizerConfig, WhaleConfig


def test_a_configuration_survives_json(small_config):
    assert WhaleConfig.from_dict(json.loads(json.dumps(small_config.to_dict()))) == small_config
    assert small_config != WhaleConfig()


@pytest.mark.parametrize("section", [None, "tokenizer", "dynamics"])
def test_an_unknown_key_is_refused_by_name(section):
    values = WhaleConfig().to_dict()
    (values[section] if section else values)["colour"] = 1
    with pytest.raises(ValueError, match="colour"):
        WhaleConfig.from_dict(values)


@pytest.mark.parametrize(
    ("section", "key"), [(None, "dynamics"), ("tokenizer", "channels"), ("dynamics", "window")]
)
def test_a_missing_key_is_refused_by_name(section, key):
    values = WhaleConfig().to_dict()
    del (values[section] if section else values)[key]
    with pytest.raises(ValueError, match=key):
        WhaleConfig.from_dict(values)


@pytest.mark.parametrize("section", [3, None, "small"])
def test_a_section_that_is_no_mapping_is_refused_by_name(section):
    with pytest.raises(ValueError, match="dynamics"):
        WhaleConfig.from_dict(WhaleConfig().to_dict() | {"dynamics": section})


def test_the_grid_is_what_the_convolutions_leave():
    config = TokenizerConfig(resolution=64, channels=(8, 8))
    assert (config.grid, config.tokens) == (8, 64)
    assert DynamicsConfig().width % DynamicsConfig().heads == 0
