"""Subscriptions to what is recorded: raw, so that nothing is decoded only to be written again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import yaml
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from whale_ros.data.bag_writer import Topic
from whale_ros.data.conventions import TYPES
from whale_ros.nodes.message_definitions import UnknownType, definition, message_class
from whale_ros.nodes.polled import Polled, take_all
from whale_ros.nodes.topics import type_name, why_silent, wrong_type

LATCHED = 20  # messages of a topic that are there before an episode begins, as of /tf_static

# key, topic, message, when it was sent and received [ns], and received by a steady clock [s]
OnMessage = Callable[[str, Topic, bytes, int, int, float], None]


class RecordedTopics:
    """Subscribes to each topic as soon as somebody publishes it.

    names: by key, which is the role or, for a topic without one, its name.
    """

    def __init__(
        self, node: Node, names: dict[str, str], command_type: str, on_message: OnMessage
    ) -> None:
        self._node, self._on_message = node, on_message
        self.names = {key: node.resolve_topic_name(name) for key, name in names.items()}
        self._types = dict(TYPES)
        if command_type == "pose":
            self._types["command"] = TYPES["pose"]
        self.topics: dict[str, Topic] = {}  # by key, of those that are subscribed
        self._subscriptions: dict[str, Subscription] = {}
        self._polled = Polled()
        self._last: dict[str, deque[tuple[bytes, int]]] = {}
        self.refused: dict[str, str] = {}  # by key, in words, of those that cannot be

    def look(self) -> None:
        """Subscribe to what has come up since."""
        for key, name in self.names.items():
            publishers = self._node.get_publishers_info_by_topic(name)
            if key not in self.topics and publishers:
                try:
                    self._subscribe(key, name, publishers)
                    self.refused.pop(key, None)
                except UnknownType as error:
                    self.refused[key] = f"{name}: {error}"

    def take(self) -> None:
        """Hand over what has come since the last time, in the order in which it came."""
        come = take_all(self._subscriptions)
        # Once for all, so that they keep their order when this process has to wait.
        wall, now, steady_s = time.time_ns(), self._node.get_clock().now().nanoseconds, monotonic()
        for received, key, message, sent in come:
            # Not every middleware tells when a message was received.
            age = max(0, wall - received) if received > 0 else 0
            if key in self._last:
                self._last[key].append((message, sent))
            self._on_message(key, self.topics[key], message, sent, now - age, steady_s - age * 1e-9)

    def why_missing(self, key: str) -> str:
        """Why a topic cannot be recorded; empty if it has a publisher of the right type."""
        if key in self.refused:
            return self.refused[key]
        name = self.names[key]
        if not self._node.count_publishers(name):
            what = f" ({self._types[key][0]}, the {key})" if key in self._types else ""
            return f"nobody publishes {name}{what}"
        return wrong_type(self._node, name, self._kind(key)) if key in self._types else ""

    def why_silent(self, key: str) -> str:
        """Why nothing comes from the topic of a role."""
        return why_silent(self._node, self.names[key], self._kind(key))

    def before(self) -> list[tuple[str, bytes, int]]:
        """Key, message and when it was sent, of what holds already when an episode begins.

        That is the last gripper command, and what latched topics keep for those who come late.
        """
        return [(key, *message) for key, messages in self._last.items() for message in messages]

    def _kind(self, key: str) -> type:
        """Of what a topic is published as; for a role the usual one if that is none of its own."""
        publishers = self._node.get_publishers_info_by_topic(self.names[key])
        published = [info.topic_type for info in publishers]
        allowed = self._types.get(key, published)
        return message_class(next((type for type in allowed if type in published), allowed[0]))

    def _subscribe(self, key: str, name: str, publishers: list[TopicEndpointInfo]) -> None:
        kind = self._kind(key)
        if wrong_type(self._node, name, kind):
            return
        type = type_name(kind)
        publishers = [info for info in publishers if info.topic_type == type]
        offered = [info.qos_profile for info in publishers]
        type_hash = str(getattr(publishers[0], "topic_type_hash", ""))  # Humble has none
        topic = Topic(name, type, definition(type), _in_yaml(offered), type_hash)
        latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
        if latched or key == "gripper_command":
            self._last[key] = deque(maxlen=LATCHED if latched else 1)
        # As `ros2 bag record`: what all of them offer. Best effort as soon as one offers no more.
        reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
        qos = QoSProfile(
            depth=20 if key == "camera" else 200,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        self._subscriptions[key] = self._node.create_subscription(
            kind, name, lambda _: None, qos, raw=True, callback_group=self._polled
        )
        self.topics[key] = topic


def _in_yaml(offered: list[QoSProfile]) -> str:
    """As rosbag2 writes it in bags of version 8."""

    def span(duration: Any) -> dict[str, int]:
        seconds, nanoseconds = divmod(duration.nanoseconds, 10**9)
        return {"sec": seconds, "nsec": nanoseconds}

    return yaml.safe_dump(
        [
            {
                "history": int(qos.history),
                "depth": qos.depth,
                "reliability": int(qos.reliability),
                "durability": int(qos.durability),
                "deadline": span(qos.deadline),
                "lifespan": span(qos.lifespan),
                "liveliness": int(qos.liveliness),
                "liveliness_lease_duration": span(qos.liveliness_lease_duration),
                "avoid_ros_namespace_conventions": qos.avoid_ros_namespace_conventions,
            }
            for qos in offered
        ],
        sort_keys=False,
    )
