"""A node that leaves the processor to those who imagine."""

from __future__ import annotations

from typing import Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription


class _Lean(Node):
    """Without rclpy's own listeners for incompatible QoS, two for each topic.

    They only log, and take a fifth of what each message costs (`benchmarks/node.py`). Where nothing
    arrives, `whale_ros.nodes.topics.why_silent` says why.
    """

    def create_publisher(self, *arguments: Any, **options: Any) -> Publisher:
        options.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
        return super().create_publisher(*arguments, **options)

    def create_subscription(self, *arguments: Any, **options: Any) -> Subscription:
        options.setdefault(
            "event_callbacks", SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        return super().create_subscription(*arguments, **options)


class LeanNode(_Lean):
    """As it is used most."""


class LeanLifecycleNode(_Lean, LifecycleNode):
    """With a managed life cycle: unconfigured, inactive, active."""
