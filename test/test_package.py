"""The package as a whole: what is declared, what is installed, what can be imported."""

import ast
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
EXECUTABLES = sorted(
    path
    for path in (ROOT / "scripts").iterdir()
    if path.read_text().startswith("#!/usr/bin/env py")
)


def declared(*tags: str) -> set[str]:
    return {element.text for tag in tags for element in MANIFEST.iter(tag)}


@pytest.mark.ros
def test_our_messages_and_our_modules_are_one_package():
    import whale_ros.actions
    import whale_ros.msg
    import whale_ros.srv

    for path in ROOT.glob("msg/*.msg"):
        assert hasattr(whale_ros.msg, path.stem)
    for path in ROOT.glob("srv/*.srv"):
        assert hasattr(whale_ros.srv, path.stem)


@pytest.mark.ros
def test_a_message_crosses_the_wire_format():
    from rclpy.serialization import deserialize_message, serialize_message

    from whale_ros.msg import ActionSequence

    sent = ActionSequence(id="a", horizon=2, dim=7, actions=[0.5] * 14)
    assert deserialize_message(serialize_message(sent), ActionSequence) == sent


def test_the_manifest_names_every_package_whose_messages_ours_use():
    interfaces = [*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")]
    used = set(re.findall(r"^(\w+)/\w+", "\n".join(p.read_text() for p in interfaces), re.M))
    assert used
    assert used <= declared("depend")


def test_the_manifest_names_every_ros_package_that_the_code_imports():
    imported = set()
    for path in [*ROOT.glob("whale_ros/**/*.py"), *ROOT.glob("launch/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    ros = {
        name for name in imported if re.search(r"_msgs$|_srvs$|_interfaces$|^launch|^rclpy$", name)
    }
    assert ros <= declared("depend", "exec_depend")


@pytest.mark.parametrize("executable", EXECUTABLES, ids=lambda path: path.name)
def test_every_executable_is_installed_and_calls_a_main_that_exists(executable):
    assert os.access(executable, os.X_OK)
    assert re.search(rf"foreach\(executable[^)]*\b{executable.name}\b", _cmake_lists())

    module = re.search(r"^from ([\w.]+) import main$", executable.read_text(), re.M)[1]
    place = ROOT / module.replace(".", "/")
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    assert source.is_file(), f"scripts/{executable.name} needs {source.relative_to(ROOT)}"
    functions = [n.name for n in ast.parse(source.read_text()).body if hasattr(n, "name")]
    assert "main" in functions


def test_every_executable_that_is_installed_exists():
    names = re.search(r"foreach\(executable ([^)]*)\)", _cmake_lists())[1].split()
    assert names == sorted(set(names), key=names.index)
    assert set(names) == {path.name for path in EXECUTABLES}


def test_all_files_agree_on_the_version():
    version = MANIFEST.findtext("version")
    assert f'version="{version}"' in (ROOT / "setup.py").read_text()


def test_the_modules_that_hold_messages_are_left_to_the_generator():
    assert not (ROOT / "whale_ros/msg").exists()
    assert not (ROOT / "whale_ros/srv").exists()


def _cmake_lists() -> str:
    return (ROOT / "CMakeLists.txt").read_text()
