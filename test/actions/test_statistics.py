"""Statistics of actions are those of each dimension over all steps of all episodes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whale_ros.actions.statistics import statistics

EPISODES = arrays(np.float32, (2, 3, 7), elements=st.floats(-1, 1, width=32))


@given(EPISODES)
def test_they_are_counted_over_every_step_of_every_episode(actions):
    found = json.loads(json.dumps(statistics(actions)))
    for dimension in range(7):
        values = [float(actions[e, t, dimension]) for e in range(2) for t in range(3)]
        mean = sum(values) / 6
        assert found["mean"][dimension] == pytest.approx(mean, abs=1e-6)
        spread = (sum((value - mean) ** 2 for value in values) / 6) ** 0.5
        assert found["std"][dimension] == pytest.approx(spread, abs=1e-6)
        assert found["min"][dimension] == pytest.approx(min(values), abs=1e-6)
        assert found["max"][dimension] == pytest.approx(max(values), abs=1e-6)
