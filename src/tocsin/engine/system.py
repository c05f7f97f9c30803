"""The real clock and the real chance: the only place where either is read."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

# Linux stops its monotonic clock while the machine sleeps; other systems let it go on.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """Tells the time of this machine. Due times are judged by the database's clock instead."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one real clock

    def elapsed(self) -> float:
        """Return seconds since the machine was started, time asleep included."""
        return time.clock_gettime(_ELAPSED)


class SystemIds:
    """Mints identifiers and secrets from the operating system's randomness."""

    def fresh(self) -> str:
        """Return 32 hexadecimal digits that sort by the time of minting, to the millisecond."""
        millis = int(datetime.now(UTC).timestamp() * 1000)  # noqa: TID251 - the one real clock
        return f"{millis:012x}{secrets.token_hex(10)}"

    def secret(self) -> str:
        """Return a URL-safe secret of 256 random bits."""
        return secrets.token_urlsafe(32)
