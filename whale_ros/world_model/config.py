"""Sizes of the networks. Each field means the same in every size from tiny to whale_x."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from whale_ros.shipped import config_files

NORM_GROUPS = 8  # of channels, that the tokenizer's convolutions normalise together
MAX_LEVELS = 255  # a code is kept in a byte
MAX_LAYERS = 256  # a card that claims more would keep us building for ever


@dataclass(frozen=True)
class TokenizerConfig:
    resolution: int = 64  # pixels, square
    channels: tuple[int, ...] = (24, 48, 96)  # of the convolutions, each halving the picture
    width: int = 128
    layers: int = 2  # of the encoder's transformer, and of the decoder's
    heads: int = 4
    code_dim: int = 8  # numbers per token
    code_levels: int = 7  # values each of them can take (odd, so that zero is one of them)

    def __post_init__(self) -> None:
        _check(self)
        if any(channels % NORM_GROUPS for channels in self.channels):
            raise ValueError(
                f"channels is {self.channels}, but all must be divisible by {NORM_GROUPS}"
            )
        if self.code_levels not in range(3, MAX_LEVELS + 1, 2):
            raise ValueError(
                f"code_levels is {self.code_levels}, but must be odd and in 3..{MAX_LEVELS}"
            )
        halved = 2 ** (len(self.channels) + 1)
        if self.resolution % halved:
            raise ValueError(
                f"a resolution of {self.resolution} cannot be halved {len(self.channels) + 1} "
                f"times; take a multiple of {halved}, or fewer channels"
            )

    @property
    def grid(self) -> int:
        """Tokens along one side: the convolutions and one more patching halve the picture."""
        return self.resolution // 2 ** (len(self.channels) + 1)

    @property
    def tokens(self) -> int:
        return self.grid**2


@dataclass(frozen=True)
class BehaviorConfig:
    width: int = 64
    layers: int = 2
    heads: int = 2
    window: int = 32  # frames that temporal attention sees
    z_dim: int = 16

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class DynamicsConfig:
    width: int = 128
    layers: int = 4
    heads: int = 4
    window: int = 16  # frames that temporal attention sees, the imagined ones included
    passes: int = 1  # of MaskGIT decoding for a frame

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class WhaleConfig:
    """A whole world model; the defaults are those of `config/models/tiny.yaml`."""

    name: str = "tiny"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    behavior: BehaviorConfig = field(default_factory=BehaviorConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)

    @classmethod
    def from_yaml(cls, path: Path) -> WhaleConfig:
        """Raises ValueError naming the file and what is wrong in it."""
        try:
            return cls.from_dict(yaml.safe_load(path.read_text()))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise ValueError(f"{path} is no model configuration: {error}") from error

    @classmethod
    def named(cls, name: str) -> WhaleConfig:
        """One of `config/models`. Raises ValueError that lists them."""
        for path in shipped():
            if path.stem == name:
                return cls.from_yaml(path)
        known = ", ".join(path.stem for path in shipped())
        raise ValueError(f"no model is called {name!r}; known: {known}, or the path of a YAML file")

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> WhaleConfig:
        """Raises ValueError naming unknown or missing sections and fields."""
        sections: dict[str, Any] = {
            "tokenizer": TokenizerConfig,
            "behavior": BehaviorConfig,
            "dynamics": DynamicsConfig,
        }
        _check_keys("configuration", values, {"name", *sections})
        built = {}
        for name, section in sections.items():
            _check_keys(name, values[name], set(section.__dataclass_fields__))
            sizes = values[name].items()
            built[name] = section(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes})
        return cls(name=values["name"], **built)


def _check(config: TokenizerConfig | BehaviorConfig | DynamicsConfig) -> None:
    """Raises ValueError naming the first field that is no size, and what it should be."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        listed = isinstance(entry.default, tuple)
        sizes = value if listed else (value,)
        if not (
            isinstance(sizes, tuple) and sizes and all(type(s) is int and s > 0 for s in sizes)
        ):
            wanted = "a list of positive whole numbers" if listed else "a positive whole number"
            raise ValueError(f"{entry.name} is {value!r}, but must be {wanted}")
    if config.layers > MAX_LAYERS:
        raise ValueError(f"layers is {config.layers}, at most {MAX_LAYERS} are allowed")
    if config.width % (2 * config.heads):
        raise ValueError(f"a width of {config.width} gives no {config.heads} heads of even size")


def shipped() -> list[Path]:
    """The files of `config/models`."""
    return config_files("models")


def _check_keys(name: str, values: object, expected: set[str]) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{name} should be a mapping, not {values!r}")
    if unknown := set(values) - expected:
        raise ValueError(
            f"{name} has unknown keys {sorted(unknown, key=str)}; known: {sorted(expected)}"
        )
    if missing := expected - set(values):
        raise ValueError(f"{name} lacks the keys {sorted(missing)}")
