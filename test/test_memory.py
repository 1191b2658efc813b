"""Freed memory is kept, where the C library can."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
from whale_ros.memory import keep_freed_memory

def faults(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        bytearray(20 << 20)  # of zeros, so that every page is touched
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults(10)
keep_freed_memory()
faults(1)
print(without, faults(10))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is of glibc")
def test_memory_that_is_freed_and_needed_again_costs_no_page_faults():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    without, kept = map(int, done.stdout.split())
    assert kept < without / 20
