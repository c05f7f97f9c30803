"""The real clock and the real chance: the only place where either is read."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


class SystemClock:
    """Tells the time of this machine. Due times are judged by the database's clock instead."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one real clock


class SystemIds:
    """Mints identifiers and secrets from the operating system's randomness."""

    def fresh(self) -> str:
        """Return 32 hexadecimal digits that sort by the time of minting, to the millisecond."""
        millis = int(datetime.now(UTC).timestamp() * 1000)  # noqa: TID251 - the one real clock
        return f"{millis:012x}{secrets.token_hex(10)}"

    def secret(self) -> str:
        """Return a URL-safe secret of 256 random bits."""
        return secrets.token_urlsafe(32)
