"""Why nothing arrives, as far as the ROS graph tells."""

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64, String

from whale_ros.nodes.topics import why_silent, why_unheard

pytestmark = pytest.mark.ros

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.mark.parametrize(
    ("offered", "wanted", "words"),
    [
        (BEST_EFFORT, 1, "publishes best_effort and volatile, we want reliable and volatile"),
        (1, LATCHED, "publishes reliable and volatile, we want reliable and transient_local"),
        (1, BEST_EFFORT, "has a publisher but is silent"),
    ],
)
def test_qos_that_does_not_fit_is_named_on_both_sides(ros, offered, wanted, words):
    ros.listen(Float64, "speed", wanted)
    ros.node.create_publisher(Float64, "speed", offered)
    ros.wait(lambda: words in why_silent(ros.node, "speed", Float64), words)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (LATCHED, "we publish reliable and volatile, test wants reliable and transient_local"),
        (BEST_EFFORT, ""),
    ],
)
def test_who_wants_a_qos_that_we_do_not_offer_is_named(ros, wanted, words):
    ros.node.create_publisher(Float64, "speed", 1)
    ros.listen(Float64, "speed", wanted)
    ros.wait(lambda: ros.node.count_subscribers("speed"), "the subscription")
    expected = words and f"speed has incompatible QoS: {words}"
    assert why_unheard(ros.node, "speed", Float64) == expected


def test_beside_one_that_can_hear_nobody_is_named(ros):
    ros.node.create_publisher(Float64, "speed", 1)
    ros.listen(Float64, "speed", LATCHED)
    ros.wait(lambda: why_unheard(ros.node, "speed", Float64), "the one that cannot")
    ros.listen(Float64, "speed")
    ros.wait(lambda: not why_unheard(ros.node, "speed", Float64), "the other")


def test_who_wants_another_type_is_named(ros):
    ros.listen(String, "speed")
    expected = "speed is wanted as std_msgs/msg/String, we publish std_msgs/msg/Float64"
    ros.wait(lambda: why_unheard(ros.node, "speed", Float64) == expected, expected)


def test_nobody_and_the_wrong_type_are_named(ros):
    assert why_silent(ros.node, "speed", Float64) == "nobody publishes speed (std_msgs/msg/Float64)"
    ros.node.create_publisher(String, "speed", 1)
    expected = "speed carries std_msgs/msg/String, expected std_msgs/msg/Float64"
    ros.wait(lambda: why_silent(ros.node, "speed", Float64) == expected, expected)
