import importlib
import math
import pkgutil

import pytest
import rclpy
from rclpy.parameter import Parameter as RosParameter

from whale_ros import nodes
from whale_ros.nodes.known_parameters import KNOWN
from whale_ros.nodes.parameters import BadParameter, Parameter, declare

TABLE = (
    Parameter("rate_hz", 10.0, "How often.", range=(0.1, 100.0)),
    Parameter("count", 3, "How many.", range=(1, 9)),
    Parameter("style", "plain", "Which style.", choices=("plain", "bold")),
    Parameter("box", [0.0, 1.0], "Lower and upper end [m].", range=(-2.0, 2.0)),
    Parameter("limit", 0.25, "A safety limit.", range=(0.01, 2.0), read_only=True),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_hz", 0.0),
        ("rate_hz", 100.1),
        ("rate_hz", math.nan),
        ("rate_hz", "10"),
        ("rate_hz", True),
        ("count", 0),
        ("count", 2.5),
        ("style", "loud"),
        ("style", 1),
        ("box", [0.0]),
        ("box", [0.0, 3.0]),
        ("box", "ab"),
        ("box", 1.0),
    ],
)
def test_a_wrong_value_is_refused_by_name_value_and_allowed_range(name, value):
    row = next(row for row in TABLE if row.name == name)
    with pytest.raises(BadParameter) as refusal:
        row.check(value)
    for part in (name, repr(value), row.allowed):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"), [("rate_hz", 0.1), ("rate_hz", 100), ("box", [-2, 2.0]), ("count", 9)]
)
def test_the_ends_of_a_range_are_allowed_and_integers_stand_for_floats(name, value):
    row = next(row for row in TABLE if row.name == name)
    assert row.check(value) == value


@pytest.mark.ros
def test_values_follow_changes_and_wrong_changes_are_refused_with_the_reason(ros):
    values = declare(ros.node, TABLE)
    assert values["rate_hz"] == 10.0

    def change(name, value):
        return ros.node.set_parameters([RosParameter(name, value=value)])[0]

    assert change("rate_hz", 20).successful
    assert values["rate_hz"] == 20.0 and isinstance(values["rate_hz"], float)

    for name, value in [("rate_hz", 1000.0), ("rate_hz", "x"), ("style", "loud"), ("limit", 1.0)]:
        before = dict(values)
        result = change(name, value)
        assert not result.successful
        assert name in result.reason
        assert values == before


@pytest.mark.ros
def test_values_that_contradict_each_other_are_refused(ros):
    def why_refused(values):
        return "parameter 'box': low > high" if values["box"][0] > values["box"][1] else None

    declare(ros.node, TABLE, why_refused)
    result = ros.node.set_parameters([RosParameter("box", value=[1.0, 0.0])])[0]
    assert not result.successful
    assert "low > high" in result.reason


@pytest.mark.ros
def test_parameters_describe_themselves(ros):
    declare(ros.node, TABLE)
    (rate, limit) = ros.node.describe_parameters(["rate_hz", "limit"])
    assert rate.description == "How often."
    assert rate.floating_point_range[0].to_value == 100.0
    assert limit.read_only


@pytest.mark.ros
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rate_hs", "did you mean 'rate_hz'"),
        ("pose_timout_s", "did you mean 'pose_timeout_s'"),  # of another node
        ("zzz", "every node of whale_ros"),
    ],
)
def test_a_name_that_no_node_knows_is_refused_with_the_nearest_that_is_known(ros, name, hint):
    node = rclpy.create_node(
        "mistaken", context=ros.context, parameter_overrides=[RosParameter(name, value=1)]
    )
    with pytest.raises(BadParameter, match=f"{name!r} is unknown.*{hint}"):
        declare(node, TABLE)
    node.destroy_node()


@pytest.mark.ros
def test_names_of_other_nodes_of_topics_qos_and_of_ros_are_left_alone(ros):
    others = ("checkpoint", "horizon", "qos_overrides./pose.subscription.depth", "use_sim_time")
    given = [RosParameter(name, value=name == "use_sim_time") for name in others]
    node = rclpy.create_node("robot", context=ros.context, parameter_overrides=given)
    declare(node, TABLE)
    assert not node.has_parameter("checkpoint")
    node.destroy_node()


def test_the_names_of_all_nodes_are_known():
    names = set()
    for module in pkgutil.iter_modules(nodes.__path__):
        table = getattr(
            importlib.import_module(f"{nodes.__name__}.{module.name}"), "PARAMETERS", ()
        )
        names |= {row.name for row in table}
    assert names == KNOWN, "nodes/known_parameters.py names all that a robot's file may set"
