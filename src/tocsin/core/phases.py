"""The phases of an incident, in order."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where an incident stands. Phases move forward, except when it is reopened."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    INVESTIGATING = "investigating"
    FIXING = "fixing"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    REVIEWED = "reviewed"

    @property
    def is_over(self) -> bool:
        """Say whether nobody works on it any more."""
        return self in (Phase.RESOLVED, Phase.REVIEWED)

    @property
    def order(self) -> int:
        """Return the place in the process, 0 for triggered."""
        return tuple(Phase).index(self)
