"""Questions to the ROS graph that give a user the reason why nothing arrives."""

from __future__ import annotations

from rclpy.node import Node


def why_silent(node: Node, topic: str, message_type: type) -> str:
    """Say why no message of this type has come from a topic, as far as the graph tells."""
    if wrong := wrong_type(node, topic, message_type):
        return wrong
    if not node.get_publishers_info_by_topic(node.resolve_topic_name(topic)):
        return f"nobody publishes {topic} ({type_name(message_type)})"
    return f"{topic} has a publisher but is silent, or offers a QoS that does not match"


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
