import math
from dataclasses import fields

import pytest

from whale_ros.gate.config import GateConfig

NUMBERS = [f.name for f in fields(GateConfig) if isinstance(f.default, (int, float))]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_no_number_may_be_zero_or_less_or_not_finite(name, value):
    with pytest.raises(ValueError, match=name):
        GateConfig(**{name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workspace_low": (0.0, 0.0)}, "workspace_low must be 3"),
        ({"workspace_low": (0.0, 0.9, math.nan)}, "workspace_low must be 3"),
        ({"workspace_low": (0.0, 0.92, 0.1)}, "workspace_low y = 0.92"),
        ({"frame": ""}, "frame"),
    ],
)
def test_a_box_that_is_inside_out_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        GateConfig(**change)
