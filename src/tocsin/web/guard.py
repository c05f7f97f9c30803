"""Who may call what. Every route declares its scopes where it is defined, or the app will not start.

    @router.get("/board", **allow(Scope.READ))
    async def board(request: Request) -> Response: ...

``allow`` takes several scopes when any one of them is enough, or ``PUBLIC``. Inside a handler,
``caller_of(request)`` says who calls. The scope ``admin`` includes all others.

Credentials, in this order: the key in the path (``/in/<key>/...``, for senders that can set nothing
but a prefix), ``Authorization: Bearer``, ``Authorization: Basic`` with the token as password, and the
session cookie of a browser. What a browser sends by itself (a session, Basic) may change something
only from our own pages.

Whatever is asked for with a method that may change something is on the audit trail before its
handler runs, the receivers of alerts excepted. Where the database does not answer, nobody comes in.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
from fastapi import Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts

from tocsin.base.rights import SCOPES_BY_ROLE, Scope, holds
from tocsin.store import access
from tocsin.store.audit import Entry
from tocsin.store.database import Unavailable
from tocsin.web.context import Context, context_of
from tocsin.web.door import door_of
from tocsin.web.errors import Problem
from tocsin.web.wrapping import masked

if TYPE_CHECKING:
    from tocsin.store.access import Grant

__all__ = [
    "ANONYMOUS", "PATH_KEY", "PUBLIC", "SESSION_COOKIE", "Caller", "Declared", "Guard", "Scope",
    "UndeclaredRouteError", "address_of", "allow", "caller_of", "cookie_of", "declared_routes",
    "entry_of", "is_still_in", "require_own_page",
]  # fmt: skip

SESSION_COOKIE: Final = "tocsin_session"
PATH_KEY: Final = "ingest_key"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKED_S_MAX: Final = 2.0
_CREDENTIAL_CHARACTERS_MAX = 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What stands in a path and lets somebody in: never on the audit trail.
_SECRET_PARTS = frozenset({PATH_KEY, "secret", "token"})


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

    ``name`` is that of the user or of the token: what the timeline says did it. Empty for anonymous
    callers. ``user`` is the id of the user, of a token that of whoever made it, and ``number`` that of
    the session or token, "" if there is none; ``role`` is what the user of a session is.
    """

    name: str
    scopes: frozenset[str]
    kind: str
    user: str = ""
    role: str = ""
    number: str = ""

    def may(self, scope: Scope) -> bool:
        """Say whether the caller holds a scope."""
        return holds(self.scopes, scope)


ANONYMOUS: Final = Caller("", frozenset(), "anonymous")


class Guard:
    """The dependency that lets a request in or refuses it. ``needs`` is None for PUBLIC.

    With ``known_suffices`` a token that was good lately is good while the database is away. With
    ``sessions_only`` no token is.
    """

    def __init__(
        self,
        needs: frozenset[Scope] | None,
        *,
        known_suffices: bool = False,
        sessions_only: bool = False,
    ) -> None:
        self.needs = needs
        self.known_suffices = known_suffices
        self.sessions_only = sessions_only

    async def __call__(self, request: Request) -> None:
        """Set ``request.state.caller`` or raise Problem 401 or 403, or store.Unavailable."""
        request.state.caller = ANONYMOUS
        request.state.trail = door_of(request.app).trail
        try:
            if self.needs is None:
                require_own_page(request, required=False)
                return
            caller = await _identify(request, known_suffices=self.known_suffices)
            request.state.caller = caller
            self._require_scope(caller)
        except Problem as refusal:
            _note(request, refusal)
            raise
        if request.method not in _SAFE_METHODS and Scope.INGEST not in self.needs:
            request.state.act = await request.state.trail.begin(entry_of(request, caller))

    def _require_scope(self, caller: Caller) -> None:
        if self.sessions_only and caller.kind != "session":
            raise Problem(403, "Only somebody who is signed in has sessions.")
        needs = self.needs or frozenset()
        if not any(caller.may(scope) for scope in needs):
            wanted = " or ".join(sorted(needs))
            raise Problem(
                403,
                f"This credential does not have the scope {wanted}.",
                f'"{caller.name}" may: {", ".join(sorted(caller.scopes)) or "nothing"}.',
            )


