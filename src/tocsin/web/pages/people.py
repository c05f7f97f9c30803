"""Pages about people: who may come in and as what, one's own sessions, and who did what."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from tocsin.base.rights import Role, Scope
from tocsin.store import access, audit, people
from tocsin.store.people import ID_CHARACTERS_MAX, NAME_CHARACTERS_MAX, id_from
from tocsin.web import rights
from tocsin.web.context import context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import Caller, allow, caller_of
from tocsin.web.pages import forms
from tocsin.web.pages.render import show
from tocsin.web.pages.views.people import (
    ROLES,
    SCOPES,
    audit_heading,
    audit_view,
    comers,
    may_words,
    people_heading,
    session_views,
    token_view,
    user_view,
)

if TYPE_CHECKING:
    from tocsin.store.connection import Connection

ACTS_A_PAGE: Final = 50
_SINCE: Final = {"day": timedelta(days=1), "week": timedelta(days=7), "": None}
_LASTS: Final = {
    "": "until it is revoked",
    "7d": "for 7 days",
    "90d": "for 90 days",
    "365d": "for a year",
}
_DAY: Final = timedelta(days=1)

router = APIRouter(include_in_schema=False)


# -- Oneself ---------------------------------------------------------------------------------------


@router.get("/me", **allow(Scope.READ))
async def me(request: Request) -> Response:
    """Show who is signed in here, what they may, and where else they are signed in."""
    return await _show_me(request)


@router.post("/me/sessions/{number}/end", **allow(Scope.READ, sessions_only=True))
async def end_own_session(request: Request, number: str) -> Response:
    """End one session of one's own."""
    try:
        await rights.end_session(request, _signed_in(request).user, number)
    except Problem as refused:
        return await _show_me(request, refused)
    return RedirectResponse("/me", 303)


async def _show_me(request: Request, refused: Problem | None = None) -> Response:
    context, caller = context_of(request), _signed_in(request)
    at = context.clock.now()
    async with context.database.reading() as connection:
        rows = await access.sessions(connection, caller.user)
    return show(
        request,
        "me.html",
        at,
        200 if refused is None else refused.status_code,
        role=caller.role,
        may=may_words(Role(caller.role)),
        sessions=session_views(rows, caller.number, at),
        refusal="" if refused is None else refused.message,
    )


def _signed_in(request: Request) -> Caller:
    caller = caller_of(request)
    if caller.kind != "session":
        raise Problem(403, "Only somebody who is signed in has sessions.")
    return caller


# -- Everybody -------------------------------------------------------------------------------------


@router.get("/people", **allow(Scope.ADMIN))
async def everybody(request: Request) -> Response:
    """Show users and tokens."""
    return await _show_people(request)


@router.post("/people", **allow(Scope.ADMIN))
async def add_user(request: Request) -> Response:
    """Add a user and show them, where a link can be made."""
    said = await forms.read_form(request)
    name = forms.one_line(said.get("name", ""), NAME_CHARACTERS_MAX + 1)
    own = forms.one_line(said.get("id", ""), ID_CHARACTERS_MAX + 1) or await _id_for(request, name)
    if not name:
        missing = Problem(422, "A name is needed: the timeline will show it.")
        return await _show_people(request, missing, adding=said)
    try:
        added = await rights.add_user(request, own, name, rights.role_named(said.get("role", "")))
    except Problem as refused:
        return await _show_people(request, refused, adding=said)
    return RedirectResponse(f"/people/{added.id}", 303)


@router.get("/people/{user}", **allow(Scope.ADMIN))
async def one(request: Request, user: str) -> Response:
    """Show one user."""
    return await _show_user(request, user)


@router.post("/people/{user}/role", **allow(Scope.ADMIN))
async def change_role(request: Request, user: str) -> Response:
    """Make somebody something else."""
    said = await forms.read_form(request)
    found = await rights.user_named(request, user)
    try:
        await rights.change_role(request, found, rights.role_named(said.get("role", "")))
    except Problem as refused:
        return await _show_user(request, found.id, refused)
    return RedirectResponse(f"/people/{found.id}", 303)


@router.post("/people/{user}/link", **allow(Scope.ADMIN))
async def make_link(request: Request, user: str) -> Response:
    """Make a sign-in link and show it, this once."""
    found = await rights.user_named(request, user)
    try:
        url, _ = await rights.make_link(request, found)
    except Problem as refused:
        return await _show_user(request, found.id, refused)
    return await _show_user(request, found.id, link=url)


@router.post("/people/{user}/disable", **allow(Scope.ADMIN))
async def disable(request: Request, user: str) -> Response:
    """Keep somebody out."""
    found = await rights.user_named(request, user)
    try:
        await rights.disable(request, found)
    except Problem as refused:
        return await _show_user(request, found.id, refused)
    return RedirectResponse(f"/people/{found.id}", 303)


@router.post("/people/{user}/enable", **allow(Scope.ADMIN))
async def enable(request: Request, user: str) -> Response:
    """Let somebody in again."""
    found = await rights.user_named(request, user)
    await rights.enable(request, found)
    return RedirectResponse(f"/people/{found.id}", 303)


