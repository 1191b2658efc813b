import dataclasses

import numpy as np
import pytest

from whale_ros.gate.check import Check, Now
from whale_ros.gate.config import GateConfig
from whale_ros.gate.core import Command


def test_a_check_is_not_urgent_by_itself():
    assert not Check("a", True, 0.0, 0.0, "").urgent


@pytest.fixture
def told(new_rig):
    rig = new_rig()
    rig.cycle()
    return (
        Now(0.0, 0.0),
        Check("a", True, 0.0, 0.0, ""),
        GateConfig(),
        Command(np.zeros(6), None, None, None),
        rig.status,
        rig.chunk(),
        rig.beat(),
        rig.pose(),
        rig.picture(),
    )


def test_what_was_told_cannot_be_changed_afterwards(told):
    for one in told:
        name = dataclasses.fields(one)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, None)
