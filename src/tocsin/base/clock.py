"""Time and identity arrive from outside, so that a run can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC. Somebody may set it, in either direction."""
        ...

    def elapsed(self) -> float:
        """Return seconds since some instant, time asleep included. Nobody sets it."""
        ...


class Ids(Protocol):
    """Mints identifiers and secrets."""

    def fresh(self) -> str:
        """Return a new identifier that sorts by time of minting."""
        ...

    def secret(self) -> str:
        """Return a new URL-safe secret of at least 192 random bits."""
        ...
