"""What is fuzzed: the function of this name in a module, and the inputs to begin with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from fuzz import draw


@dataclass(frozen=True)
class Target:
    module: str  # in this folder
    seeds: str  # a function there, or in draw, that gives inputs


TARGETS = {
    "gate": Target("gate", "gates"),
    # Messages
    "approved_chunk": Target("gate_messages", "approved_chunks"),
    "uncertainty": Target("gate_messages", "uncertainties"),
    "pose": Target("gate_messages", "poses"),
    "image": Target("messages", "images"),
    "compressed_image": Target("messages", "compressed_images"),
    "action_sequence": Target("messages", "action_sequences"),
    "candidate_set": Target("messages", "candidate_sets"),
    # Messages and services, as nodes take them
    "planner": Target("nodes", "for_planner"),
    "predictions": Target("nodes", "answers"),
    "screened": Target("nodes", "screenings"),
    "world_model": Target("nodes", "for_world_model"),
    "pose_command": Target("nodes", "poses"),
    "scripted_policy": Target("nodes", "for_scripted_policy"),
    "operator": Target("nodes", "for_operator"),
    # Checkpoints
    "card": Target("checkpoints", "json_files"),
    "checkpoint": Target("checkpoints", "documents"),
    "calibration": Target("checkpoints", "json_files"),
    "value": Target("checkpoints", "json_files"),
    "run_state": Target("checkpoints", "json_files"),
    "picture_weights": Target("checkpoints", "pickled"),
    # Parameters
    "model_yaml": Target("checkpoints", "models"),
    "parameters": Target("files", "yaml_files"),
    # Demonstrations
    "mcap": Target("bags", "mcaps"),
    "sqlite_bag": Target("bags", "sqlite_bags"),
    "bag_metadata": Target("bags", "yaml_files"),
    "recording": Target("files", "json_files"),
    "conversion": Target("files", "json_files"),
    "run_record": Target("files", "json_files"),
    # Episodes
    "manifest": Target("files", "json_files"),
    "episode": Target("files", "episodes"),
    "lerobot_info": Target("lerobot", "json_files"),
    "lerobot_mapping": Target("lerobot", "yaml_files"),
    "lerobot_export": Target("lerobot", "json_files"),
    "lerobot_rows": Target("lerobot", "rows"),
    "lerobot_episodes": Target("lerobot", "tables_of_episodes"),
    "lerobot_video": Target("lerobot", "films"),
}


def load(name: str) -> tuple[Callable[[bytes], None], list[bytes]]:
    """A target and its first inputs."""
    target = TARGETS[name]
    module = importlib.import_module(f"fuzz.{target.module}")
    where = module if hasattr(module, target.seeds) else draw
    return getattr(module, name), getattr(where, target.seeds)()
