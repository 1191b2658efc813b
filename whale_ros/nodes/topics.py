"""Questions to the ROS graph that give a user the reason why nothing arrives."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo


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
    publishers, subscriptions = _ends(node, topic)
    for own in _ours(node, subscriptions):
        for other in publishers:
            if not _fit(other, own):
                return (
                    f"{topic} has incompatible QoS: {other.node_name} publishes "
                    f"{_in_words(other.qos_profile)}, we want {_in_words(own.qos_profile)}"
                )
    return ""


def why_unheard(node: Node, topic: str, message_type: type) -> str:
    """Why no subscriber of a topic of ours can hear us; empty if one can, or if there is none.

    One that cannot, beside one that can, may be anybody's tool: it is no reason to stop an arm.
    """
    publishers, subscriptions = _ends(node, topic)
    types = {info.topic_type for info in subscriptions}
    if types and type_name(message_type) not in types:
        wanted = ", ".join(sorted(types))
        return f"{topic} is wanted as {wanted}, we publish {type_name(message_type)}"
    for own in _ours(node, publishers):
        if subscriptions and not any(_fit(own, other) for other in subscriptions):
            other = subscriptions[0]
            return (
                f"{topic} has incompatible QoS: we publish {_in_words(own.qos_profile)}, "
                f"{other.node_name} wants {_in_words(other.qos_profile)}"
            )
    return ""


def publisher_names(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish a topic, one for each publisher."""
    return [
        f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        for info in node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    ]


def hearing(node: Node) -> DiagnosticStatus:
    """Whether we can hear all that is published on the topics that we take, for diagnostics."""
    taken = [(taken.topic_name, taken.msg_type) for taken in node.subscriptions]
    problems = [why for topic, kind in taken if (why := why_deaf(node, topic, kind))]
    if problems:
        node.get_logger().warning("; ".join(problems), throttle_duration_sec=10.0)
    return DiagnosticStatus(
        name=f"{node.get_fully_qualified_name()}: topics",
        level=DiagnosticStatus.WARN if problems else DiagnosticStatus.OK,
        message="; ".join(problems) or "everybody who publishes can be heard",
    )


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


def _ends(node: Node, topic: str) -> tuple[list[TopicEndpointInfo], list[TopicEndpointInfo]]:
    """Publishers and subscriptions."""
    name = node.resolve_topic_name(topic)
    return node.get_publishers_info_by_topic(name), node.get_subscriptions_info_by_topic(name)


def _ours(node: Node, ends: list[TopicEndpointInfo]) -> list[TopicEndpointInfo]:
    us = node.get_name(), node.get_namespace()
    return [end for end in ends if (end.node_name, end.node_namespace) == us]


def _fit(publisher: TopicEndpointInfo, subscription: TopicEndpointInfo) -> bool:
    fit, _ = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
    return fit != QoSCompatibility.ERROR


def _in_words(qos: QoSProfile) -> str:
    return f"{qos.reliability.name.lower()} and {qos.durability.name.lower()}"
