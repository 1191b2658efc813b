"""Topics that a node reads when it wants to know, where rclpy would wake it for every message: that
costs more than to take the message (`benchmarks/node.py`, `benchmarks/recording.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.subscription import Subscription

Key = TypeVar("Key")


class Polled(CallbackGroup):
    """Of subscriptions that the executor does not wait for."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


def take_all(subscriptions: Mapping[Key, Subscription]) -> list[tuple[int, Key, Any, int]]:
    """What has come since the last time, in the order in which it came.

    Of each message: when it was received [ns, wall clock; not of every middleware], the key of its
    subscription, the message, and when it was sent [ns].
    """
    come = []
    for key, subscription in subscriptions.items():
        with subscription.handle:
            while taken := subscription.handle.take_message(
                subscription.msg_type, subscription.raw
            ):
                message, info = taken
                come.append((info["received_timestamp"], key, message, info["source_timestamp"]))
    return sorted(come, key=itemgetter(0))
