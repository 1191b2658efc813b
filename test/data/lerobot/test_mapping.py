"""A mapping says what columns mean; one that cannot be meant is refused with a reason."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as Turn

from whale_ros.data.lerobot.actions import first_row, read_actions
from whale_ros.data.lerobot.files import Info
from whale_ros.data.lerobot.mapping import (
    FORMS,
    Gripper,
    Mapping,
    Position,
    Rotation,
    load_mapping,
)
from whale_ros.shipped import config_files

SCIPY = {
    "rotation_vector": lambda turn: turn.as_rotvec(),
    "euler_xyz": lambda turn: turn.as_euler("xyz"),
    "quaternion_xyzw": lambda turn: turn.as_quat(),
    "quaternion_wxyz": lambda turn: np.roll(turn.as_quat(), 1, axis=1),
}
WHOLE = yaml.safe_load(
    """
    camera: observation.images.front
    actions: poses
    position: {column: observation.state, at: [0, 1, 2]}
    rotation: {column: observation.state, at: [3, 4, 5]}
    gripper: {column: action, at: 6}
    hand: {column: observation.state, at: [0, 1, 2]}
    success: null
    """
)


def info(**columns):
    """columns: names by column, with _ for the dots."""
    features = {
        name.replace("_", "."): {"dtype": "float32", "shape": [len(names)], "names": names}
        for name, names in columns.items()
    }
    return Info(10.0, features, 1)


def mapping(column, form, actions, gripper="action"):
    width = FORMS[form]
    return Mapping(
        camera="observation.images.front",
        actions=actions,
        position=Position(column, [0, 1, 2], unit=0.5),
        rotation=Rotation(column, list(range(3, 3 + width)), form),
        gripper=Gripper(gripper, [0], open=100.0, closed=0.0),
        hand=Position("observation.state", [0, 1, 2]),
        success=None,
    )


def walk(seed, rows=6):
    """Positions (N, 3) and orientations of a hand, and its gripper (N,) from 0 to 100."""
    rng = np.random.default_rng(seed)
    steps = Turn.from_rotvec(rng.normal(scale=0.2, size=(rows, 3)))
    turns = [steps[0]]
    for step in steps[1:]:
        turns.append(step * turns[-1])
    return rng.normal(size=(rows, 3)), Turn.concatenate(turns), rng.uniform(0, 100, rows)


def table(column, position, turns, form, gripper):
    values = np.hstack([position / 0.5, SCIPY[form](turns)])
    rows = {
        "observation.state": np.zeros((len(position), 3)),
        column: values,
        "grip": gripper[:, None],
    }
    shapes = {name: {"dtype": "float64", "shape": [v.shape[1]]} for name, v in rows.items()}
    return rows, Info(10.0, shapes, 1)


@given(st.integers(0, 10**6), st.sampled_from(list(FORMS)), st.booleans())
def test_of_poses_the_action_is_the_way_from_each_to_the_next(seed, form, is_measured):
    position, turns, gripper = walk(seed)
    column = "observation.pose" if is_measured else "target"
    rows, told = table(column, position, turns, form, gripper)
    its = mapping(column, form, "poses", "grip")
    actions = read_actions(its, rows, told)
    ways = np.diff(position, axis=0)
    turned = (turns[1:] * turns[:-1].inv()).as_rotvec()
    assert first_row(its) == (0 if is_measured else 1)
    if not is_measured:  # a target is where the arm is sent from then on, so the last leads nowhere
        ways, turned = ways[:-1], turned[:-1]
    np.testing.assert_allclose(actions[:, :3], ways, atol=1e-9)
    np.testing.assert_allclose(actions[:, 3:6], turned, atol=1e-6)
    np.testing.assert_allclose(actions[:, 6], 1 - gripper[first_row(its) : -1] / 100)


@given(
    st.integers(0, 10**6),
    st.sampled_from(list(FORMS)),
    st.sampled_from(["base_twist", "body_twist"]),
)
def test_deltas_are_what_is_done_from_their_row_to_the_next(seed, form, type):
    position, turns, gripper = walk(seed)
    rows, told = table("action", position, turns, form, gripper)
    actions = read_actions(mapping("action", form, type, "grip"), rows, told)
    np.testing.assert_allclose(actions[:, :3], position[:-1], atol=1e-12)
    np.testing.assert_allclose(actions[:, 3:6], turns[:-1].as_rotvec(), atol=1e-6)


def test_differences_of_euler_angles_stay_what_they_are():
    position, turns, gripper = walk(0)
    rows, told = table("action", position, turns, "euler_xyz", gripper)
    its = mapping("action", "euler_xyz", "euler_coordinate_difference", "grip")
    np.testing.assert_array_equal(read_actions(its, rows, told)[:, 3:6], rows["action"][:-1, 3:])


def test_a_measured_gripper_is_where_it_is_at_the_end_of_the_action():
    position, turns, gripper = walk(0)
    rows, told = table("observation.pose", position, turns, "euler_xyz", gripper)
    rows["observation.grip"] = rows.pop("grip")
    told.features["observation.grip"] = told.features.pop("grip")
    its = mapping("observation.pose", "euler_xyz", "poses", "observation.grip")
    np.testing.assert_allclose(read_actions(its, rows, told)[:, 6], 1 - gripper[1:] / 100)


def test_a_hand_that_never_turns_needs_no_rotation():
    position, turns, gripper = walk(0)
    rows, told = table("observation.pose", position, turns, "euler_xyz", gripper)
    its = replace(mapping("observation.pose", "euler_xyz", "poses", "grip"), rotation=None)
    actions = read_actions(its, rows, told)
    assert not actions[:, 3:6].any() and actions[:, :3].any()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: rows["grip"].__imul__(1.2), "grip.*not between open.*100.*closed"),
        (lambda rows: rows["pose"].__imul__(1.2), "length of a quaternion is 1.2"),
    ],
)
def test_numbers_that_cannot_be_what_the_mapping_says_are_refused(change, message):
    position, turns, gripper = walk(0)
    rows, told = table("pose", position, turns, "quaternion_xyzw", gripper)
    change(rows)
    with pytest.raises(ValueError, match=message):
        read_actions(mapping("pose", "quaternion_xyzw", "poses", "grip"), rows, told)


def test_numbers_are_found_by_name_and_by_place():
    told = info(action=["dx", "dy", "dz"])
    rows = {"action": np.arange(6.0).reshape(2, 3)}
    for at in ([2, 0], ["dz", "dx"], ["dz", 0]):
        np.testing.assert_array_equal(Position("action", at).read(rows, told), [[2, 0], [5, 3]])
    for at in (["z"], [3], [-1]):
        with pytest.raises(ValueError, match="'dx', 'dy', 'dz'.*0 to 2"):
            Position("action", at).read(rows, told)


@pytest.mark.parametrize(
    "names",
    [
        ["shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos", "wrist_flex.pos",
         "wrist_roll.pos", "x", "gripper.pos"],
        {"motors": [f"motor_{i}" for i in range(7)]},
        [f"joint_{i}.pos" for i in range(7)],
        [f"q{i}" for i in range(7)],
    ],
)  # fmt: skip
@pytest.mark.parametrize("actions", ["base_twist", "poses"])
def test_joints_are_refused_with_the_reason_and_a_way_out(names, actions):
    told = info(action=names, observation_state=["x", "y", "z"])
    told.features["action"]["shape"] = [7]
    its = Mapping(
        "observation.images.front", actions, Position("action", [0, 1, 2]),
        Rotation("action", [3, 4, 5]), Gripper("action", [6]),
        Position("observation.state", [0, 1, 2]), None,
    )  # fmt: skip
    with pytest.raises(ValueError, match="these are joints.*depends on the arm.*ForwardKinematics"):
        its.must_fit(told)


@pytest.mark.parametrize("file", config_files("lerobot"), ids=lambda path: path.stem)
def test_every_mapping_that_is_shipped_loads_by_its_name(file):
    assert load_mapping(file.stem) == load_mapping(str(file))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"actions": "joint_positions"}, "these are joints"),
        ({"actions": "velocities"}, "velocities.*base_twist.*poses"),
        ({"actions": "base_twist"}, "position.*no observation"),
        ({"hand": {"column": "a", "at": [0, 1]}}, "hand.*3 numbers"),
        ({"hand": {"column": "a", "at": [0, 1, 2], "unit": "cm"}}, "hand.*cm"),
        ({"hand": {"column": 3, "at": [0, 1, 2]}}, "hand.*names"),
        ({"camera": 3}, "names"),
        ({"rotation": {"column": "a", "at": [0, 1, 2]}}, "one is measured, the other commanded"),
        ({"rotation": {"column": "observation.state", "at": [0, 1, 2], "form": "6d"}}, "6d.*euler"),
        (
            {"rotation": {"column": "observation.state", "at": [0], "form": "euler_xyz"}},
            "3 numbers",
        ),
        ({"gripper": {"column": "a", "at": 0, "open": 1}}, "open and closed are the same"),
        ({"gripper": {"column": "a", "at": [0, 1]}}, "gripper.*1 numbers"),
        ({"gripper": {"column": "a", "at": 0, "shut": 1}}, "gripper takes the keys.*shut"),
        ({"gripper": 6}, "gripper takes the keys"),
        ({"hand": None}, "hand"),
        ({"colour": 1}, "colour"),
        ({"camera": ...}, "camera"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_by_name(tmp_path, change, message):
    content = {name: value for name, value in (WHOLE | change).items() if value is not ...}
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=f"my.yaml.*{message}"):
        load_mapping(str(path))


@pytest.mark.parametrize("text", ["", "[]", "a: [", "3", "\0"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    (tmp_path / "my.yaml").write_text(text)
    for name in ("my.yaml", "absent.yaml"):
        with pytest.raises(ValueError, match=name):
            load_mapping(str(tmp_path / name))
