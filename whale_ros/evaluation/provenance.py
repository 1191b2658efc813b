"""What was evaluated on which data, and which checkpoints may be averaged."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import Card

STAGES = ("tokenizer_steps", "behavior_steps", "dynamics_steps")


def describe_data(data: EpisodeSet, cards: list[Card]) -> dict:
    """For a report: the data set, and whether it is the one that all checkpoints come from."""
    trained_on = {card.training.get("manifest_sha256") for card in cards}
    return {
        "manifest_sha256": data.manifest_sha256,
        "is_that_of_the_checkpoints": trained_on == {data.manifest_sha256},
    }


def must_differ_in_seed_only(cards: list[tuple[Path, Card]]) -> None:
    """Of checkpoints with their folders.

    Raises ValueError naming two of them that differ in more than the seed, or not in it.
    """
    for (first, a), (second, b) in combinations(cards, 2):
        both = f"checkpoints {first} and {second}"
        if a.sha256 == b.sha256:
            raise ValueError(f"{both} are the same; name each of them once")
        one, other = _made_from(a), _made_from(b)
        for name in one:
            if name == "tokenizer_steps" and _tokenizer_of(a) == _tokenizer_of(b):
                continue  # it was trained once for both
            if one[name] != other[name]:
                raise ValueError(
                    f"{both} differ in {name}: {one[name]!r} and {other[name]!r}; "
                    "compare those that are trained alike but for the seed"
                )
        if a.training.get("seed") == b.training.get("seed"):
            raise ValueError(
                f"{both} have the same seed, {a.training.get('seed')!r}; train with other seeds"
            )


def _tokenizer_of(card: Card) -> str:
    """SHA-256 of the checkpoint that the tokenizer was trained for."""
    return card.training.get("tokenizer_of") or card.sha256


def _made_from(card: Card) -> dict:
    training = {name: card.training.get(name) for name in ("manifest_sha256", *STAGES)}
    return card.config.to_dict() | training
