"""Files that come with whale_ros: in the source tree, or where ROS installs them."""

from __future__ import annotations

from pathlib import Path


def config_files(folder: str) -> list[Path]:
    """The YAML files of `config/FOLDER`, sorted. Raises ValueError if they are not installed."""
    above = Path(__file__).parents[1:]
    for root in [above[0], *(parent / "share" / "whale_ros" for parent in above)]:
        if files := sorted((root / "config" / folder).glob("*.yaml")):
            return files
    raise ValueError(f"config/{folder} is not where whale_ros is installed; install it again")
