"""Is it alive, is it ready, and how is it doing: for supervisors, balancers and Prometheus."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from tocsin.store import counts
from tocsin.store.database import Unavailable
from tocsin.web.bodies import Json
from tocsin.web.context import Context, context_of
from tocsin.web.guard import PUBLIC, Scope, allow
from tocsin.web.instruments import instruments_of

_ANSWERS_WITHIN_S: Final = 3.0

router = APIRouter(tags=["Health"])
probes = APIRouter(tags=["Alertmanager"])


@router.get("/healthz", **allow(PUBLIC), summary="Say that the process lives.")
async def healthz() -> Response:
    """Return 200 while the process answers at all, whatever the database does."""
    return Json({"status": "alive"})


@router.get("/readyz", **allow(PUBLIC), summary="Say whether requests can be served.")
async def readyz(request: Request) -> Response:
    """Return 200 when the database answers and a runbook is in force, else 503 and why."""
    why = await _why_not_ready(context_of(request))
    if why:
        return Json({"status": "not ready", "why": why}, 503, {"Retry-After": "5"})
    return Json({"status": "ready"})


@probes.get("/-/healthy", **allow(PUBLIC), summary="Say that the process lives.")
async def healthy() -> Response:
    """Return what Alertmanager does."""
    return PlainTextResponse("OK")


@probes.get("/-/ready", **allow(PUBLIC), summary="Say whether requests can be served.")
async def ready(request: Request) -> Response:
    """Return what Alertmanager does when ready, else 503 and why."""
    why = await _why_not_ready(context_of(request))
    return PlainTextResponse(why or "OK", 503 if why else 200)


@router.get("/metrics", **allow(Scope.READ), summary="Count, in Prometheus' text format.")
async def metrics(request: Request) -> Response:
    """Return what passed through this process and what stands in the database."""
    context = context_of(request)
    async with context.database.reading() as connection:
        standing = await counts.standing(connection)
    return Response(
        instruments_of(request).exposition(standing),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


async def _why_not_ready(context: Context) -> str:
    if context.book.current.has_errors:
        return "The runbook has errors and is not in force."
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            await context.database.now()
    except Unavailable:
        return "The database does not answer."
    except TimeoutError:
        return f"The database did not answer within {_ANSWERS_WITHIN_S:.0f} s."
    return ""
