"""What the planner decided, in the log: a line a decision, and not the same again and again."""

from __future__ import annotations

import re
import time
from collections import Counter

from rclpy.impl.rcutils_logger import RcutilsLogger

from whale_ros.msg import PlanDecision

REPEAT_S = 5.0  # a reason that lasts is told again after this
NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]\d+)?")


class DecisionLog:
    """Approvals that reject nothing are for debugging. All else is told at once where a reason is
    new, and once in REPEAT_S where none is."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._told: dict[tuple[bool, str], float] = {}  # reasons, when last (steady clock)

    def tell(self, decision: PlanDecision, rejected: Counter[str]) -> None:
        """rejected: how many of the candidates, by what."""
        approved = bool(decision.chosen_id)
        line = f"chose {decision.chosen_id!r}"
        if not approved:
            line = f"nothing approved: {decision.reason}"
        if rejected:
            counts = ", ".join(f"{count} {kind}" for kind, count in rejected.most_common())
            line += f"; rejected {rejected.total()} of {len(decision.candidates)}: {counts}"
        reasons = set(rejected) if approved else {*rejected, NUMBER.sub("", decision.reason)}
        if not reasons:
            self._logger.debug(line)
        elif self._is_due(approved, reasons):
            if approved:
                self._logger.info(line)
            else:
                self._logger.warning(line)

    def _is_due(self, approved: bool, reasons: set[str]) -> bool:
        now = time.monotonic()
        self._told = {key: then for key, then in self._told.items() if now - then < REPEAT_S}
        keys = {(approved, reason) for reason in reasons}
        if keys <= self._told.keys():
            return False
        self._told.update(dict.fromkeys(keys, now))
        return True
