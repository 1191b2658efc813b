"""What a message type is made of, as text that bags carry, so that readers need no ROS."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

PRIMITIVE = re.compile(r"(bool|byte|char|float32|float64|u?int(8|16|32|64)|w?string)\b")
FIELD = re.compile(r"^\s*([\w/]+)", re.M)
BETWEEN = "=" * 80


class UnknownType(LookupError):
    """A message type is not installed here. The message is meant for the user."""


def message_class(type_name: str) -> type:
    """The class of a type such as sensor_msgs/msg/Image. Raises UnknownType."""
    try:
        package, kind, name = type_name.split("/")
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ValueError, ImportError, AttributeError) as error:
        raise UnknownType(f"messages of type {type_name} are not installed here") from error


def definition(type_name: str) -> str:
    """In ros2msg: the .msg of the type, then those of all types inside. Raises UnknownType."""
    texts: dict[str, str] = {}
    waiting = [type_name]
    while waiting:
        name = waiting.pop(0)
        if name not in texts:
            texts[name] = _text(name)
            waiting += _types_inside(name, texts[name])
    own, *others = texts.items()
    parts = [f"{BETWEEN}\nMSG: {name.replace('/msg/', '/')}\n{text}" for name, text in others]
    return "\n".join([own[1], *parts])


def _text(type_name: str) -> str:
    try:
        package, kind, name = type_name.split("/")
        return (Path(get_package_share_directory(package)) / kind / f"{name}.msg").read_text()
    except (ValueError, PackageNotFoundError, OSError) as error:
        raise UnknownType(f"no .msg file of {type_name} is installed here: {error}") from error


def _types_inside(type_name: str, text: str) -> list[str]:
    package = type_name.split("/")[0]
    fields = [name for name in FIELD.findall(text) if not PRIMITIVE.fullmatch(name)]
    return [
        f"{'/'.join(name.split('/')[:-1]) or package}/msg/{name.split('/')[-1]}" for name in fields
    ]
