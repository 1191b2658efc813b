"""What was converted to a dataset, and how: conversion.json beside its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import EpisodeInfo, must_be_sound

CONVERSION = "conversion.json"
BEHAVIOR = "demonstration"
HELD_OUT = 5  # one of so many demonstrations validates, of the first ones the second


class ConversionLog:
    """kind: what all bags of a dataset have in common. bags: an entry for each, see `convert`."""

    def __init__(self, dataset: Path) -> None:
        """Raises ValueError if there is a log that cannot be read."""
        self._path = dataset / CONVERSION
        self.kind: dict[str, Any] = {}
        self.bags: list[dict[str, Any]] = []
        if not self._path.exists():
            return
        try:
            content = json.loads(self._path.read_text())
            self.kind, self.bags = content["kind"], content["bags"]
            ActionSpace.from_dict(self.kind["action_space"])
            for info in self.infos():
                must_be_sound(info)
            if not all(
                type(bag["sha256"]) is str and bag["sha256"] and type(bag["number"]) is int
                for bag in self.bags
            ):
                raise ValueError("a bag lacks its number or its hash")
            for camera in self.cameras():
                kinds = {name: type(value) for name, value in camera.items()}
                if (
                    kinds != {"frame_id": str, "width": int, "height": int}
                    or min(camera["width"], camera["height"]) < 1
                ):
                    raise ValueError("a camera lacks its frame_id or its size")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{self._path} is no log of conversions: {error!r}") from error

    @property
    def space(self) -> ActionSpace:
        return ActionSpace.from_dict(self.kind["action_space"])

    def infos(self) -> list[EpisodeInfo]:
        """Episodes of a demonstration share its number and its split."""
        return [
            EpisodeInfo(
                file=episode["file"],
                split="validation" if bag["number"] % HELD_OUT == 1 else "train",
                task=bag["task"],
                behavior=BEHAVIOR,
                seed=bag["number"],
            )
            for bag in self.bags
            for episode in bag["episodes"]
        ]

    def entry_of(self, sha256: str) -> dict[str, Any] | None:
        """Of the demonstration that was made of these files, if one was."""
        return next((bag for bag in self.bags if bag["sha256"] == sha256), None)

    def cameras(self) -> list[dict[str, Any]]:
        """frame_id, width and height of each bag's pictures, of bags that tell."""
        return [bag["camera"] for bag in self.bags if bag.get("camera")]

    def next_number(self) -> int:
        return max((bag["number"] for bag in self.bags), default=-1) + 1

    def must_be_of(self, kind: dict[str, Any]) -> None:
        """Raises ValueError if the bags before were converted in another way."""
        for key, value in kind.items() if self.kind else ():
            if self.kind.get(key) != value:
                raise ValueError(
                    f"the dataset was made with {key} {self.kind.get(key)}, this would be {value}; "
                    "choose another folder"
                )

    def add(self, kind: dict[str, Any], bag: dict[str, Any]) -> None:
        """Atomically."""
        self.kind, self.bags = kind, [*self.bags, bag]
        partial = self._path.with_suffix(".partial")
        content = {"kind": self.kind, "bags": self.bags}
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        partial.replace(self._path)
