"""A node that leaves the processor to those who imagine."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

QOS_PARAMETERS = QoSOverridingOptions(
    (
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
)


class LeanNode(Node):
    """Without rclpy's own listeners for incompatible QoS, two for each topic.

    They only log, and take a fifth of what each message costs (`benchmarks/node.py`). Where nothing
    arrives, `whale_ros.nodes.topics` says why. History, depth, reliability and durability of each
    topic are parameters, as ROS names them: `qos_overrides./camera/image.subscription.reliability`.
    """

    def create_publisher(
        self, msg_type: type, topic: str, qos_profile: QoSProfile | int, **options: Any
    ) -> Publisher:
        options.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
        if topic != "/parameter_events":  # the node's own, before it has parameters
            options.setdefault("qos_overriding_options", QOS_PARAMETERS)
        # A copy: rclpy writes the parameters into it, and others may have the same profile.
        return super().create_publisher(msg_type, topic, copy(qos_profile), **options)

    def create_subscription(
        self,
        msg_type: type,
        topic: str,
        callback: Callable,
        qos_profile: QoSProfile | int,
        **options: Any,
    ) -> Subscription:
        options.setdefault(
            "event_callbacks", SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        options.setdefault("qos_overriding_options", QOS_PARAMETERS)
        return super().create_subscription(msg_type, topic, callback, copy(qos_profile), **options)


class LeanLifecycleNode(LeanNode, LifecycleNode):
    """With a managed life cycle: unconfigured, inactive, active."""
