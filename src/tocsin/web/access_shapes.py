"""What the API says and hears about people, tokens and the audit trail, as types."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tocsin.store.access import Grant, SessionRow
    from tocsin.store.audit import Record
    from tocsin.store.people import User


class UserAnswer(msgspec.Struct, frozen=True):
    """One user. ``disabled_at`` is set while they are kept out; ``seen_at`` is true to a minute.

    ``is_paged`` says that the settings name a person of this name, whose pages are then theirs.
    """

    id: str
    name: str
    role: str
    is_paged: bool
    created_at: datetime
    created_by: str
    seen_at: datetime | None
    disabled_at: datetime | None


class UserList(msgspec.Struct, frozen=True):
    """Users: those who may come in first, by name."""

    users: tuple[UserAnswer, ...]


class UserLink(msgspec.Struct, frozen=True):
    """A link that signs one browser in as that user, once, until ``expires_at``."""

    url: str
    user: str
    expires_at: datetime


class SessionAnswer(msgspec.Struct, frozen=True):
    """One browser that is signed in. ``browser`` is what it said of itself."""

    number: str
    started_at: datetime
    expires_at: datetime
    seen_at: datetime | None
    browser: str


class SessionList(msgspec.Struct, frozen=True):
    """The sessions of a user, the one used last first."""

    sessions: tuple[SessionAnswer, ...]


class TokenAnswer(msgspec.Struct, frozen=True):
    """One token, without its secret. ``number`` names it where several have one name.

    ``scopes`` are what it may now, which is never more than its maker may; ``given`` is what it was
    made with. ``kept_in`` is the file that a start of the server keeps it in. ``seen_at`` is true to
    a minute. ``is_over``: it has expired.
    """

    number: str
    name: str
    scopes: tuple[str, ...]
    given: tuple[str, ...]
    kept_in: str
    granted_at: datetime | None
    granted_by: str
    expires_at: datetime | None
    seen_at: datetime | None
    is_over: bool


class TokenList(msgspec.Struct, frozen=True):
    """Tokens by name, expired ones among them, revoked ones not."""

    tokens: tuple[TokenAnswer, ...]


class NewToken(msgspec.Struct, frozen=True):
    """A fresh token. ``secret`` is shown this once: only its hash is kept."""

    token: TokenAnswer
    secret: str


class RevokedTokens(msgspec.Struct, frozen=True):
    """What was revoked. ``made`` are the names of tokens that it had made and that live on."""

    revoked: tuple[TokenAnswer, ...]
    made: tuple[str, ...]


class AuditEntry(msgspec.Struct, frozen=True):
    """One act. ``kind`` says what ``actor`` is: "user", "token", "link", "server", "anonymous".

    ``status`` is that of HTTP; null where the end was not seen: it may have been done.
    """

    id: int
    at: datetime
    actor: str
    kind: str
    address: str
    action: str
    target: str
    detail: str
    status: int | None


class AuditList(msgspec.Struct, frozen=True):
    """Acts, newest first. ``next`` is what to give as ``before`` for older ones, null at the end."""

    audit: tuple[AuditEntry, ...]
    next: int | None


# -- What is heard ---------------------------------------------------------------------------------


class AddUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user to add. ``name`` stands on timelines; without it that of the settings, else the id."""

    id: str
    role: str
    name: str = ""


class ChangeRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody is from now on: "viewer", "responder", "lead" or "admin"."""

    role: str


class MakeToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to make. ``expires`` is a duration such as "90d"; without it, it lasts."""

    name: str
    scopes: tuple[str, ...]
    expires: str = ""


# -- From the store --------------------------------------------------------------------------------


def user_answer(user: User, *, is_paged: bool) -> UserAnswer:
    """Return a user as the API says it."""
    return UserAnswer(
        id=user.id,
        name=user.name,
        role=user.role.value,
        is_paged=is_paged,
        created_at=user.created_at,
        created_by=user.created_by,
        seen_at=user.seen_at,
        disabled_at=user.disabled_at,
    )


def session_answer(row: SessionRow) -> SessionAnswer:
    """Return a session as the API says it."""
    return SessionAnswer(row.number, row.started_at, row.expires_at, row.seen_at, row.browser)


def token_answer(token: Grant) -> TokenAnswer:
    """Return a token as the API says it."""
    return TokenAnswer(
        number=token.number,
        name=token.name,
        scopes=token.scopes,
        given=token.given,
        kept_in=token.kept_in,
        granted_at=token.granted_at,
        granted_by=token.granted_by,
        expires_at=token.expires_at,
        seen_at=token.seen_at,
        is_over=token.is_over,
    )


def audit_entry(record: Record) -> AuditEntry:
    """Return an act as the API says it."""
    return AuditEntry(
        id=record.id,
        at=record.at,
        actor=record.actor,
        kind=record.kind,
        address=record.address,
        action=record.action,
        target=record.target,
        detail=record.detail,
        status=record.status,
    )
