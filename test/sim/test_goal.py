"""The goal picture is of the finished task, in the scene of the seed."""

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.sim.arm import TASKS
from whale_ros.sim.goal import photograph_goal


@pytest.mark.parametrize("task", TASKS)
def test_the_picture_is_taken_when_the_task_is_done(arm, task):
    picture = photograph_goal(arm, task, 4, ActionSpace())
    assert arm.success
    np.testing.assert_array_equal(picture, arm.render())
    np.testing.assert_array_equal(photograph_goal(arm, task, 4, ActionSpace()), picture)


def test_another_seed_has_another_goal(arm):
    first = photograph_goal(arm, "reach-v3", 0, ActionSpace())
    assert not np.array_equal(photograph_goal(arm, "reach-v3", 1, ActionSpace()), first)


def test_an_unknown_task_is_refused_by_name(arm):
    with pytest.raises(ValueError, match="juggle-v3"):
        photograph_goal(arm, "juggle-v3", 0, ActionSpace())
