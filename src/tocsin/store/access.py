"""Secrets that others hold: tokens, sessions, links. Only their SHA-256 hashes are stored.

They are random and long (192 bits and more), so a slow hash would protect nothing further.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from tocsin.base.rights import SCOPES_BY_ROLE, Role, Scope, within
from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("access")
_SERVER_SECRET_BYTES = 32
_NUMBER_BYTES = 8
_BROWSER_CHARACTERS_MAX = 200


class Grant(msgspec.Struct, frozen=True):
    """Who holds a token, and what it allows now.

    ``number`` names it in lists and is no secret. ``scopes`` are what it was given as far as its
    maker still may it; ``given`` are all that it was given. ``kept_in`` is the name of the file
    that a start of the server keeps it in, "" for one that was made for somebody.
    """

    name: str
    scopes: tuple[str, ...]
    number: str = ""
    given: tuple[str, ...] = ()
    granted_at: datetime | None = None
    granted_by: str = ""
    user: str = ""
    kept_in: str = ""
    expires_at: datetime | None = None
    seen_at: datetime | None = None
    revoked_at: datetime | None = None
    is_over: bool = False


class Session(msgspec.Struct, frozen=True):
    """A browser that is signed in, and who its user is at this moment."""

    number: str
    user: str
    name: str
    role: Role
    expires_at: datetime


class SessionRow(msgspec.Struct, frozen=True):
    """One session in a list. ``browser`` is what it said of itself."""

    number: str
    started_at: datetime
    expires_at: datetime
    seen_at: datetime | None
    browser: str


class Link(msgspec.Struct, frozen=True):
    """A sign-in link that can be used. ``user`` is "" for the console's."""

    user: str
    name: str


# -- Tokens ----------------------------------------------------------------------------------------


async def grant(
    c: Connection,
    name: str,
    secret: str,
    scopes: Sequence[str],
    *,
    by: str = "",
    user: str | None = None,
    expires_at: datetime | None = None,
) -> None:
    """Let a secret be used under a name for these scopes.

    ``user`` is the person who made it, if one did: it never does more than they may. Other secrets
    of that name stay good: each replica on one database keeps its own first tokens.
    """
    await c.execute(
        _SQL["grant"],
        codec.key(name),
        digest(secret),
        list(scopes),
        codec.text(by),
        user,
        None if expires_at is None else codec.moment(expires_at),
    )


async def keep(c: Connection, name: str, secret: str, scopes: Sequence[str], file: str) -> bool:
    """Let the secret that a file keeps be used; False if it was revoked, which stays so."""
    kept = await c.fetchval(_SQL["keep"], codec.key(name), digest(secret), list(scopes), file)
    return kept is True


async def holder(c: Connection, secret: str) -> Grant | None:
    """Return what a secret allows, or None if nobody was given it.

    Also one that is over, so that it can be told why: see ``is_over``; it allows nothing.
    """
    row = await c.fetchrow(_SQL["holder"], digest(secret))
    return None if row is None else _grant(row)


async def tokens(c: Connection) -> list[Grant]:
    """Return all tokens that were not revoked, by name; expired ones are among them."""
    return [_grant(row) for row in await c.fetch(_SQL["tokens"])]


async def revoke(c: Connection, token: Grant, by: str) -> None:
    """End a token for good."""
    await c.execute(_SQL["revoke"], bytes.fromhex(token.number), codec.text(by))


async def names(c: Connection) -> list[str]:
    """Return the names of the tokens that can be used."""
    return [row["name"] for row in await c.fetch(_SQL["names"])]


# -- Links and sessions ----------------------------------------------------------------------------


async def offer_link(
    c: Connection, secret: str, expires_at: datetime, user: str | None = None
) -> None:
    """Let a link sign in once, until then: that user, or without one whoever opens it."""
    await c.execute(_SQL["offer_link"], digest(secret), codec.moment(expires_at), user)


async def see_link(c: Connection, secret: str) -> Link | None:
    """Return whom a link would sign in, or None if it would nobody. It stays good."""
    row = await c.fetchrow(_SQL["see_link"], digest(secret))
    return None if row is None else Link(row["user_id"] or "", row["name"] or "")


