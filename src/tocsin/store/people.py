"""Users: who may sign in and as what. Names are for ever, so that the audit trail stays true.

What a person asks and cannot have is answered with a sentence; "" means that it is done.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.base.rights import Role, Scope
from tocsin.store import access, codec
from tocsin.store.access import Grant
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("people")
ID_CHARACTERS_MAX = 40
NAME_CHARACTERS_MAX = 60
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_NOT_ID = re.compile(r"[^a-z0-9]+")
_NOBODY = ""
_NO_TOKEN = b"\0"


class User(msgspec.Struct, frozen=True):
    """Somebody who may sign in, unless ``disabled_at`` is set. ``seen_at`` is true to a minute."""

    id: str
    name: str
    role: Role
    created_at: datetime
    created_by: str
    seen_at: datetime | None
    disabled_at: datetime | None

    @property
    def is_disabled(self) -> bool:
        """Say whether they are kept out."""
        return self.disabled_at is not None


def folded(name: str) -> str:
    """Return a name as it is compared: without case, forms of letters, and what cannot be seen."""
    visible = "".join(c for c in unicodedata.normalize("NFKC", name) if c.isprintable())
    return " ".join(visible.casefold().split())


def id_from(name: str) -> str:
    """Return an id made from a name: "Ona Vale" is ona-vale; "" where no letter can be used."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_ID.sub("-", plain).strip("-")[:ID_CHARACTERS_MAX].strip("-")


async def add(c: Connection, id: str, name: str, role: Role, by: str) -> str:  # noqa: A002 - the contract's word
    """Add a user; return "" or why not. Needs a transaction.

    Ids, names of people and names of tokens share one room: each says on a timeline who it was.
    """
    if not _ID.fullmatch(id):
        return (
            f'"{id[:ID_CHARACTERS_MAX]}" is no id of a user: small letters, digits, dots, hyphens'
            f" and underscores, {ID_CHARACTERS_MAX} at most, beginning with a letter or a digit."
        )
    why = _no_name(name)
    if why:
        return why
    await c.execute(_SQL["lock"])
    tokens = {folded(token) for token in await access.names(c)}
    for word in (id, name):
        if folded(word) in tokens:
            return f"{word} is the name of a token. Choose another."
    taken = await c.fetchval(_SQL["clashes"], [id, folded(name)])
    if taken is not None:
        return f"The user {taken} has this id or this name already."
    await c.execute(_SQL["add"], id, name, folded(name), role.value, codec.text(by))
    return ""


async def get(c: Connection, id: str) -> User | None:  # noqa: A002 - the contract's word
    """Return a user by id, or None."""
    row = await c.fetchrow(_SQL["get"], codec.text(id))
    return None if row is None else _user(row)


async def named(c: Connection, name: str) -> User | None:
    """Return the user who goes by a name, however it is spelled, or None."""
    row = await c.fetchrow(_SQL["named"], folded(name))
    return None if row is None else _user(row)


async def find(c: Connection) -> list[User]:
    """Return every user: those who may come in first, by name."""
    return [_user(row) for row in await c.fetch(_SQL["all"])]


async def change_role(c: Connection, user: User, role: Role) -> str:
    """Make somebody something else; return "" or why not. Needs a transaction."""
    await c.execute(_SQL["lock"])
    if role is not Role.ADMIN:
        refusal = await _last_admin(c, user)
        if refusal:
            return refusal
    await c.execute(_SQL["set_role"], user.id, role.value)
    return ""


async def disable(c: Connection, user: User) -> str:
    """Keep somebody out, sessions and links included; return "" or why not. Needs a transaction."""
    await c.execute(_SQL["lock"])
    refusal = await _last_admin(c, user)
    if refusal:
        return refusal
    await access.sign_out(c, user.id)
    await c.execute(_SQL["disable"], user.id)
    return ""


async def enable(c: Connection, user: User) -> None:
    """Let somebody in again, with a fresh link."""
    await c.execute(_SQL["enable"], user.id)


async def add_token(
    c: Connection,
    name: str,
    secret: str,
    scopes: Sequence[Scope],
    *,
    by: str,
    user: str = "",
    expires_at: datetime | None = None,
) -> str:
    """Let a secret be used under a name; return "" or why not. Needs a transaction.

    ``user`` is the person who made it, "" where a token did.
    """
    why = _no_name(name)
    if why:
        return why
    await c.execute(_SQL["lock"])
    if folded(name) in {folded(token) for token in await access.names(c)}:
        return f"There is a token {name} already. Revoke it first, or choose another name."
    taken = await c.fetchval(_SQL["clashes"], [folded(name)])
    if taken is not None:
        return f"{name} is the name of the user {taken}. Choose another."
    await access.grant(c, name, secret, scopes, by=by, user=user or None, expires_at=expires_at)
    return ""


async def revoke(c: Connection, token: Grant, by: str) -> str:
    """End a token for good; return "" or why not. Needs a transaction."""
    await c.execute(_SQL["lock"])
    if Scope.ADMIN in token.scopes:
        left = await c.fetchval(_SQL["admin_is_left"], _NOBODY, bytes.fromhex(token.number))
        if not left:
            return (
                f"{token.name} is the last that may do everything. Make somebody admin first, or"
                " another token with the scope admin."
            )
    await access.revoke(c, token, by)
    return ""


def _no_name(name: str) -> str:
    if not folded(name) or len(name) > NAME_CHARACTERS_MAX:
        return f"A name has 1 to {NAME_CHARACTERS_MAX} characters that can be seen."
    if not all(letter.isprintable() for letter in name) or name != codec.text(name):
        return "A name holds no control characters and nothing that cannot be seen."
    return ""


async def _last_admin(c: Connection, user: User) -> str:
    now = await get(c, user.id)
    if now is None or now.role is not Role.ADMIN or now.is_disabled:
        return ""
    if await c.fetchval(_SQL["admin_is_left"], user.id, _NO_TOKEN):
        return ""
    return (
        f"{user.name} is the last admin, and there is no lasting token with the scope admin."
        " Make somebody else admin first."
    )


def _user(row: Record) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        seen_at=row["seen_at"],
        disabled_at=row["disabled_at"],
    )
