"""A node whose topics are cheap, and whose QoS people may set."""

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64

from whale_ros.nodes.lean_node import LeanNode

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("wanted", ["reliable", "best_effort"])
def test_the_reliability_of_a_topic_is_a_parameter(ros, wanted):
    name = "qos_overrides./speed.subscription.reliability"
    node = LeanNode(
        "lean", context=ros.context, parameter_overrides=[Parameter(name, value=wanted)]
    )
    node.create_subscription(Float64, "speed", lambda message: None, 1)
    ros.node.create_publisher(
        Float64, "speed", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    (info,) = ros.wait(
        lambda: ros.node.get_subscriptions_info_by_topic("/speed"), "the subscription"
    )
    assert info.qos_profile.reliability.name.lower() == wanted
    assert node.get_parameter("qos_overrides./speed.subscription.depth").value == 1
    node.destroy_node()
