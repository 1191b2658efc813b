"""Configurations: read back what was written, refuse what nobody knows."""

import json
from dataclasses import replace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.space import ActionSpace
from whale_ros.world_model.config import DynamicsConfig, TokenizerConfig, WhaleConfig, shipped
from whale_ros.world_model.whale_st import WhaleST


def test_a_configuration_survives_json(small_config):
    assert WhaleConfig.from_dict(json.loads(json.dumps(small_config.to_dict()))) == small_config
    assert small_config != WhaleConfig()


@pytest.mark.parametrize("section", [None, "tokenizer", "behavior", "dynamics"])
def test_an_unknown_key_is_refused_by_name(section):
    values = WhaleConfig().to_dict()
    (values[section] if section else values)["colour"] = 1
    with pytest.raises(ValueError, match="colour"):
        WhaleConfig.from_dict(values)


@pytest.mark.parametrize(
    ("section", "key"), [(None, "dynamics"), ("tokenizer", "channels"), ("behavior", "z_dim")]
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


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_a_shipped_configuration_is_named_like_its_file(path):
    assert WhaleConfig.from_yaml(path) == WhaleConfig.named(path.stem)
    assert WhaleConfig.named(path.stem).name == path.stem


def test_the_default_is_tiny_and_whale_x_has_the_paper_s_414_million_parameters():
    assert WhaleConfig.named("tiny") == WhaleConfig()
    with torch.device("meta"):
        model = WhaleST(WhaleConfig.named("whale_x"), ActionSpace())
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(414e6, rel=0.02)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'huge'.*tiny.*whale_x"):
        WhaleConfig.named("huge")


@pytest.mark.parametrize("text", ["name: [", "name: tiny", "- 1", "", "[" * 5000, "1: a\nb: c"])
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="mine.yaml"):
        WhaleConfig.from_yaml(path)


def test_sizes_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="resolution of 100.*multiple of 16"):
        TokenizerConfig(resolution=100)
    with pytest.raises(ValueError, match="width of 100 gives no 16 heads"):
        DynamicsConfig(width=100, heads=16)


SIZES = [
    (section, name)
    for section, fields in WhaleConfig().to_dict().items()
    if section != "name"
    for name in fields
]
NO_SIZE = st.one_of(
    st.integers(max_value=0),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["128", "", {}]),
)


@given(st.sampled_from(SIZES), NO_SIZE, st.booleans())
def test_what_is_no_size_is_refused_with_field_value_and_what_is_allowed(size, value, listed):
    section, name = size
    value = [8, value] if listed else value
    values = WhaleConfig().to_dict()
    values[section][name] = value
    shown = repr(tuple(value) if listed else value)
    with pytest.raises(ValueError, match="positive whole number") as refused:
        WhaleConfig.from_dict(values)
    assert str(refused.value).startswith(f"{name} is {shown}, but must be ")


@given(st.integers(1, 600))
def test_code_levels_are_odd_and_fit_a_byte(levels):
    if levels % 2 and 3 <= levels <= 255:
        assert TokenizerConfig(code_levels=levels).code_levels == levels
    else:
        with pytest.raises(ValueError, match=f"code_levels is {levels}, .* odd and in 3..255"):
            TokenizerConfig(code_levels=levels)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_channels_are_in_eights(channels):
    if all(number % 8 == 0 for number in channels):
        assert TokenizerConfig(channels=tuple(channels)).channels == tuple(channels)
    else:
        with pytest.raises(ValueError, match="channels is .* divisible by 8"):
            TokenizerConfig(channels=tuple(channels))


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("dynamics", "heads", 0),
        ("dynamics", "width", "128"),
        ("tokenizer", "channels", 24),
        ("behavior", "layers", 257),
    ],
)
def test_a_file_with_a_wrong_size_is_refused_by_name(tmp_path, section, name, value):
    path = tmp_path / "mine.yaml"
    values = json.loads(json.dumps(WhaleConfig().to_dict()))
    values[section][name] = value
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ValueError, match=f"mine.yaml is no model configuration: {name} is "):
        WhaleConfig.from_yaml(path)


@pytest.mark.parametrize("resolution", [64, 128, 256])
@torch.inference_mode()
def test_every_resolution_comes_back_as_it_went_in(small_config, resolution):
    tokenizer = replace(small_config.tokenizer, resolution=resolution)
    model = WhaleST(replace(small_config, tokenizer=tokenizer), ActionSpace()).eval()
    frames = torch.rand(1, 2, 3, resolution, resolution)
    codes = model.encode(frames)
    assert codes.shape == (1, 2, (resolution // 16) ** 2, 3)
    _, output = model.step(model.start(codes, torch.zeros(1, 1, 7)), torch.zeros(1, 7))
    picture = model.decode(output.latent, frames[:, -1])
    assert picture.shape == (1, 3, resolution, resolution)
