"""The real world model, whose torch fails as it is told on standard input.

    python -m whale_ros.nodes.fault_torch real_world_model FOLDER

Orders: {"kind": "memory", "times": n}: so often it is out of memory; {"kind": "device"}: the device
is lost, and stays lost; {"kind": "slow", "for": seconds}: the next answer to the planner takes so
much longer. There need be no GPU: the errors are those that torch raises for one, out of the middle
of the networks.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import torch

from whale_ros.nodes import world_model

PREDICTS = "predict"  # thread of the predictor


class Failing:
    """Wraps what every network here calls."""

    def __init__(self) -> None:
        self._linear = torch.nn.Linear.forward
        self._shortages, self._is_lost, self._slow_s = 0, False, 0.0

    def install(self) -> None:
        linear, fail = self._linear, self._fail

        def forward(layer: torch.nn.Linear, *arguments: Any) -> torch.Tensor:
            fail()
            return linear(layer, *arguments)

        torch.nn.Linear.forward = forward  # type: ignore[method-assign, assignment]

    def listen(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["kind"] == "memory":
                self._shortages = order["times"]
            elif order["kind"] == "device":
                self._is_lost = True
            else:
                self._slow_s = order["for"]

    def _fail(self) -> None:
        if self._is_lost:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        if self._shortages:
            self._shortages -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if self._slow_s and threading.current_thread().name == PREDICTS:
            seconds, self._slow_s = self._slow_s, 0.0
            time.sleep(seconds)


if __name__ == "__main__":
    failing = Failing()
    failing.install()
    threading.Thread(target=failing.listen, daemon=True).start()
    world_model.main()
