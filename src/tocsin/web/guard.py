"""Who may call what. Every route declares its scopes where it is defined, or the app will not start.

    @router.get("/board", **allow(Scope.READ))
    async def board(request: Request) -> Response: ...

``allow`` takes several scopes when any one of them is enough, or ``PUBLIC``. Inside a handler,
``caller_of(request)`` says who calls. The scope ``admin`` includes all others.

Credentials, in this order: the key in the path (``/in/<key>/...``, for senders that can set nothing
but a prefix), ``Authorization: Bearer``, ``Authorization: Basic`` with the token as password, and the
session cookie of a browser. What a browser sends by itself (a session, Basic) may change something
only from our own pages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
from fastapi import Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts

from tocsin.store import access
from tocsin.web.context import Context, context_of
from tocsin.web.errors import Problem

if TYPE_CHECKING:
    from tocsin.store.access import Grant

SESSION_COOKIE: Final = "tocsin_session"
PATH_KEY: Final = "ingest_key"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_GRANT_REMEMBERED = timedelta(seconds=10)
_GRANTS_REMEMBERED_MAX = 1024
_CREDENTIAL_CHARACTERS_MAX = 1024


class Scope(StrEnum):
    """What a credential may be used for."""

    INGEST = "ingest"
    READ = "read"
    SILENCE = "silence"
    RESPOND = "respond"
    ADMIN = "admin"


class _Public:
    """The declaration of a route that anybody may call."""

    def __repr__(self) -> str:
        return "PUBLIC"


PUBLIC: Final = _Public()

# A key in a path lies in proxies' logs and senders' settings: it never carries more than this,
# whatever its grant says.
_PATH_KEY_SCOPES = frozenset({Scope.INGEST, Scope.READ, Scope.SILENCE})


class Caller(msgspec.Struct, frozen=True):
    """Who calls. ``kind`` is "token", "session", "link" or "anonymous".

    ``name`` is the name of the grant: what the timeline says did it. Empty for anonymous callers.
    """

    name: str
    scopes: frozenset[str]
    kind: str

    def may(self, scope: Scope) -> bool:
        """Say whether the caller holds a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


ANONYMOUS: Final = Caller("", frozenset(), "anonymous")


class Guard:
    """The dependency that lets a request in or refuses it. ``needs`` is None for PUBLIC."""

    def __init__(self, needs: frozenset[Scope] | None) -> None:
        self.needs = needs

    async def __call__(self, request: Request) -> None:
        """Set ``request.state.caller`` or raise Problem 401 or 403."""
        if self.needs is None:
            _require_own_page(request, required=False)
            request.state.caller = ANONYMOUS
            return
        caller = await _identify(request)
        if not any(caller.may(scope) for scope in self.needs):
            wanted = " or ".join(sorted(self.needs))
            raise Problem(
                403,
                f"This credential does not have the scope {wanted}.",
                f'"{caller.name}" may: {", ".join(sorted(caller.scopes)) or "nothing"}.',
            )
        request.state.caller = caller


def allow(*scopes: Scope | _Public) -> dict[str, Any]:
    """Return the keyword arguments that declare who may call a route: any one of ``scopes``."""
    assert scopes, "a route says who may call it"
    if any(isinstance(scope, _Public) for scope in scopes):
        assert len(scopes) == 1, "PUBLIC stands alone"
        return {"dependencies": [Depends(Guard(None))], "openapi_extra": {"security": []}}
    needs = frozenset(scope for scope in scopes if isinstance(scope, Scope))
    schemes: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"session": []}]
    return {
        "dependencies": [Depends(Guard(needs))],
        "openapi_extra": {"security": schemes, "x-tocsin-scopes": sorted(needs)},
    }


def caller_of(request: Request) -> Caller:
    """Return who calls; only for handlers behind a guard."""
    caller: Caller = request.state.caller
    return caller


class Declared(msgspec.Struct, frozen=True):
    """One route and who may call it; ``needs`` is None for PUBLIC."""

    path: str
    methods: frozenset[str]
    needs: frozenset[Scope] | None


class UndeclaredRouteError(Exception):
    """A route does not say who may call it: <methods and path>."""


