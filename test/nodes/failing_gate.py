#!/usr/bin/env python3
"""The gate with a mistake: the method that FAILS names raises once, while a chunk is executed.

FAILS is a variable of the environment; the executor's `spin_once` does nothing afterwards.
"""

import os
from typing import Any

from whale_ros.gate.core import State
from whale_ros.nodes import gate

FAILS = os.environ["FAILS"]
failed = False


def fail_once(node: gate.GateNode) -> None:
    global failed
    if not failed and node._gate.state is State.EXECUTING:
        failed = True
        raise RuntimeError(f"a mistake in {FAILS}")


class FailingExecutor(gate.SingleThreadedExecutor):
    def spin_once(self, timeout_sec: float | None = None) -> None:
        if not failed:
            super().spin_once(timeout_sec)
            fail_once(*self.get_nodes())


def failing(name: str) -> Any:
    method = getattr(gate.GateNode, name)

    def fails_once(self: gate.GateNode, *arguments: Any) -> Any:
        fail_once(self)
        return method(self, *arguments)

    return fails_once


if FAILS == "spin_once":
    gate.SingleThreadedExecutor = FailingExecutor
else:
    setattr(gate.GateNode, FAILS, failing(FAILS))
gate.main()
