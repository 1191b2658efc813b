"""Questions to the ROS graph that give a user the reason why nothing arrives."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible


def why_silent(node: Node, topic: str, message_type: type) -> str:
    """Say why no message of this type has come from a topic, as far as the graph tells."""
    if why := why_deaf(node, topic, message_type):
        return why
    if not node.get_publishers_info_by_topic(node.resolve_topic_name(topic)):
        return f"nobody publishes {topic} ({type_name(message_type)})"
    return f"{topic} has a publisher but is silent"


def why_deaf(node: Node, topic: str, message_type: type) -> str:
    """Why we cannot hear a publisher of a topic; empty if we can, or if there is none."""
    if wrong := wrong_type(node, topic, message_type):
        return wrong
    full_name = node.resolve_topic_name(topic)
    us = node.get_name(), node.get_namespace()
    for own in node.get_subscriptions_info_by_topic(full_name):
        if (own.node_name, own.node_namespace) != us:
            continue
        for other in node.get_publishers_info_by_topic(full_name):
            fit, _ = qos_check_compatible(other.qos_profile, own.qos_profile)
            if fit == QoSCompatibility.ERROR:
                return (
                    f"{topic} has incompatible QoS: {other.node_name} publishes "
                    f"{_in_words(other.qos_profile)}, we want {_in_words(own.qos_profile)}"
                )
    return ""


def publishers(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish a topic, one for each publisher."""
    return [
        f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        for info in node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    ]


def wrong_type(node: Node, topic: str, message_type: type) -> str:
    """Name the types of a topic that has publishers, but none of this type; else empty."""
    publishers = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    types = {info.topic_type for info in publishers}
    if not types or type_name(message_type) in types:
        return ""
    return f"{topic} carries {', '.join(sorted(types))}, expected {type_name(message_type)}"


def type_name(message_type: type) -> str:
    """As the graph writes it, e.g. sensor_msgs/msg/Image."""
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"


def _in_words(qos: QoSProfile) -> str:
    return f"{qos.reliability.name.lower()} and {qos.durability.name.lower()}"
