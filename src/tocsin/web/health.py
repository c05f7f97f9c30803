"""Is it alive, is it ready, and how is it doing: for supervisors, balancers and Prometheus."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from tocsin.engine.about import say_late
from tocsin.store.database import Unavailable
from tocsin.web.bodies import Json
from tocsin.web.context import Context, context_of
from tocsin.web.guard import PUBLIC, Scope, allow
from tocsin.web.instruments import exposition

_ANSWERS_WITHIN_S: Final = 3.0

router = APIRouter(tags=["Health"])
probes = APIRouter(tags=["Alertmanager"])


@router.get("/healthz", **allow(PUBLIC), summary="Say that the process lives.")
@router.head("/healthz", **allow(PUBLIC), include_in_schema=False)
async def healthz() -> Response:
    """Return 200 while the process answers at all, whatever the database does."""
    return Json({"status": "alive"})


@router.get("/readyz", **allow(PUBLIC), summary="Say whether alerts can be taken in.")
@router.head("/readyz", **allow(PUBLIC), include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Return 200 when alerts can be taken in and will be handled, else 503 and all that is wrong."""
    why = await _why_not_ready(context_of(request))
    if why:
        return Json({"status": "not ready", "why": why}, 503, {"Retry-After": "5"})
    return Json({"status": "ready"})


@probes.get("/-/healthy", **allow(PUBLIC), summary="Say that the process lives.")
async def healthy() -> Response:
    """Return what Alertmanager does."""
    return PlainTextResponse("OK")


@probes.get("/-/ready", **allow(PUBLIC), summary="Say whether alerts can be taken in.")
async def ready(request: Request) -> Response:
    """Return what Alertmanager does when ready, else 503 and why."""
    why = await _why_not_ready(context_of(request))
    return PlainTextResponse(why or "OK", 503 if why else 200)


@router.get(
    "/metrics",
    **allow(Scope.READ, known_suffices=True),
    summary="Count, in Prometheus' text format.",
)
async def metrics(request: Request) -> Response:
    """Return what this process counted and, while the database answers, what stands in it."""
    return Response(
        await exposition(request), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


async def _why_not_ready(context: Context) -> str:
    """Return all that is wrong, a sentence each; "" where alerts can be taken in and handled."""
    said = []
    if context.book.current.has_errors:
        said.append("The runbook has errors and is not in force.")
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            await context.database.now()
    except Unavailable:
        said.append("The database does not answer.")
    except TimeoutError:
        said.append(f"The database did not answer within {_ANSWERS_WITHIN_S:.0f} s.")
    if not said:
        # Without a database all loops stand still, which would only bury the reason.
        said += [say_late(beat) for beat in context.about.beats() if beat.is_late and beat.is_vital]
    return " ".join(said)
