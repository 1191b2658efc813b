"""What an action space accepts, just inside and just outside its limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.composition import compose
from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION, TYPES, ActionSpace
from whale_ros.gate.config import GateConfig
from whale_ros.imagination.live import LiveModel
from whale_ros.sim.collect import collect

SPACE = ActionSpace()
DIRECTION = np.array([1.0, -2.0, 2.0]) / 3


def still(horizon: int = 3) -> np.ndarray:
    return np.zeros((horizon, DIM))


numbers = st.floats(-1e3, 1e3)
sequences = st.lists(st.lists(numbers, min_size=DIM, max_size=DIM), min_size=1, max_size=8).map(
    np.array
)


@pytest.mark.parametrize(
    ("part", "limit", "word"),
    [(POSITION, SPACE.max_translation_m, "moves"), (ROTATION, SPACE.max_rotation_rad, "turns")],
)
def test_a_step_of_the_limit_is_valid_and_a_longer_one_is_named(part, limit, word):
    actions = still()
    actions[1, part] = DIRECTION * limit
    assert SPACE.why_invalid(actions) is None
    actions[1, part] *= 1.001
    assert f"action 1 {word}" in SPACE.why_invalid(actions)


@pytest.mark.parametrize("gripper", [0.0, 1.0])
def test_the_gripper_spans_open_to_closed(gripper):
    actions = still()
    actions[2, GRIPPER] = gripper
    assert SPACE.why_invalid(actions) is None
    actions[2, GRIPPER] += 0.001 if gripper else -0.001
    assert "gripper" in SPACE.why_invalid(actions)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", range(DIM))
def test_a_number_that_is_not_finite_is_named_with_its_place(bad, axis):
    actions = still()
    actions[2, axis] = bad
    reason = SPACE.why_invalid(actions)
    assert "action 2" in reason and f"index {axis}" in reason


@pytest.mark.parametrize("shape", [(7,), (3, 6), (3, 8), (1, 3, 7)])
def test_another_shape_is_refused(shape):
    assert str(shape) in SPACE.why_invalid(np.zeros(shape))


def test_an_empty_sequence_is_refused():
    assert "empty" in SPACE.why_invalid(np.zeros((0, DIM)))


@given(sequences)
def test_clipping_makes_any_finite_sequence_valid(actions):
    assert SPACE.why_invalid(SPACE.clip(actions)) is None


@given(sequences)
def test_clipping_keeps_directions_and_leaves_valid_actions_alone(actions):
    clipped = SPACE.clip(actions)
    for part in (POSITION, ROTATION):
        lengths = np.linalg.norm(actions[:, part], axis=1, keepdims=True)
        clipped_lengths = np.linalg.norm(clipped[:, part], axis=1, keepdims=True)
        np.testing.assert_allclose(
            clipped[:, part] * lengths, actions[:, part] * clipped_lengths, atol=1e-6
        )
    np.testing.assert_allclose(SPACE.clip(clipped), clipped, rtol=1e-12, atol=1e-15)


def test_normalising_maps_the_limits_to_one_and_the_open_gripper_to_minus_one():
    action = [SPACE.max_translation_m, 0, 0, 0, -SPACE.max_rotation_rad, 0, 0]
    normalised = SPACE.normalise(np.array(action))
    np.testing.assert_allclose(normalised, [1, 0, 0, 0, -1, 0, -1], rtol=1e-6)
    assert normalised.dtype == np.float32


def test_normalising_does_not_change_its_argument():
    actions = np.full((2, DIM), 0.5, np.float32)
    SPACE.normalise(actions)
    assert (actions == 0.5).all()


def test_equal_spaces_share_a_signature_and_different_ones_do_not():
    assert ActionSpace.from_dict(SPACE.to_dict()).signature == SPACE.signature
    for change in (
        {"type": "body_twist"},
        {"step_s": 0.1},
        {"max_translation_m": 0.06},
        {"max_rotation_rad": 0.2},
    ):
        assert ActionSpace(**change).signature != SPACE.signature


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["step_s", "max_translation_m", "max_rotation_rad"])
def test_a_limit_that_is_not_positive_is_refused_by_name(name, bad):
    with pytest.raises(ValueError, match=name):
        ActionSpace(**{name: bad})


def test_an_unknown_type_or_key_is_refused_by_name():
    with pytest.raises(ValueError, match="joint_velocity"):
        ActionSpace(type="joint_velocity")
    with pytest.raises(ValueError, match="colour"):
        ActionSpace.from_dict({**SPACE.to_dict(), "colour": 1})


@pytest.mark.parametrize("type", TYPES)
def test_every_type_of_increments_can_be_written_read_and_composed(type):
    space = ActionSpace(type=type)
    assert ActionSpace.from_dict(space.to_dict()) == space
    assert compose(still(), type).tolist() == still(1)[0].tolist()


def test_absolute_poses_are_refused_because_limits_are_of_increments():
    with pytest.raises(ValueError, match="absolute_pose"):
        ActionSpace(type="absolute_pose")


def test_only_base_twists_reach_an_arm(random_model, tmp_path):
    SPACE.must_be_executable()
    other = ActionSpace(type="body_twist")
    model = random_model()
    model.action_space = other
    for refused in (
        lambda: GateConfig(action_space=other),
        lambda: LiveModel(model),
        lambda: collect(tmp_path, 1, 0, 1, 64, 1, other),
    ):
        with pytest.raises(ValueError, match="'body_twist' can be learnt from, not executed"):
            refused()
