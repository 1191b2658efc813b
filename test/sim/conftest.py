import pytest

from whale_ros.sim.arm import SimArm


@pytest.fixture(scope="session")
def arm():
    """One for all tests, each of which resets it: loading models and OpenGL takes seconds."""
    arm = SimArm()
    yield arm
    arm.close()
