"""People and programs as the pages show them: who may come in, as what, and what they did."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from tocsin.base.rights import SCOPES_BY_ROLE, Role, Scope
from tocsin.store.people import folded, id_from
from tocsin.web.pages import saying

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.core.surroundings import Directory
    from tocsin.store.access import Grant, SessionRow
    from tocsin.store.audit import Record
    from tocsin.store.people import User

_SOON = timedelta(days=7)
_LATELY = timedelta(minutes=5)

ROLES: Final = {
    Role.VIEWER: "sees everything and changes nothing",
    Role.RESPONDER: "acknowledges, works on incidents and silences alerts",
    Role.LEAD: "does that too, and reads the audit trail",
    Role.ADMIN: "does everything, and says who may do what",
}
SCOPES: Final = {
    Scope.INGEST: "send alerts and reports",
    Scope.READ: "look at everything",
    Scope.RESPOND: "acknowledge and work on incidents",
    Scope.SILENCE: "silence alerts",
    Scope.AUDIT: "read the audit trail",
    Scope.ADMIN: "do everything, people and tokens too",
}

# The word that a browser is known by, the most telling first: most say that they are all others.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("Mac OS X", "a Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


class Comer(msgspec.Struct, frozen=True):
    """Somebody whom the console's link can sign in.

    ``user`` is "" for a person of the settings who is no user yet; then ``id`` is what theirs will
    be. ``about`` says what they are here.
    """

    id: str
    name: str
    letters: str
    user: str
    about: str
    is_disabled: bool = False


def comers(users: Sequence[User], directory: Directory) -> list[Comer]:
    """Return users, and people of the settings who are none yet, by name."""
    found = [
        Comer(
            user.id,
            user.name,
            saying.initials(user.name),
            user.id,
            saying.capital(user.role.value),
            user.is_disabled,
        )
        for user in users
    ]
    names = {folded(user.name) for user in users}
    ids = {user.id for user in users}
    for key, person in sorted(directory.people.items()):
        own = id_from(key) or id_from(person.name)
        if folded(person.name) not in names and own and own not in ids:
            found.append(
                Comer(own, person.name, saying.initials(person.name), "", "Becomes an admin")
            )
            ids.add(own)
    return sorted(found, key=lambda comer: (folded(comer.name), comer.id))


class SessionView(msgspec.Struct, frozen=True):
    """One signed-in browser."""

    number: str
    browser: str
    here: bool
    now: bool
    started_at: datetime
    seen_at: datetime | None
    expires_at: datetime


def session_views(rows: Sequence[SessionRow], own: str, at: datetime) -> tuple[SessionView, ...]:
    """Return sessions in words; ``own`` is the number of the one that looks, which comes first."""
    found = [
        SessionView(
            number=row.number,
            browser=browser_words(row.browser),
            here=row.number == own,
            now=row.number == own or (row.seen_at is not None and at - row.seen_at < _LATELY),
            started_at=row.started_at,
            seen_at=row.seen_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda session: not session.here))


def browser_words(agent: str) -> str:
    """Return what a browser says of itself, as people call it: "Firefox on Linux"."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    first = re.sub(r"[^\w.+-].*", "", agent.strip())[:40]
    return browser or first or "A browser that says nothing of itself"


class UserView(msgspec.Struct, frozen=True):
    """One user in a list. ``paged_as`` says that the settings name this person."""

    id: str
    name: str
    letters: str
    you: bool
    role: str
    is_disabled: bool
    paged_as: bool
    seen_at: datetime | None
    created_at: datetime
    created_by: str


def user_view(user: User, directory: Directory, own: str) -> UserView:
    """Return a user as the pages show them; ``own`` is the id of the one who looks."""
    names = {folded(person.name) for person in directory.people.values()}
    return UserView(
        id=user.id,
        name=user.name,
        letters=saying.initials(user.name),
        you=user.id == own,
        role=user.role.value,
        is_disabled=user.is_disabled,
        paged_as=folded(user.name) in names,
        seen_at=user.seen_at,
        created_at=user.created_at,
        created_by=user.created_by,
    )


class TokenView(msgspec.Struct, frozen=True):
    """One token in a list. ``lost`` are scopes that it was given and its maker no longer has."""

    number: str
    name: str
    scopes: tuple[str, ...]
    lost: tuple[str, ...]
    made: str
    granted_at: datetime | None
    expires_at: datetime | None
    is_over: bool
    is_soon_over: bool
    seen_at: datetime | None


def token_view(token: Grant, at: datetime) -> TokenView:
    """Return a token as the pages show it."""
    kept = f"Kept in {token.kept_in}" if token.kept_in else ""
    by = f"Made by {token.granted_by}" if token.granted_by else "Made at the start"
    left = None if token.expires_at is None else token.expires_at - at
    scopes = token.given if token.is_over else token.scopes
    everything = Scope.ADMIN in scopes
    return TokenView(
        number=token.number,
        name=token.name,
        scopes=("admin",) if everything else scopes,
        lost=() if token.is_over else tuple(s for s in token.given if s not in token.scopes),
        made=kept or by,
        granted_at=token.granted_at,
        expires_at=token.expires_at,
        is_over=token.is_over,
        is_soon_over=not token.is_over and left is not None and left < _SOON,
        seen_at=token.seen_at,
    )


