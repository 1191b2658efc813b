"""Definitions in bags against the hashes that ROS made of the same types."""

import json
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from whale_ros.nodes.message_definitions import UnknownType, definition, message_class

pytestmark = pytest.mark.ros

PACKAGES = ("std_msgs", "geometry_msgs", "sensor_msgs", "diagnostic_msgs", "whale_ros")
SHARES = {package: Path(get_package_share_directory(package)) for package in PACKAGES}
UNSURE = "Char"  # rosbags gives this one another hash than ROS, whatever the definition


@pytest.mark.parametrize("package", PACKAGES)
def test_a_definition_is_all_that_another_library_needs_to_know_the_type(package):
    if not (described := sorted(SHARES[package].glob("msg/*.json"))):
        pytest.skip("this ROS distribution has no hashes of types")
    for path in described:
        name = f"{package}/msg/{path.stem}"
        entries = json.loads(path.read_text())["type_hashes"]
        (wanted,) = (entry["hash_string"] for entry in entries if entry["type_name"] == name)
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definition(name), name))
        assert store.hash_rihs01(name) == wanted or path.stem == UNSURE
        assert message_class(name).__name__ == path.stem


@pytest.mark.parametrize("name", ["nothing/msg/Nothing", "std_msgs/msg/Nothing", "nonsense"])
def test_a_type_that_is_not_installed_is_named(name):
    for ask in (definition, message_class):
        with pytest.raises(UnknownType, match=name):
            ask(name)