async def use_link(c: Connection, secret: str) -> bool:
    """Use a link up. False if it never was, was used before, or came too late."""
    return await c.fetchval(_SQL["use_link"], digest(secret)) is True


async def start_session(
    c: Connection, secret: str, user: str, expires_at: datetime, browser: str = ""
) -> None:
    """Sign a browser in until then; ``secret`` is what its cookie holds."""
    said = codec.text(browser)[:_BROWSER_CHARACTERS_MAX]
    await c.execute(_SQL["start_session"], digest(secret), user, codec.moment(expires_at), said)


async def session(c: Connection, secret: str) -> Session | None:
    """Return whose session a cookie holds; None if it is over, or its user is kept out."""
    row = await c.fetchrow(_SQL["session"], digest(secret))
    if row is None:
        return None
    return Session(
        _number(row["hash"]), row["id"], row["name"], Role(row["role"]), row["expires_at"]
    )


async def sessions(c: Connection, user: str) -> list[SessionRow]:
    """Return the sessions of a user, the one used last first."""
    return [
        SessionRow(
            _number(row["hash"]),
            row["started_at"],
            row["expires_at"],
            row["seen_at"],
            row["browser"],
        )
        for row in await c.fetch(_SQL["sessions"], user)
    ]


async def end_session(c: Connection, secret: str) -> None:
    """Sign out."""
    await c.execute(_SQL["end_session"], digest(secret))


async def end_session_of(c: Connection, user: str, number: str) -> bool:
    """End one session of a user by its number; False if there is none."""
    try:
        raw = bytes.fromhex(number)
    except ValueError:
        return False
    return await c.execute(_SQL["end_session_of"], user, raw) == "DELETE 1"


async def sign_out(c: Connection, user: str) -> int:
    """End every session of a user, and the links that were made for them; return how many ended."""
    await c.execute(_SQL["withdraw_links"], user)
    return int((await c.execute(_SQL["end_sessions"], user)).rpartition(" ")[2])


async def forget_over(c: Connection) -> None:
    """Delete sessions and links that are over by themselves."""
    await c.execute(_SQL["forget_over"])


async def note_seen(
    c: Connection, grants: Mapping[bytes, datetime], sessions: Mapping[bytes, datetime]
) -> None:
    """Note when tokens and sessions were used last, by the hashes of their secrets."""
    if grants:
        await c.execute(_SQL["seen_grants"], list(grants), list(grants.values()))
    if sessions:
        await c.execute(_SQL["seen_sessions"], list(sessions), list(sessions.values()))
        await c.execute(_SQL["seen_users"], list(sessions))


# -- The server's own ------------------------------------------------------------------------------


async def server_secret(c: Connection) -> bytes:
    """Return the 32 bytes that sign acknowledgement links: the same for all replicas, for ever."""
    kept = await c.fetchval(_SQL["server_secret"])
    if kept is None:
        await c.execute(_SQL["offer_server_secret"], secrets.token_bytes(_SERVER_SECRET_BYTES))
        # Another may have been first; a statement of its own sees what that one committed.
        kept = await c.fetchval(_SQL["server_secret"])
    return bytes(kept)


def digest(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _number(hashed: bytes) -> str:
    """Return the beginning of a hash: enough to name a secret, and nothing to come in with."""
    return bytes(hashed)[:_NUMBER_BYTES].hex()


def _grant(row: Record) -> Grant:
    given = tuple(row["scopes"])
    expires_at = row["expires_at"]
    is_over = row["revoked_at"] is not None or (
        expires_at is not None and expires_at <= row["read_at"]
    )
    allowed = given
    if row["user_id"] is not None:
        # Whoever leaves takes along what they could do, and never the alerts that come in.
        kept_out = row["maker_disabled_at"] is not None
        may = () if kept_out else SCOPES_BY_ROLE[Role(row["maker_role"])]
        allowed = within(given, (*may, Scope.INGEST))
    return Grant(
        name=row["name"],
        scopes=() if is_over else allowed,
        number=_number(row["hash"]),
        given=given,
        granted_at=row["granted_at"],
        granted_by=row["granted_by"],
        user=row["user_id"] or "",
        kept_in=row["kept_in"],
        expires_at=expires_at,
        seen_at=row["seen_at"],
        revoked_at=row["revoked_at"],
        is_over=is_over,
    )
