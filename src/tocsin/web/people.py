"""People, tokens and the audit trail under ``/api/v1``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from tocsin.store import access, audit, people
from tocsin.web import access_shapes as shapes
from tocsin.web import rights
from tocsin.web.bodies import Json, read_shape
from tocsin.web.context import Context, context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import Scope, allow
from tocsin.web.openapi import says
from tocsin.web.shapes import Nothing

if TYPE_CHECKING:
    from tocsin.store.people import User

ROWS_MAX: Final = 500
_BIGGEST: Final = 2**63 - 1

router = APIRouter(prefix="/api/v1", tags=["Access"])


# -- People ----------------------------------------------------------------------------------------


@router.get(
    "/users",
    **says(allow(Scope.ADMIN), shapes.UserList),
    summary="List who may sign in, and as what.",
)
async def get_users(request: Request) -> Response:
    """Return every user."""
    context = context_of(request)
    async with context.database.reading() as connection:
        found = await people.find(connection)
    return Json(shapes.UserList(tuple(_user(context, user) for user in found)))


@router.post(
    "/users",
    **says(allow(Scope.ADMIN), shapes.UserAnswer, hears=shapes.AddUser, status=201, also=(409,)),
    summary="Add a user.",
)
async def add_user(request: Request) -> Response:
    """Add a user, who then needs a link to sign in with."""
    said = await read_shape(request, shapes.AddUser)
    added = await rights.add_user(request, said.id, said.name, rights.role_named(said.role))
    where = {"Location": f"/api/v1/users/{added.id}"}
    return Json(_user(context_of(request), added), 201, where)


@router.get(
    "/users/{user}",
    **says(allow(Scope.ADMIN), shapes.UserAnswer, also=(404,)),
    summary="Show one user.",
)
async def get_user(request: Request, user: str) -> Response:
    """Return a user by id or name."""
    return Json(_user(context_of(request), await rights.user_named(request, user)))


@router.post(
    "/users/{user}/role",
    **says(allow(Scope.ADMIN), shapes.UserAnswer, hears=shapes.ChangeRole, also=(404, 409)),
    summary="Make a user something else; it counts at once.",
)
async def change_role(request: Request, user: str) -> Response:
    """Change a role."""
    said = await read_shape(request, shapes.ChangeRole)
    role = rights.role_named(said.role)
    changed = await rights.change_role(request, await rights.user_named(request, user), role)
    return Json(_user(context_of(request), changed))


@router.post(
    "/users/{user}/disable",
    **says(allow(Scope.ADMIN), shapes.UserAnswer, hears=Nothing, also=(404, 409)),
    summary="Keep a user out: sessions and links end at once.",
)
async def disable(request: Request, user: str) -> Response:
    """Disable a user."""
    await read_shape(request, Nothing)
    await rights.disable(request, await rights.user_named(request, user))
    return Json(_user(context_of(request), await rights.user_named(request, user)))


@router.post(
    "/users/{user}/enable",
    **says(allow(Scope.ADMIN), shapes.UserAnswer, hears=Nothing, also=(404,)),
    summary="Let a user in again.",
)
async def enable(request: Request, user: str) -> Response:
    """Enable a user."""
    await read_shape(request, Nothing)
    await rights.enable(request, await rights.user_named(request, user))
    return Json(_user(context_of(request), await rights.user_named(request, user)))


@router.post(
    "/users/{user}/sign-in-link",
    **says(allow(Scope.ADMIN), shapes.UserLink, hears=Nothing, status=201, also=(404, 409)),
    summary="Make a link that signs one browser in as that user, once.",
)
async def make_link(request: Request, user: str) -> Response:
    """Return a one-time link."""
    await read_shape(request, Nothing)
    found = await rights.user_named(request, user)
    url, expires_at = await rights.make_link(request, found)
    return Json(shapes.UserLink(url, found.id, expires_at), 201)


@router.get(
    "/users/{user}/sessions",
    **says(allow(Scope.ADMIN), shapes.SessionList, also=(404,)),
    summary="List the browsers that a user is signed in with.",
)
async def get_sessions(request: Request, user: str) -> Response:
    """Return the sessions of a user."""
    found = await rights.user_named(request, user)
    async with context_of(request).database.reading() as connection:
        rows = await access.sessions(connection, found.id)
    return Json(shapes.SessionList(tuple(shapes.session_answer(row) for row in rows)))


@router.post(
    "/users/{user}/sign-out",
    **says(allow(Scope.ADMIN), shapes.SessionList, hears=Nothing, also=(404,)),
    summary="End every session of a user.",
)
async def sign_out(request: Request, user: str) -> Response:
    """Sign a user out everywhere; return the sessions that are left, which are none."""
    await read_shape(request, Nothing)
    await rights.sign_out(request, await rights.user_named(request, user))
    return Json(shapes.SessionList(()))


# -- Tokens ----------------------------------------------------------------------------------------


@router.get(
    "/tokens",
    **says(allow(Scope.ADMIN), shapes.TokenList),
    summary="List tokens, never their secrets.",
)
async def get_tokens(request: Request) -> Response:
    """Return every token that was not revoked."""
    async with context_of(request).database.reading() as connection:
        found = await access.tokens(connection)
    return Json(shapes.TokenList(tuple(shapes.token_answer(token) for token in found)))


@router.post(
    "/tokens",
    **says(allow(Scope.ADMIN), shapes.NewToken, hears=shapes.MakeToken, status=201, also=(409,)),
    summary="Make a token; its secret is shown once.",
)
async def make_token(request: Request) -> Response:
    """Return a fresh token that may no more than its maker."""
    said = await read_shape(request, shapes.MakeToken)
    made = await rights.make_token(request, said.name, said.scopes, said.expires)
    return Json(shapes.NewToken(shapes.token_answer(made.token), made.secret), 201)


@router.post(
    "/tokens/{name}/revoke",
    **says(allow(Scope.ADMIN), shapes.RevokedTokens, hears=Nothing, also=(404, 409)),
    summary="End a token for good, by its name or number.",
)
async def revoke_token(request: Request, name: str) -> Response:
    """Revoke all tokens of a name, or the one of a number."""
    await read_shape(request, Nothing)
    ended, made = await rights.revoke(request, name)
    answer = tuple(shapes.token_answer(token) for token in ended)
    return Json(shapes.RevokedTokens(answer, tuple(token.name for token in made)))


# -- The audit trail -------------------------------------------------------------------------------


@router.get(
    "/audit",
    **says(allow(Scope.AUDIT), shapes.AuditList, also=(422,)),
    summary="Tell who did what, newest first.",
)
async def get_audit(
    request: Request,
    actor: Annotated[str, Query(description="Only of this user or token, by name or id.")] = "",
    since: Annotated[str, Query(description="Only from this instant on (RFC 3339).")] = "",
    before: Annotated[
        int | None, Query(ge=1, le=_BIGGEST, description='What "next" said before.')
    ] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX, description="How many at most.")] = 100,
) -> Response:
    """Return acts and refusals."""
    context = context_of(request)
    if "\0" in actor:
        raise Problem(422, "A filter holds the character U+0000, which is no text.")
    async with context.database.reading() as connection:
        user = await people.get(connection, actor) if actor else None
        actors = [name for name in (actor, user.name if user else "") if name]
        rows = await audit.find(
            connection, actors=actors, since=instant(since), before=before, limit=limit
        )
    entries = tuple(shapes.audit_entry(row) for row in rows)
    return Json(shapes.AuditList(entries, rows[-1].id if len(rows) == limit else None))


def instant(text: str) -> datetime | None:
    """Return an instant in UTC, None for no text; Problem 422 for what is no instant."""
    if not text.strip():
        return None
    try:
        # A plus sign in an address is a blank, unless it was written as %2B.
        found = datetime.fromisoformat(text.strip().replace(" ", "+"))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(
            422, f'"{text[:40]}" is no instant.', "Write it as 2026-03-01T02:00:00Z."
        ) from None


def _user(context: Context, user: User) -> shapes.UserAnswer:
    return shapes.user_answer(user, is_paged=rights.is_paged(user, context.directory))