def declared_routes(app: FastAPI) -> tuple[Declared, ...]:
    """Return every route with its declaration; raise UndeclaredRouteError for one that has none.

    Mounted applications cannot be seen into, so that they count as undeclared.
    """
    found: list[Declared] = []
    for route in iter_route_contexts(app.routes):
        path = route.path or repr(route.original_route)
        methods = frozenset(route.methods or ())
        guards = list(_guards(getattr(route, "dependencies", ())))
        if len(guards) != 1 or not methods:
            raise UndeclaredRouteError(
                f"{' '.join(sorted(methods)) or 'A mount'} {path} does not declare who may call it;"
                " write **allow(...) where it is defined."
            )
        found.append(Declared(path, methods, guards[0].needs))
    return tuple(found)


def _guards(dependencies: Iterable[Any]) -> Iterable[Guard]:
    for dependency in dependencies:
        call = getattr(dependency, "dependency", None)
        if isinstance(call, Guard):
            yield call


async def _identify(request: Request) -> Caller:
    context = context_of(request)
    key = request.path_params.get(PATH_KEY)
    if key is not None:
        caller = await _holder(request, context, key)
        scopes = Scope if caller.may(Scope.ADMIN) else caller.scopes
        return Caller(caller.name, _PATH_KEY_SCOPES.intersection(scopes), "token")
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return await _holder(request, context, value.strip())
        if scheme.lower() == "basic":
            _require_own_page(request, required=False)
            return await _holder(request, context, _basic_password(value))
        raise _unknown("The Authorization header is neither Bearer nor Basic.")
    session = request.cookies.get(SESSION_COOKIE)
    if session is None:
        raise _unknown("This needs a credential, and the request has none.")
    async with context.database.reading() as connection:
        grant = await access.session(connection, session)
    if grant is None:
        raise _unknown("This session is over.", "Sign in again with a fresh link.")
    _require_own_page(request, required=True)
    return _caller(grant, "session")


async def _holder(request: Request, context: Context, secret: str) -> Caller:
    """Return who holds a token. Found ones are remembered for a few seconds, wrong ones never.

    The hot receivers would otherwise ask the database on every request; a withdrawn token works
    on for at most that long. Only hashes are kept.
    """
    if not secret or len(secret) > _CREDENTIAL_CHARACTERS_MAX or "\0" in secret:
        raise _unknown("This credential is not known here.")
    remembered: dict[bytes, tuple[Caller, datetime]] = request.app.state.grants_remembered
    digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
    at = context.clock.now()
    known = remembered.get(digest)
    if known is not None and known[1] <= at < known[1] + _GRANT_REMEMBERED:
        return known[0]
    async with context.database.reading() as connection:
        grant = await access.holder(connection, secret)
    if grant is None:
        raise _unknown("This credential is not known here.")
    caller = _caller(grant, "token")
    if len(remembered) >= _GRANTS_REMEMBERED_MAX:
        remembered.clear()
    remembered[digest] = (caller, at)
    return caller


def _caller(grant: Grant, kind: str) -> Caller:
    return Caller(grant.name, frozenset(grant.scopes), kind)


def _basic_password(value: str) -> str:
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unknown("The Basic credential cannot be read.") from error
    return decoded.partition(":")[2]


def _unknown(message: str, hint: str = "") -> Problem:
    return Problem(
        401,
        message,
        hint or "Send Authorization: Bearer <token>; the first start wrote one to admin.token.",
        {"WWW-Authenticate": 'Bearer realm="tocsin"'},
    )


def _require_own_page(request: Request, *, required: bool) -> None:
    """Refuse a change that a foreign page makes with what the browser sends by itself.

    ``required`` also refuses requests that say nothing about where they come from, as every
    current browser does.
    """
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        own = site in ("same-origin", "none")
    else:
        origin = request.headers.get("origin")
        own = not required if origin is None else _is_own(origin, request)
    if not own:
        raise Problem(
            403,
            "This change came from another site's page.",
            "Do it from Tocsin's own pages, or send a token.",
        )


def _is_own(origin: str, request: Request) -> bool:
    public = urlsplit(context_of(request).public_url)
    said = urlsplit(origin)
    if (said.scheme, said.netloc) == (public.scheme, public.netloc):
        return True
    return said.scheme in ("http", "https") and said.netloc == request.headers.get("host")
