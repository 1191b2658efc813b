"""A node whose topics are cheap, and whose QoS people may set."""

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float64

from whale_ros.nodes.lean_node import LeanNode

pytestmark = pytest.mark.ros

NAMES = ("speed", "gripper", "other")


@pytest.fixture
def lean(ros):
    """A node with given parameters."""
    nodes = []

    def lean(**parameters):
        overrides = [
            Parameter(f"qos_overrides./speed.subscription.{name}", value=value)
            for name, value in parameters.items()
        ]
        nodes.append(LeanNode("lean", context=ros.context, parameter_overrides=overrides))
        return nodes[-1]

    yield lean
    for node in nodes:
        node.destroy_node()


def qos_of_the_subscription(ros, topic):
    (info,) = ros.wait(lambda: ros.node.get_subscriptions_info_by_topic(topic), topic)
    return info.qos_profile


@pytest.mark.parametrize("wanted", ["reliable", "best_effort"])
def test_the_reliability_of_a_topic_is_a_parameter(ros, lean, wanted):
    node = lean(reliability=wanted)
    node.create_subscription(Float64, "speed", lambda message: None, 1)
    assert qos_of_the_subscription(ros, "/speed").reliability.name.lower() == wanted
    assert node.get_parameter("qos_overrides./speed.subscription.depth").value == 1


def test_with_its_durability_as_a_parameter_an_ordinary_publisher_is_heard(ros, lean):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node, heard = lean(durability="volatile"), []
    node.create_subscription(Float64, "speed", heard.append, latched)
    node.create_subscription(Float64, "other", heard.append, latched)
    ros.executor.add_node(node)
    publisher = ros.node.create_publisher(Float64, "speed", 1)
    ros.wait(publisher.get_subscription_count, "the subscription")
    publisher.publish(Float64(data=1.0))
    ros.wait(lambda: heard, "the message")
    ros.executor.remove_node(node)
    other = qos_of_the_subscription(ros, "/other").durability
    assert other == DurabilityPolicy.TRANSIENT_LOCAL, "a parameter is for one topic"


def test_what_is_polled_waits_until_it_is_taken_and_comes_in_order_across_topics(ros, lean):
    node, heard = lean(), []
    node.poll(Float64, "speed", lambda message: heard.append(("speed", message.data)), 10)
    node.poll(Float64, "gripper", lambda message: heard.append(("gripper", message.data)), 10)
    others = []
    node.create_subscription(Float64, "other", others.append, 1)
    ros.executor.add_node(node)
    publishers = {name: ros.node.create_publisher(Float64, name, 10) for name in NAMES}
    for name, publisher in publishers.items():
        ros.wait(publisher.get_subscription_count, name)
    sent = [("gripper", 0.0), ("speed", 1.0), ("speed", 2.0), ("gripper", 3.0), ("speed", 4.0)]
    for name, number in sent:
        publishers[name].publish(Float64(data=number))
        ros.spin(0.02)  # by another thread of the middleware each topic is received
    publishers["other"].publish(Float64())
    ros.wait(lambda: others, "the message that wakes the executor")
    assert heard == []

    def taken():
        node.take_polled()
        return len(heard) == len(sent)

    ros.wait(taken, "all messages")
    assert heard == sent
    ros.executor.remove_node(node)
