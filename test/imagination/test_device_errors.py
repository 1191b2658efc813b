import pytest
import torch

from whale_ros.imagination.device_errors import Shortages, is_for_good, is_out_of_memory


@pytest.mark.parametrize(
    ("error", "memory", "for_good"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True, False),
        (torch.AcceleratorError("CUDA error: an illegal memory access"), False, True),
        (RuntimeError("shapes do not fit"), False, False),
        (ValueError("no images"), False, False),
    ],
)
def test_errors_of_the_device_are_told_from_others(error, memory, for_good):
    assert (is_out_of_memory(error), is_for_good(error)) == (memory, for_good)


@pytest.mark.parametrize(("last", "stops"), [(600.0, True), (600.1, False)])
def test_three_shortages_in_ten_minutes_are_too_many(last, stops):
    now = [0.0]
    shortages = Shortages(lambda: now[0])
    for now[0] in (0.0, 1.0):
        shortages.count()
        assert not shortages.why_not()
    now[0] = last
    shortages.count()
    assert bool(shortages.why_not()) == stops
    assert "load_checkpoint" in shortages.why_not() or not stops
