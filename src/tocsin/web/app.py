"""The application: every router, what wraps them, and how they say no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tocsin.engine.room import Full
from tocsin.store.database import Unavailable
from tocsin.web import (
    alertmanager,
    api,
    door,
    health,
    keeping,
    openapi,
    operations,
    people,
    shapes,
)
from tocsin.web.admission import Gate, come_again
from tocsin.web.bodies import BODY_BYTES_MAX, Json
from tocsin.web.errors import Problem
from tocsin.web.guard import PATH_KEY, PUBLIC, allow, declared_routes
from tocsin.web.instruments import Counted, Lookout
from tocsin.web.pages import routes as pages
from tocsin.web.pages.errors import refusal_page, wants_page
from tocsin.web.trail import Audited
from tocsin.web.wrapping import SAFE_HEADERS, AccessLog, BodyCap, SafeHeaders, masked

if TYPE_CHECKING:
    from tocsin.web.context import Context

_RETRY_AFTER_S: Final = "5"
_PATH_PREFIX: Final = f"/in/{{{PATH_KEY}}}"
_SAID_BY_STATUS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}

about = APIRouter()


@about.get("/openapi.json", **allow(PUBLIC), include_in_schema=False)
async def get_openapi(request: Request) -> Response:
    """Return the description of this API."""
    return Json(openapi.describe(request.app))


def create_app(context: Context) -> FastAPI:
    """Return the application; raise UndeclaredRouteError if a route does not say who may call it.

    A worker has nothing to show but how it does.
    """
    app = FastAPI(
        title="Tocsin",
        version=context.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A slash too many is an unknown address: a redirect would echo the key in the path.
        redirect_slashes=False,
    )
    app.state.context = context
    app.state.lookout = Lookout()
    if context.about.role == "worker":
        app.include_router(health.probes)
        app.include_router(health.router)
    else:
        _include_all(app)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_exception_handler(Unavailable, _refuse_for_now)
    app.add_exception_handler(Full, _refuse_while_full)
    app.add_exception_handler(Exception, _break)
    # The last one added is the outermost.
    app.add_middleware(Audited)
    app.add_middleware(BodyCap, bytes_max=BODY_BYTES_MAX)
    app.add_middleware(SafeHeaders)
    app.add_middleware(Gate, context=context, home=app)
    app.add_middleware(AccessLog)
    app.add_middleware(Counted, context=context)
    declared_routes(app)
    return app


def _include_all(app: FastAPI) -> None:
    # Routes are tried in this order, so the ones that a storm hits come first.
    for prefix in ("", _PATH_PREFIX):
        app.include_router(alertmanager.router, prefix=prefix, include_in_schema=not prefix)
        app.include_router(health.probes, prefix=prefix, include_in_schema=not prefix)
    app.include_router(api.router)
    app.include_router(people.router)
    app.include_router(health.router)
    app.include_router(operations.router)
    app.include_router(keeping.router)
    app.include_router(pages.router)
    app.include_router(about)
    app.include_router(door.router)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return _say(request, error)
    message = _SAID_BY_STATUS.get(error.status_code, str(error.detail))
    return _say(request, Problem(error.status_code, message, headers=_plain(error.headers)))


async def _refuse_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return _say(request, Problem(422, f"{name}: {first['msg']}."))


async def _refuse_for_now(request: Request, error: Exception) -> Response:
    problem = Problem(
        503,
        "The database does not answer; nothing was stored.",
        f"Send it again in {_RETRY_AFTER_S} s.",
        {"Retry-After": _RETRY_AFTER_S},
    )
    structlog.get_logger("tocsin.web").warning(
        "unavailable", path=masked(request.url.path), why=str(error)
    )
    return _say(request, problem)


async def _refuse_while_full(request: Request, error: Exception) -> Response:
    return _say(request, come_again(str(error)))


async def _break(request: Request, error: Exception) -> Response:
    # Starlette raises the error again for the server's log; it answers outside of our wrapping,
    # so that the headers are set here.
    problem = Problem(
        500,
        "Something broke here; it is in the server's log.",
        "This is a defect of Tocsin, not of the request.",
        dict(SAFE_HEADERS),
    )
    return _say(request, problem)


def _say(request: Request, problem: Problem) -> Response:
    if wants_page(request):
        return refusal_page(request, problem)
    path = request.url.path
    if path.startswith(("/api/v2/", "/in/")):
        return Json(problem.message, problem.status_code, _plain(problem.headers))
    error = shapes.ErrorAnswer(shapes.ErrorDetail(problem.message, problem.hint))
    return Json(error, problem.status_code, _plain(problem.headers))


def _plain(headers: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
