import math
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from whale_ros.actions.space import ActionSpace
from whale_ros.gate.config import GateConfig

NUMBERS = [f.name for f in fields(GateConfig) if isinstance(f.default, (int, float))]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_no_number_may_be_zero_or_less_or_not_finite(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a positive number, not {value!r}"):
        GateConfig(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_above_zero_may_be(name):
    assert getattr(GateConfig(**{name: 0.5}), name) == 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workspace_low": (0.0, 0.0)}, "workspace_low must be 3"),
        ({"workspace_low": (0.0, 0.0, 0.0, 0.0)}, "workspace_low must be 3"),
        ({"workspace_low": (0.0, 0.9, math.nan)}, "workspace_low must be 3"),
        ({"workspace_high": (1.0, 1.0, math.inf)}, "workspace_high must be 3"),
        ({"workspace_low": (0.32, 0.38, 0.03)}, "workspace_low x = 0.32"),
        ({"workspace_low": (0.0, 0.92, 0.1)}, "workspace_low y = 0.92"),
        ({"workspace_high": (0.32, 0.92, 0.02)}, "workspace_low z = 0.03"),
        ({"frame": ""}, "^frame must name the frame of poses and commands, it is empty$"),
        ({"action_space": ActionSpace(type="body_twist")}, "'body_twist' can be learnt from"),
    ],
)
def test_what_contradicts_itself_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        GateConfig(**change)


def test_a_box_may_be_thin():
    GateConfig(workspace_low=(0.0, 0.0, 0.0), workspace_high=(1e-9, 1e-9, 1e-9))


def test_the_defaults_are_those_of_the_built_in_arm():
    given = {"rate_hz": 100.0, "base_frame": "base"}
    for file in ("gate.yaml", "robots/sim.yaml"):
        content = yaml.safe_load((ROOT / "config" / file).read_text())
        given |= content["/**"]["ros__parameters"]
    config = GateConfig()
    space = config.action_space
    assert config.cycle_s == 1 / given["rate_hz"] and config.frame == given["base_frame"]
    assert space.step_s == given["action_step_s"]
    assert space.max_translation_m == given["action_max_translation_m"]
    assert space.max_rotation_rad == given["action_max_rotation_rad"]
    told = {f.name for f in fields(GateConfig)} & set(given)
    # The simulated arm may be driven harder than is wise as a default.
    assert config.max_linear_acceleration == 2.0 < given["max_linear_acceleration"]
    for name in told - {"max_linear_acceleration"}:
        value = getattr(config, name)
        assert (list(value) if isinstance(value, tuple) else value) == given[name], name
    left = {f.name for f in fields(GateConfig)} - told
    assert left == {"action_space", "frame", "estop_topic", "cycle_s"}
    assert config.estop_topic == ""


def test_a_camera_may_miss_so_many_periods():
    config = GateConfig(camera_period_s=0.25, camera_missed_periods=3.0)
    assert config.camera_timeout_s == 0.75
