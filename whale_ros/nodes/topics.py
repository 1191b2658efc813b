"""Questions to the ROS graph that give a user the reason why nothing arrives."""

from __future__ import annotations

from rclpy.node import Node


def why_silent(node: Node, topic: str, message_type: type) -> str:
    """Say why no message of this type has come from a topic, as far as the graph tells."""
    wanted = f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"
    publishers = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    types = {info.topic_type for info in publishers}
    if not publishers:
        return f"nobody publishes {topic} ({wanted})"
    if wanted not in types:
        return f"{topic} carries {', '.join(sorted(types))}, expected {wanted}"
    return f"{topic} has a publisher but is silent, or offers a QoS that does not match"
