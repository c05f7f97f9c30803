"""Coming in and going out: one-time links, sessions, and the files that every page needs."""

from __future__ import annotations

import mimetypes
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from tocsin.store import access
from tocsin.web.context import Context, context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import PUBLIC, SESSION_COOKIE, Scope, allow, caller_of
from tocsin.web.pages import forms
from tocsin.web.pages.render import show, static_bytes, static_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

SESSION_LASTS: Final = timedelta(days=30)
SESSION_SCOPES: Final = (Scope.READ, Scope.RESPOND, Scope.SILENCE)
UNNAMED: Final = "Operator"
NAME_CHARACTERS_MAX: Final = 60
_LINK_CHARACTERS_MAX: Final = 200
_TYPES: Final = {".woff2": "font/woff2", ".toml": "application/toml", ".js": "text/javascript"}

_PREVIEWER: Final = re.compile(
    r"bot\b|preview|crawl|spider|facebookexternalhit|whatsapp|telegram|discord|skype|slack-",
    re.IGNORECASE,
)

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
async def log_in(request: Request, secret: str) -> Response:
    """Use the link up and begin a session; then ask for the name that the timeline will show."""
    context = context_of(request)
    if _PREVIEWER.search(request.headers.get("user-agent", "")):
        # A chat that looks at what was pasted into it must not use the link up, or be signed in.
        return show(request, "sign_in.html", stage="help")
    async with context.database.transaction() as connection:
        if not (_is_plausible(secret) and await access.use_link(connection, secret)):
            return show(request, "sign_in.html", status=410, stage="used")
        session = context.ids.secret()
        await access.start_session(
            connection, session, UNNAMED, SESSION_SCOPES, context.clock.now() + SESSION_LASTS
        )
    response = RedirectResponse("/name", 303)
    response.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=int(SESSION_LASTS.total_seconds()),
        secure=context.public_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/name", **allow(Scope.READ))
async def name_page(request: Request) -> Response:
    """Ask who signed in."""
    names = _names(context_of(request))
    name = caller_of(request).name
    if name == UNNAMED:
        name = names[0] if len(names) == 1 else ""
    return _ask_name(request, name)


@router.post("/name", **allow(Scope.READ))
async def set_name(request: Request) -> Response:
    """Let the session go by another name from now on."""
    context = context_of(request)
    said = await forms.read_form(request)
    name = forms.one_line(said.get("name", ""), NAME_CHARACTERS_MAX)
    if not name:
        return _ask_name(request, "", "A name is needed: the timeline will show it.", 422)
    session = request.cookies.get(SESSION_COOKIE)
    if caller_of(request).kind != "session" or not session:
        raise Problem(403, "Only a browser that is signed in has a name to change.")
    async with context.database.transaction() as connection:
        if await access.is_taken(connection, name):
            said_so = f"{name} is the name of a token. Give the name your colleagues know you by."
            return _ask_name(request, "", said_so, 422)
        await access.start_session(
            connection, session, name, SESSION_SCOPES, context.clock.now() + SESSION_LASTS
        )
    return RedirectResponse("/", 303)


@router.get("/logout", **allow(Scope.READ))
async def logout_page(request: Request) -> Response:
    """Ask once, since coming back needs a fresh link."""
    return show(request, "sign_in.html", stage="out")


@router.post("/logout", **allow(Scope.READ))
async def log_out(request: Request) -> Response:
    """End the session of this browser."""
    session = request.cookies.get(SESSION_COOKIE)
    if session:
        async with context_of(request).database.transaction() as connection:
            await access.end_session(connection, session)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def _ask_name(request: Request, name: str, refusal: str = "", status: int = 200) -> Response:
    names = _names(context_of(request))
    return show(
        request,
        "sign_in.html",
        status=status,
        stage="name",
        name=name,
        names=names,
        refusal=refusal,
    )


def _names(context: Context) -> Sequence[str]:
    return sorted(person.name for person in context.directory.people.values())


def _is_plausible(secret: str) -> bool:
    return len(secret) <= _LINK_CHARACTERS_MAX and secret.isascii() and "\0" not in secret
