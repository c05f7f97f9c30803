"""Acts on people and tokens, shared by the API and the pages: each says why it refuses.

Every one is on the audit trail by the guard already; here its detail is added, never a secret.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from tocsin.base.durations import parse_duration, say_duration
from tocsin.base.rights import Role, Scope, holds
from tocsin.store import access, people
from tocsin.store.people import folded, id_from
from tocsin.web.context import context_of
from tocsin.web.door import act_of, changing
from tocsin.web.errors import Problem
from tocsin.web.guard import caller_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from tocsin.core.surroundings import Directory
    from tocsin.store.access import Grant
    from tocsin.store.people import User

LINK_LASTS: Final = timedelta(minutes=15)
EXPIRES_MIN: Final = timedelta(minutes=1)
EXPIRES_MAX: Final = timedelta(days=3650)


class Made(msgspec.Struct, frozen=True):
    """A fresh token with its secret, which nobody can be shown again."""

    token: Grant
    secret: str

    def __repr__(self) -> str:
        """Say nothing of the secret."""
        return f"Made({self.token.name!r}, ***)"


# -- People ----------------------------------------------------------------------------------------


async def user_named(request: Request, word: str) -> User:
    """Return the user of that id or name; Problem 404 for nobody."""
    async with context_of(request).database.reading() as connection:
        found = await people.get(connection, word) or await people.named(connection, word)
    if found is None:
        raise Problem(404, f"There is no user {word[:40]}.", "GET /api/v1/users lists them.")
    return found


async def add_user(request: Request, id: str, name: str, role: Role) -> User:  # noqa: A002 - the contract's word
    """Add a user; Problem 409 or 422 with the sentence that refuses."""
    directory = context_of(request).directory
    name = " ".join((name or _name_in_settings(directory, id) or id).split())
    async with changing(request) as connection:
        refusal = await people.add(connection, id, name, role, caller_of(request).name)
        if refusal:
            raise Problem(409, refusal)
        added = await people.get(connection, id)
    assert added is not None, "it was added in this transaction"
    _detail(request, f"{added.id}, {added.name}, {role}")
    return added


async def change_role(request: Request, user: User, role: Role) -> User:
    """Make somebody something else; it counts from their next request on."""
    async with changing(request) as connection:
        refusal = await people.change_role(connection, user, role)
        if refusal:
            raise Problem(409, refusal)
    _detail(request, f"{user.name}: {user.role} -> {role}")
    return msgspec.structs.replace(user, role=role)


async def disable(request: Request, user: User) -> None:
    """Keep somebody out; their sessions and links end now, and what their tokens may, too."""
    async with changing(request) as connection:
        refusal = await people.disable(connection, user)
        if refusal:
            raise Problem(409, refusal)
    _detail(request, user.name)


async def enable(request: Request, user: User) -> None:
    """Let somebody in again."""
    async with changing(request) as connection:
        await people.enable(connection, user)
    _detail(request, user.name)


async def sign_out(request: Request, user: User) -> int:
    """End all sessions of a user; return how many there were."""
    async with changing(request) as connection:
        ended = await access.sign_out(connection, user.id)
    _detail(request, f"{user.name}, {ended} ended")
    return ended


async def end_session(request: Request, user: str, number: str) -> None:
    """End one session of a user; Problem 404 if there is none of that number."""
    async with changing(request) as connection:
        if not await access.end_session_of(connection, user, number):
            raise Problem(404, "There is no such session, or it is over already.")


async def make_link(request: Request, user: User) -> tuple[str, datetime]:
    """Return a one-time link that signs in as a user, and until when it does."""
    context = context_of(request)
    if user.is_disabled:
        raise Problem(409, f"{user.name} is disabled and cannot sign in.", "Enable them first.")
    secret = context.ids.secret()
    async with context.database.transaction() as connection:
        # Its clock is the one that will say whether the link is over.
        expires_at = await context.database.now(connection) + LINK_LASTS
        await access.offer_link(connection, secret, expires_at, user.id)
    _detail(request, user.name)
    return f"{context.public_url}/login/{secret}", expires_at


def role_named(word: str) -> Role:
    """Return a role by its name; Problem 422 for what is none."""
    try:
        return Role(word.strip().lower())
    except ValueError:
        raise Problem(
            422, f'There is no role "{word[:40]}".', f"There are: {', '.join(Role)}."
        ) from None


def is_paged(user: User, directory: Directory) -> bool:
    """Say whether the settings name a person by this user's name."""
    return folded(user.name) in {folded(person.name) for person in directory.people.values()}