def allow(
    *scopes: Scope | _Public, known_suffices: bool = False, sessions_only: bool = False
) -> dict[str, Any]:
    """Return the keyword arguments that declare who may call a route: any one of ``scopes``.

    ``known_suffices`` is for what must answer while the database is away, and shows nothing of
    what is in it: then a token that was good within a day is taken to be good still.
    ``sessions_only`` is for what concerns a browser that is signed in.
    """
    assert scopes, "a route says who may call it"
    if any(isinstance(scope, _Public) for scope in scopes):
        assert len(scopes) == 1, "PUBLIC stands alone"
        return {"dependencies": [Depends(Guard(None))], "openapi_extra": {"security": []}}
    needs = frozenset(scope for scope in scopes if isinstance(scope, Scope))
    schemes: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"session": []}]
    return {
        "dependencies": [
            Depends(Guard(needs, known_suffices=known_suffices, sessions_only=sessions_only))
        ],
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


def entry_of(request: Request, caller: Caller, target: str = "", detail: str = "") -> Entry:
    """Return what the audit trail says of a request: the route, and what it is about."""
    route = request.scope.get("route")
    about = [v for k, v in request.path_params.items() if k not in _SECRET_PARTS]
    return Entry(
        actor=caller.name,
        kind="user" if caller.kind == "session" else caller.kind,
        action=f"{request.method} {getattr(route, 'path', masked(request.url.path))}",
        target=target or " ".join(str(part) for part in about),
        detail=detail,
        address=address_of(request),
    )


def address_of(request: Request) -> str:
    """Return where a connection comes from; behind a proxy that is the proxy."""
    return request.client.host if request.client else ""


def cookie_of(request: Request) -> tuple[str, bool]:
    """Return the name of the session cookie here, and whether it goes over https only.

    Where the public address is https the name itself forbids other hosts and paths to set it. On
    the machine itself, where the link of the console leads, there is no https.
    """
    public = urlsplit(context_of(request).public_url)
    direct = request.url.hostname in _LOOPBACK and public.hostname != request.url.hostname
    if public.scheme == "https" and not direct:
        return f"__Host-{SESSION_COOKIE}", True
    return SESSION_COOKIE, False


async def is_still_in(request: Request) -> bool:
    """Say whether who was let in for a long answer would be let in again now."""
    caller = caller_of(request)
    try:
        again = await _identify(request, known_suffices=False)
    except Problem:
        return False
    return again.number == caller.number and again.scopes >= caller.scopes


def _note(request: Request, refusal: Problem) -> None:
    """Put a refusal on the audit trail; not that of a reader who has shown nothing yet."""
    caller = caller_of(request)
    shown = (
        PATH_KEY in request.path_params
        or "authorization" in request.headers
        or cookie_of(request)[0] in request.cookies
    )
    if not shown and request.method in _SAFE_METHODS:
        return
    entry = Entry(
        actor=caller.name,
        kind="user" if caller.kind == "session" else caller.kind,
        action="refused",
        target=f"{request.method} {masked(request.url.path)}",
        detail=refusal.message,
        address=address_of(request),
    )
    door = door_of(request.app)
    door.trail.refused(context_of(request).clock.now(), entry, refusal.status_code)


async def _identify(request: Request, *, known_suffices: bool) -> Caller:
    context = context_of(request)
    key = request.path_params.get(PATH_KEY)
    if key is not None:
        caller = await _holder(request, context, key)
        scopes = Scope if caller.may(Scope.ADMIN) else caller.scopes
        limited = _PATH_KEY_SCOPES.intersection(scopes)
        return Caller(caller.name, limited, "token", caller.user, number=caller.number)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return await _holder(request, context, value.strip(), known_suffices=known_suffices)
        if scheme.lower() == "basic":
            require_own_page(request, required=False)
            password = _basic_password(value)
            return await _holder(request, context, password, known_suffices=known_suffices)
        raise _unknown("The Authorization header is neither Bearer nor Basic.")
    secret = request.cookies.get(cookie_of(request)[0])
    if secret is None:
        raise _unknown("This needs a credential, and the request has none.")
    caller = await _signed_in(request, context, secret)
    require_own_page(request, required=True)
    return caller


async def _signed_in(request: Request, context: Context, secret: str) -> Caller:
    """Return whose session it is. The database is asked each time: what an admin does counts now."""
    door, address, at = door_of(request.app), address_of(request), context.clock.now()
    found = None
    if 0 < len(secret) <= _CREDENTIAL_CHARACTERS_MAX:
        digest = access.digest(secret)
        async with (
            door.attempts.looking(address, at, digest),
            context.database.reading() as connection,
        ):
            found = await access.session(connection, secret)
    if found is None:
        await door.attempts.was_wrong(address, at)
        raise _unknown("This session is over.", "Sign in again with a fresh link.")
    door.attempts.was_right(digest)
    door.seen.session(digest, at)
    scopes = frozenset(str(scope) for scope in SCOPES_BY_ROLE[found.role])
    return Caller(found.name, scopes, "session", found.user, found.role.value, found.number)


async def _holder(
    request: Request, context: Context, secret: str, *, known_suffices: bool = False
) -> Caller:
    """Return who holds a token, asking the database unless it was asked a moment ago.

    The hot receivers would otherwise ask it on every request. See ``web.remembered`` for how long
    a changed token may work on. Only hashes are kept.
    """
    door, address, at = door_of(request.app), address_of(request), context.clock.now()
    if not secret or len(secret) > _CREDENTIAL_CHARACTERS_MAX or "\0" in secret:
        await door.attempts.was_wrong(address, at)
        raise _unknown("This credential is not known here.")
    digest = access.digest(secret)
    is_known, grant = door.remembered.look(digest, at)
    if not is_known:
        suffices = door.remembered.lately(digest, at) if known_suffices else None
        generation = door.remembered.generation

        async def ask() -> Grant | None:
            async with (
                door.attempts.looking(address, at, digest),
                context.database.reading() as connection,
            ):
                return await access.holder(connection, secret)

        try:
            async with asyncio.timeout(None if suffices is None else _ASKED_S_MAX):
                grant = await door.asking.once(generation, digest, ask)
        except (Unavailable, TimeoutError):
            if suffices is None:
                raise
            return _caller(suffices)
        door.remembered.put(digest, grant, at, generation)
    if grant is None:
        await door.attempts.was_wrong(address, at)
        raise _unknown("This credential is not known here.")
    if grant.is_over:
        raise _unknown(_why_over(grant), "Ask whoever runs the server for another.")
    door.attempts.was_right(digest)
    door.seen.token(digest, at)
    return _caller(grant)


def _caller(grant: Grant) -> Caller:
    scopes = frozenset(grant.scopes)
    return Caller(grant.name, scopes, "token", grant.user, number=grant.number)


def _why_over(grant: Grant) -> str:
    if grant.revoked_at is not None:
        return f"The token {grant.name} was revoked."
    return f"The token {grant.name} has expired."


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


def require_own_page(request: Request, *, required: bool) -> None:
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
    if public.scheme == "https" and said.netloc == public.netloc:
        return False  # Whoever stands between speaks http in our name, and is not us.
    return said.scheme in ("http", "https") and said.netloc == request.headers.get("host")
