"""Sizes of the networks. Each field means the same in every size from tiny to whale_x."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class TokenizerConfig:
    resolution: int = 64  # pixels, square
    channels: tuple[int, ...] = (24, 48, 96)  # of the convolutions, each halving the picture
    width: int = 128
    layers: int = 2  # of the encoder's transformer, and of the decoder's
    heads: int = 4
    code_dim: int = 8  # numbers per token
    code_levels: int = 7  # values each of them can take (odd, so that zero is one of them)

    @property
    def grid(self) -> int:
        """Tokens along one side: the convolutions and one more patching halve the picture."""
        return self.resolution // 2 ** (len(self.channels) + 1)

    @property
    def tokens(self) -> int:
        return self.grid**2


@dataclass(frozen=True)
class DynamicsConfig:
    width: int = 128
    layers: int = 4
    heads: int = 4
    window: int = 14  # frames that temporal attention sees, the imagined ones included


@dataclass(frozen=True)
class WhaleConfig:
    """A whole world model. Behaviour-conditioning will add its own section here."""

    name: str = "tiny"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> WhaleConfig:
        """Raises ValueError naming unknown or missing sections and fields."""
        sections: dict[str, Any] = {"tokenizer": TokenizerConfig, "dynamics": DynamicsConfig}
        _check_keys("configuration", values, {"name", *sections})
        built = {}
        for name, section in sections.items():
            _check_keys(name, values[name], set(section.__dataclass_fields__))
            fields = dict(values[name])
            if "channels" in fields:
                fields["channels"] = tuple(fields["channels"])
            built[name] = section(**fields)
        return cls(name=values["name"], **built)


def _check_keys(name: str, values: object, expected: set[str]) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{name} should be a mapping, not {values!r}")
    if unknown := set(values) - expected:
        raise ValueError(f"{name} has unknown keys {sorted(unknown)}; known: {sorted(expected)}")
    if missing := expected - set(values):
        raise ValueError(f"{name} lacks the keys {sorted(missing)}")