# -- Tokens ----------------------------------------------------------------------------------------


async def make_token(request: Request, name: str, scopes: Sequence[str], expires: str) -> Made:
    """Make a token that may no more than whoever makes it; its secret is shown once."""
    context, caller = context_of(request), caller_of(request)
    wanted = tuple(dict.fromkeys(_scope(word) for word in scopes))
    if not wanted:
        raise Problem(422, "A token needs at least one scope.", f"There are: {', '.join(Scope)}.")
    missing = [scope for scope in wanted if not holds(caller.scopes, scope)]
    if missing:
        raise Problem(
            403, f"You do not have the scope {missing[0]}, so that no token of yours can."
        )
    lasts = _lasts(expires)
    name, secret = " ".join(name.split()), context.ids.secret()
    if folded(name) in {folded(person.name) for person in context.directory.people.values()}:
        raise Problem(409, f"{name} is the name of a person in the settings.", "Choose another.")
    async with changing(request) as connection:
        now = await context.database.now(connection)
        expires_at = None if lasts is None else now + lasts
        refusal = await people.add_token(
            connection,
            name,
            secret,
            wanted,
            by=caller.name,
            user=caller.user,
            expires_at=expires_at,
        )
        if refusal:
            raise Problem(409, refusal)
        made = await access.holder(connection, secret)
    assert made is not None, "it was made in this transaction"
    until = "" if lasts is None else f", for {say_duration(lasts)}"
    _detail(request, f"{name}: {', '.join(wanted)}{until}")
    return Made(made, secret)


async def revoke(request: Request, word: str) -> tuple[list[Grant], list[Grant]]:
    """End the tokens of that name, or the one of that number; return them and what they had made.

    Problem 404 for none, 409 if nobody would be left who may do everything.
    """
    by = caller_of(request).name
    async with changing(request) as connection:
        every = await access.tokens(connection)
        ended = [t for t in every if t.number == word] or [
            t for t in every if t.name.casefold() == word.casefold()
        ]
        if not ended:
            raise Problem(404, f"There is no token {word[:40]}.", "GET /api/v1/tokens lists them.")
        for token in ended:
            refusal = await people.revoke(connection, token, by)
            if refusal:
                raise Problem(409, refusal)
    gone = {token.number for token in ended}
    names = {token.name for token in ended}
    made = [
        token
        for token in every
        if token.granted_by in names and not token.user and token.number not in gone
    ]
    kept = f", kept in {ended[0].kept_in}" if ended[0].kept_in else ""
    _detail(request, f"{ended[0].name}{kept}")
    return ended, made


def _scope(word: str) -> Scope:
    try:
        return Scope(word.strip().lower())
    except ValueError:
        raise Problem(
            422, f'There is no scope "{word[:40]}".', f"There are: {', '.join(Scope)}."
        ) from None


def _lasts(expires: str) -> timedelta | None:
    if not expires.strip():
        return None
    try:
        lasts = parse_duration(expires[:40])
    except OverflowError:
        lasts = None
    if lasts is None or not EXPIRES_MIN <= lasts <= EXPIRES_MAX:
        raise Problem(
            422,
            f'"{expires[:40]}" is no time that a token can last.',
            'Write it as "90d" or "12h": a minute at least, ten years at most.',
        )
    return lasts


def _name_in_settings(directory: Directory, id: str) -> str:  # noqa: A002 - the contract's word
    return next((p.name for key, p in directory.people.items() if id_from(key) == id), "")


def _detail(request: Request, text: str) -> None:
    act_of(request).detail = text
