"""Who may do what. Of secrets that others hold, only SHA-256 hashes are stored.

They are random and long (192 bits and more), so a slow hash would protect nothing further.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("access")
_SERVER_SECRET_BYTES = 32


class Grant(msgspec.Struct, frozen=True):
    """Who holds a secret, and what it allows."""

    name: str
    scopes: tuple[str, ...]


async def grant(c: Connection, name: str, secret: str, scopes: Sequence[str]) -> None:
    """Let a secret be used under a name for these scopes.

    Other secrets of that name stay good: each replica on one database keeps its own first tokens.
    """
    await c.execute(_SQL["grant"], codec.key(name), _hash(secret), list(scopes))


async def holder(c: Connection, secret: str) -> Grant | None:
    """Return what a secret allows, or None if nobody was given it."""
    return _grant(await c.fetchrow(_SQL["holder"], _hash(secret)))


async def is_taken(c: Connection, name: str) -> bool:
    """Say whether some secret was granted under that name, whatever its case."""
    return await c.fetchval(_SQL["is_taken"], codec.key(name)) is True


async def offer_link(c: Connection, secret: str, expires_at: datetime) -> None:
    """Let a link sign somebody in, once, until then."""
    await c.execute(_SQL["offer_link"], _hash(secret), codec.moment(expires_at))


async def use_link(c: Connection, secret: str) -> bool:
    """Use a link up. False if it never was, was used before, or came too late."""
    return await c.fetchval(_SQL["use_link"], _hash(secret)) is True


async def start_session(
    c: Connection, secret: str, name: str, scopes: Sequence[str], expires_at: datetime
) -> None:
    """Sign a browser in until then; ``secret`` is what its cookie holds."""
    await c.execute(
        _SQL["start_session"],
        _hash(secret),
        codec.text(name),
        list(scopes),
        codec.moment(expires_at),
    )


async def session(c: Connection, secret: str) -> Grant | None:
    """Return whose session a cookie holds, or None if it is over or never was."""
    return _grant(await c.fetchrow(_SQL["session"], _hash(secret)))


async def end_session(c: Connection, secret: str) -> None:
    """Sign out."""
    await c.execute(_SQL["end_session"], _hash(secret))


async def server_secret(c: Connection) -> bytes:
    """Return the 32 bytes that sign acknowledgement links: the same for all replicas, for ever."""
    kept = await c.fetchval(_SQL["server_secret"])
    if kept is None:
        await c.execute(_SQL["offer_server_secret"], secrets.token_bytes(_SERVER_SECRET_BYTES))
        # Another may have been first; a statement of its own sees what that one committed.
        kept = await c.fetchval(_SQL["server_secret"])
    return bytes(kept)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _grant(row: Record | None) -> Grant | None:
    return None if row is None else Grant(row["name"], tuple(row["scopes"]))