def may_words(role: Role) -> str:
    """Return what a role may, as a sentence goes on: "look at everything and silence alerts"."""
    return saying.listed([SCOPES[scope] for scope in SCOPES_BY_ROLE[role]])


def people_heading(users: Sequence[User], tokens: Sequence[Grant], at: datetime) -> tuple[str, str]:
    """Return the heading of the page and the sentence below it."""
    able = [user for user in users if not user.is_disabled]
    admins = [user for user in able if user.role is Role.ADMIN]
    who = "Nobody" if not able else saying.capital(saying.number(len(able)))
    noun = "" if not able else " person" if len(able) == 1 else " people"
    good = [token for token in tokens if not token.is_over]
    soon = [t for t in good if t.expires_at is not None and t.expires_at - at < _SOON]
    told = [saying.counted(len(admins), "admin"), saying.counted(len(good), "token")]
    if soon:
        verb = "expires" if len(soon) == 1 else "expire"
        told.append(f"{saying.number(len(soon))} {verb} within a week")
    return f"{who}{noun} may sign in.", f"{', '.join(told)}."


def audit_heading(done: int, refused: int, *, more: bool) -> str:
    """Return the heading of the audit trail: what the last day held.

    ``more`` says that some refusals were only counted by the minute, so that there were more.
    """
    first = f"{saying.capital(saying.number(done))} {'act' if done == 1 else 'acts'} in 24 hours."
    if not refused:
        return f"{first} Nobody was refused."
    attempts = "attempt was" if refused == 1 else "attempts were"
    many = f"more than {saying.number(refused)}" if more else saying.number(refused)
    return f"{first} {saying.capital(many)} {attempts} refused."


# -- The audit trail -------------------------------------------------------------------------------

_ACTS: Final = {
    "sign in": "signed in",
    "refused": "was refused",
    "runbook in force": "put a runbook in force",
    "acknowledge by link": "acknowledged by the link of a page",
    "restore": "restored a backup",
    "POST /logout": "signed out",
    "POST /declare": "declared an incident",
    "POST /api/v1/incidents": "declared an incident",
    "POST /api/v2/silences": "silenced alerts",
    "DELETE /api/v2/silence/{silence_id}": "ended a silence",
    "POST /api/v1/sign-in-links": "made a link of the console",
    "POST /people": "added a user",
    "POST /api/v1/users": "added a user",
    "POST /tokens": "made a token",
    "POST /api/v1/tokens": "made a token",
    "POST /me/sessions/{number}/end": "ended a session of their own",
}
_ENDINGS: Final = {
    "acknowledge": "acknowledged",
    "phase": "moved",
    "severity": "graded",
    "breach": "called a security breach",
    "security-breach": "called a security breach",
    "notes": "wrote a note on",
    "resolve": "resolved",
    "reopen": "reopened",
    "role": "changed the role of",
    "link": "made a sign-in link for",
    "sign-in-link": "made a sign-in link for",
    "disable": "disabled",
    "enable": "enabled",
    "sign-out": "signed out everywhere:",
    "end": "ended a session of",
    "revoke": "revoked the token",
}
_ICONS: Final = {"user": "user-check", "token": "terminal", "link": "log-in", "server": "book-open"}


class AuditView(msgspec.Struct, frozen=True):
    """One act: ``act`` is what was done in words, ``exactly`` the method and address."""

    id: int
    at: datetime
    actor: str
    kind: str
    icon: str
    act: str
    target: str
    href: str
    detail: str
    exactly: str
    address: str
    outcome: str
    tone: str


def audit_view(record: Record) -> AuditView:
    """Return an act as the page shows it."""
    refused = record.action == "refused"
    outcome, tone = _outcome(record.status)
    if refused:
        outcome, tone = (f"{record.status}" if record.status else ""), "warn"
    elif record.kind == "server":
        outcome, tone = "", ""
    act = _ACTS.get(record.action)
    target = record.target
    if act is None:
        ending = record.action.rstrip("/").rpartition("/")[2]
        act = _ENDINGS.get(ending, record.action)
    if refused and not target:
        act = "were refused"
    return AuditView(
        id=record.id,
        at=record.at,
        actor=record.actor or _nobody(record),
        kind=record.kind,
        icon="triangle-alert" if tone == "warn" else _ICONS.get(record.kind, "circle-help"),
        act=act,
        target="" if refused else target,
        href=f"/incidents/{target}" if target.startswith("INC-") and " " not in target else "",
        detail=record.detail,
        exactly=target if refused else record.action if "/" in record.action else "",
        address=record.address,
        outcome=outcome,
        tone=tone,
    )


def _nobody(record: Record) -> str:
    """Return who did something that has no name to it."""
    if record.kind == "server":
        return "The server"
    return "Others" if record.action == "refused" and not record.target else "Somebody"


def _outcome(status: int | None) -> tuple[str, str]:
    """Return how it ended in words, and the tone of its icon."""
    if status is None:
        return "Its end was not seen", "warn"
    if status < 400:
        return "", ""
    return f"Not done ({status})", "warn"
