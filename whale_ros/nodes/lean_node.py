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

from whale_ros.nodes.polled import Polled, take_all

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
    What comes often and can wait a little is not subscribed but polled.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._polled: dict[Callable, Subscription] = {}
        self._polled_group = Polled()
        super().__init__(*arguments, **options)

    def poll(
        self,
        msg_type: type,
        topic: str,
        callback: Callable,
        qos_profile: QoSProfile | int,
        **options: Any,
    ) -> None:
        """As `create_subscription`, but callbacks are called in `take_polled` only."""
        self._polled[callback] = self.create_subscription(
            msg_type, topic, callback, qos_profile, callback_group=self._polled_group, **options
        )

    def take_polled(self) -> None:
        """Call the callbacks for what has come of all polled topics, in the order it came in."""
        for _, callback, message, _ in take_all(self._polled):
            callback(message)

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
