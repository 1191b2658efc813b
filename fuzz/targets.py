"""What is fuzzed: the function of this name in a module, and the inputs to begin with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    module: str  # in this folder
    seeds: str  # a function there that gives inputs


TARGETS = {
    "gate": Target("gate", "gates"),
    "image": Target("messages", "images"),
    "compressed_image": Target("messages", "compressed_images"),
    "action_sequence": Target("messages", "action_sequences"),
    "card": Target("files", "json_files"),
    "checkpoint": Target("files", "documents"),
    "calibration": Target("files", "json_files"),
    "manifest": Target("files", "json_files"),
    "episode": Target("files", "episodes"),
    "model_yaml": Target("files", "models"),
    "robot_yaml": Target("files", "documents"),
}