@router.post("/people/{user}/sign-out", **allow(Scope.ADMIN))
async def sign_out(request: Request, user: str) -> Response:
    """End every session of somebody."""
    found = await rights.user_named(request, user)
    await rights.sign_out(request, found)
    return RedirectResponse(f"/people/{found.id}", 303)


@router.post("/people/{user}/sessions/{number}/end", **allow(Scope.ADMIN))
async def end_session(request: Request, user: str, number: str) -> Response:
    """End one session of somebody."""
    found = await rights.user_named(request, user)
    try:
        await rights.end_session(request, found.id, number)
    except Problem as refused:
        return await _show_user(request, found.id, refused)
    return RedirectResponse(f"/people/{found.id}", 303)


@router.post("/tokens", **allow(Scope.ADMIN))
async def make_token(request: Request) -> Response:
    """Make a token and show its secret, this once."""
    said = await forms.read_form(request)
    name = forms.one_line(said.get("name", ""), NAME_CHARACTERS_MAX + 1)
    scopes = [scope for scope in Scope if said.get(f"scope-{scope}") == "yes"]
    try:
        made = await rights.make_token(request, name, scopes, said.get("expires", ""))
    except Problem as refused:
        return await _show_people(request, refused, making=said)
    return await _show_people(request, made=made)


@router.post("/tokens/{number}/revoke", **allow(Scope.ADMIN))
async def revoke_token(request: Request, number: str) -> Response:
    """End a token for good."""
    try:
        await rights.revoke(request, number)
    except Problem as refused:
        return await _show_people(request, refused)
    return RedirectResponse("/people#tokens", 303)


async def _show_people(
    request: Request,
    refused: Problem | None = None,
    made: rights.Made | None = None,
    adding: dict[str, str] | None = None,
    making: dict[str, str] | None = None,
) -> Response:
    """Show everybody; ``adding`` and ``making`` are what stood in the forms that were refused."""
    context, caller = context_of(request), caller_of(request)
    at = context.clock.now()
    async with context.database.reading() as connection:
        users = await people.find(connection)
        tokens = await access.tokens(connection)
    return show(
        request,
        "people.html",
        at,
        200 if refused is None else refused.status_code,
        heading=people_heading(users, tokens, at),
        users=[user_view(user, context.directory, caller.user) for user in users],
        tokens=[token_view(token, at) for token in tokens],
        roles=ROLES,
        scopes=SCOPES,
        lasts=_LASTS,
        unknown=[c.name for c in comers(users, context.directory) if not c.user],
        fresh=None if made is None else token_view(made.token, at),
        secret="" if made is None else made.secret,
        adding=defaultdict(str, adding or {}),
        making=defaultdict(str, making or {}),
        refusal="" if refused is None else refused.message,
    )


async def _show_user(
    request: Request, user: str, refused: Problem | None = None, link: str = ""
) -> Response:
    context, caller = context_of(request), caller_of(request)
    at = context.clock.now()
    found = await rights.user_named(request, user)
    async with context.database.reading() as connection:
        rows = await access.sessions(connection, found.id)
        tokens = [t for t in await access.tokens(connection) if t.user == found.id]
    return show(
        request,
        "person.html",
        at,
        200 if refused is None else refused.status_code,
        user=user_view(found, context.directory, caller.user),
        disabled_at=found.disabled_at,
        roles=ROLES,
        sessions=session_views(rows, caller.number, at),
        tokens=[token_view(token, at) for token in tokens],
        link=link,
        refusal="" if refused is None else refused.message,
    )


async def _id_for(request: Request, name: str) -> str:
    """Return the id for a name: that of the settings if they know it, else one made of it."""
    context = context_of(request)
    async with context.database.reading() as connection:
        known = comers(await people.find(connection), context.directory)
    own = [c.id for c in known if not c.user and people.folded(c.name) == people.folded(name)]
    return own[0] if own else id_from(name) or "user"


# -- What they did ---------------------------------------------------------------------------------


@router.get("/audit", **allow(Scope.AUDIT))
async def trail(request: Request) -> Response:
    """Show who did what, newest first."""
    context, query = context_of(request), request.query_params
    at = context.clock.now()
    actor = query.get("actor", "").replace("\0", "")
    since = query.get("since", "") if query.get("since", "") in _SINCE else ""
    asked = query.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
    within = _SINCE[since]
    async with context.database.reading() as connection:
        rows = await audit.find(
            connection,
            actors=[actor] if actor else [],
            since=at - within if within else None,
            before=before,
            limit=ACTS_A_PAGE,
        )
        today = await audit.count(connection, at - _DAY)
        names = await _actors(connection)
    view: dict[str, Any] = {
        "heading": audit_heading(today.done, today.refused, more=today.more),
        "acts": [audit_view(row) for row in rows],
        "actors": names if not actor or actor in names else [actor, *names],
        "actor": actor,
        "since": since,
        "older": rows[-1].id if len(rows) == ACTS_A_PAGE else None,
        "is_first": before is None,
        "kept_days": context.audit_kept.days,
    }
    return show(request, "audit.html", at, **view)


async def _actors(connection: Connection) -> list[str]:
    users = await people.find(connection)
    tokens = await access.tokens(connection)
    return sorted({user.name for user in users} | {token.name for token in tokens}, key=str.lower)
