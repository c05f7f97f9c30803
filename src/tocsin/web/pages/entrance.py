"""Coming in and going out: one-time links, sessions, and the files that every page needs.

Opening a link shows whom it signs in; pressing the button uses it up. So a chat that looks at what
was pasted into it, or a mail scanner, costs nobody their link. The link on the server's console is
for whoever sits there: they say who they are, and somebody new becomes an admin.
"""

from __future__ import annotations

import mimetypes
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from tocsin.base.rights import Role
from tocsin.store import access, people
from tocsin.store.audit import Entry
from tocsin.store.people import NAME_CHARACTERS_MAX
from tocsin.web.context import context_of
from tocsin.web.door import changing, door_of
from tocsin.web.errors import Problem
from tocsin.web.guard import PUBLIC, Scope, address_of, allow, cookie_of
from tocsin.web.pages import forms
from tocsin.web.pages.render import show, static_bytes, static_hash
from tocsin.web.pages.views.people import Comer, comers

if TYPE_CHECKING:
    from tocsin.store.connection import Connection

SESSION_LASTS: Final = timedelta(days=30)
_LINK_CHARACTERS_MAX: Final = 200
_TYPES: Final = {".woff2": "font/woff2", ".toml": "application/toml", ".js": "text/javascript"}

router = APIRouter(include_in_schema=False)


@router.get("/static/{path:path}", **allow(PUBLIC))
async def static(request: Request, path: str) -> Response:
    """Return one of our files; asked for by its hash, it may be kept for ever."""
    content = static_bytes(path)
    if content is None:
        raise Problem(404, "There is no such file.")
    tag = f'"{static_hash(path)}"'
    asked = request.query_params.get("v")
    lasting = asked == static_hash(path)
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000, immutable"
        if lasting
        else "public, max-age=3600",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    suffix = path[path.rfind(".") :] if "." in path else ""
    kind = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    return Response(content, media_type=kind, headers=headers)


@router.get("/login", **allow(PUBLIC))
async def login_help(request: Request) -> Response:
    """Say how to get a link."""
    return show(request, "sign_in.html", stage="help")


@router.get("/login/{secret}", **allow(PUBLIC))
async def see_link(request: Request, secret: str) -> Response:
    """Show whom a link signs in, or ask who it is. Looking does not use it up."""
    return await _show_link(request, secret)


@router.post("/login/{secret}", **allow(PUBLIC))
async def log_in(request: Request, secret: str) -> Response:
    """Use the link up and begin a session."""
    context = context_of(request)
    said = await forms.read_form(request)
    link = await _look_up(request, secret)
    if link is None:
        return _refuse_link(request)
    async with context.database.reading() as connection:
        users = await people.find(connection)
    known = comers(users, context.directory)
    if link.user:
        comer = next((c for c in known if c.user == link.user), None)
    else:
        comer = _who(known, said)
    if comer is None:
        return await _show_link(request, secret, "Say who you are: the timeline will show it.")
    if comer.is_disabled:
        kept_out = f"{comer.name} is kept out. An admin can let them in again."
        return await _show_link(request, secret, kept_out)
    by = "a link made for them" if link.user else "the link of the console"
    entry = Entry(comer.name, "link", "sign in", comer.id, f"by {by}", address=address_of(request))
    request.state.act = await door_of(request.app).trail.begin(entry)
    session = context.ids.secret()
    try:
        async with changing(request) as connection:
            if not await access.use_link(connection, secret):
                return _refuse_link(request)
            if not comer.user:
                await _add(connection, comer)
            old = request.cookies.get(cookie_of(request)[0])
            if old:
                await access.end_session(connection, old)
            await access.start_session(
                connection,
                session,
                comer.id,
                await context.database.now(connection) + SESSION_LASTS,
                request.headers.get("user-agent", ""),
            )
    except _NotUsedUp as refused:
        return await _show_link(request, secret, str(refused))
    response = RedirectResponse("/", 303)
    name, over_https = cookie_of(request)
    response.set_cookie(
        name,
        session,
        max_age=int(SESSION_LASTS.total_seconds()),
        secure=over_https,
        httponly=True,
        samesite="lax",
    )
    return response


@router.post("/logout", **allow(Scope.READ, sessions_only=True))
async def log_out(request: Request) -> Response:
    """End the session of this browser."""
    name, over_https = cookie_of(request)
    session = request.cookies.get(name)
    if session:
        async with changing(request) as connection:
            await access.end_session(connection, session)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(name, secure=over_https, httponly=True, samesite="lax")
    return response


class _NotUsedUp(Exception):  # noqa: N818 - it carries the sentence that refuses
    """Signing in is refused, and the link stays good: <why>."""


async def _add(connection: Connection, comer: Comer) -> None:
    refusal = await people.add(
        connection, comer.id, comer.name, Role.ADMIN, "the link of the console"
    )
    if refusal:
        raise _NotUsedUp(refusal)


def _who(known: list[Comer], said: dict[str, str]) -> Comer | None:
    """Return whom the opener of the console's link says to be; None if they said nothing.

    A name that somebody here goes by is theirs.
    """
    wanted = said.get("who", "")
    if wanted:
        return next((comer for comer in known if comer.id == wanted), None)
    name = forms.one_line(said.get("name", ""), NAME_CHARACTERS_MAX)
    if not people.folded(name):
        return None
    same = {people.folded(comer.name): comer for comer in known}
    found = same.get(people.folded(name))
    return found or Comer(_free_id(name, known), name, "", "", "")


def _free_id(name: str, known: list[Comer]) -> str:
    taken = {comer.id for comer in known}
    base = people.id_from(name) or "user"
    tries = (base, *(f"{base[:36]}-{number}" for number in range(2, 1_000)))
    return next((each for each in tries if each not in taken), base)


async def _show_link(request: Request, secret: str, refusal: str = "") -> Response:
    context = context_of(request)
    link = await _look_up(request, secret)
    if link is None:
        return _refuse_link(request)
    async with context.database.reading() as connection:
        users = await people.find(connection)
    return show(
        request,
        "sign_in.html",
        status=422 if refusal else 200,
        stage="person" if link.user else "console",
        secret=secret,
        name=link.name,
        known=[c for c in comers(users, context.directory) if not c.is_disabled],
        is_first=not users,
        refusal=refusal,
    )


async def _look_up(request: Request, secret: str) -> access.Link | None:
    """Return whom a link signs in. Who tries many that are none is slowed down."""
    context, attempts = context_of(request), door_of(request.app).attempts
    address, at = address_of(request), context.clock.now()
    link = None
    if _is_plausible(secret):
        async with attempts.looking(address, at), context.database.reading() as connection:
            link = await access.see_link(connection, secret)
    if link is None:
        await attempts.was_wrong(address, at)
    return link


def _refuse_link(request: Request) -> Response:
    trail, at = door_of(request.app).trail, context_of(request).clock.now()
    entry = Entry("", "anonymous", "sign in", detail="no such link", address=address_of(request))
    trail.refused(at, entry, 410)
    return show(request, "sign_in.html", status=410, stage="used")


def _is_plausible(secret: str) -> bool:
    return len(secret) <= _LINK_CHARACTERS_MAX and secret.isascii() and "\0" not in secret
