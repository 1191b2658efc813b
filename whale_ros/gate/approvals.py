"""Who may approve chunks, and each chunk once only."""

from __future__ import annotations

from collections import deque

REMEMBERED_SESSIONS = 64


class Approvals:
    """Sessions and sequence numbers of the planner.

    A planner that restarts begins a new session. One whose session was replaced and that comes
    back is a second planner.
    """

    def __init__(self) -> None:
        self.session = ""
        self.sequence = -1
        self._replaced: deque[str] = deque(maxlen=REMEMBERED_SESSIONS)

    def is_second_planner(self, session: str) -> bool:
        return session in self._replaced

    def why_replayed(self, session: str, sequence: int) -> str | None:
        """Use up a sequence number; None if it is the next one, else what is wrong with it."""
        if not session:
            return "its session is empty"
        if self.is_second_planner(session):
            return f"its session {session!r} was replaced by {self.session!r}: two planners"
        if session != self.session:
            if self.session:
                self._replaced.append(self.session)
            self.session, self.sequence = session, -1
        if sequence <= self.sequence:
            return f"its sequence {sequence} was used, the last one was {self.sequence}"
        self.sequence = sequence
        return None

    def forget_replaced(self) -> None:
        """After an operator's reset, whoever speaks next is the planner."""
        self._replaced.clear()
