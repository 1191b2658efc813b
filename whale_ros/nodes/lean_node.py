"""A node that leaves the processor to those who imagine."""

from __future__ import annotations

from typing import Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

QOS_PARAMETERS = QoSOverridingOptions.with_default_policies()


class LeanNode(Node):
    """Without rclpy's own listeners for incompatible QoS, two for each topic.

    They only log, and take a fifth of what each message costs (`benchmarks/node.py`). Where nothing
    arrives, `whale_ros.nodes.topics.why_silent` says why. History, depth and reliability of each
    topic are parameters, as ROS names them: `qos_overrides./camera/image.subscription.reliability`.
    """

    def create_publisher(
        self, msg_type: type, topic: str, *arguments: Any, **options: Any
    ) -> Publisher:
        options.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
        if topic != "/parameter_events":  # the node's own, before it has parameters
            options.setdefault("qos_overriding_options", QOS_PARAMETERS)
        return super().create_publisher(msg_type, topic, *arguments, **options)

    def create_subscription(
        self, msg_type: type, topic: str, *arguments: Any, **options: Any
    ) -> Subscription:
        options.setdefault(
            "event_callbacks", SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        options.setdefault("qos_overriding_options", QOS_PARAMETERS)
        return super().create_subscription(msg_type, topic, *arguments, **options)


class LeanLifecycleNode(LeanNode, LifecycleNode):
    """With a managed life cycle: unconfigured, inactive, active."""
