from random import Random

import pytest

from whale_ros.faults.catalogue import FAULTS
from whale_ros.faults.fault import draw, union


@pytest.mark.parametrize("count", [2, 3])
def test_what_is_drawn_together_does_not_hide_one_another(count):
    rng, drawn = Random(0), set()
    for _ in range(300):
        faults = draw([fault for fault in FAULTS if fault.estop is not False], count, rng)
        touched = [what for fault in faults for what in fault.touches]
        assert len({fault.name for fault in faults}) == count
        assert len(set(touched)) == len(touched) and all(fault.together for fault in faults)
        drawn |= {fault.name for fault in faults}
    assert drawn == {f.name for f in FAULTS if f.together and f.estop is not False}


def test_several_at_once_demand_the_strictest_of_each():
    by_demand = {fault.demand: fault for fault in FAULTS}
    assert union([by_demand["-"], by_demand["X"]]).demand == "X"
    assert union([by_demand["X"], by_demand["H, A"]]).demand == "H, A"
    assert union([by_demand["H, A"], by_demand["H, L"], by_demand["-"]]).demand == "H, L"
