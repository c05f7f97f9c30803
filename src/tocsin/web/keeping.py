"""What is kept, to take away and to put right: a backup, what reached us, and views made anew."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from tocsin.base.durations import parse_duration
from tocsin.engine import recorded
from tocsin.engine.rebuild import tell
from tocsin.store import backup
from tocsin.web import shapes
from tocsin.web.bodies import read_shape
from tocsin.web.context import context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import Scope, allow, caller_of, entry_of
from tocsin.web.openapi import says

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_LINES: Final = "application/x-ndjson"
_PART_BYTES: Final = 65_536
_SINCE_MAX: Final = timedelta(days=36_500)

router = APIRouter(prefix="/api/v1", tags=["Operations"])


@router.get(
    "/backup",
    **says(allow(Scope.ADMIN), None),
    summary="Send a backup of everything, as lines of JSON.",
)
async def get_backup(request: Request) -> StreamingResponse:
    """Stream a backup. It is whole when its last line has come: see ``tocsin restore``."""
    context = context_of(request)
    # It changes nothing, and takes everything away: that belongs on the trail.
    entry = entry_of(request, caller_of(request))
    request.state.act = await request.state.trail.begin(entry)
    lines = backup.lines(context.database)
    # Whatever refuses it does so before the answer has begun.
    first = await anext(lines)
    name = f"tocsin-{context.clock.now():%Y%m%d-%H%M%S}.jsonl"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_parts(first, lines), headers=headers, media_type=_LINES)


@router.post(
    "/rebuild",
    **says(allow(Scope.ADMIN), None, hears=shapes.Rebuild),
    summary="Compare what is stored with the journal, and make it so again.",
)
async def post_rebuild(request: Request) -> StreamingResponse:
    """Stream a line for each stream that is not as its journal says, and one at the end."""
    said = await read_shape(request, shapes.Rebuild)
    lines = tell(context_of(request).database, check=said.check)
    return StreamingResponse(lines, media_type=_LINES)


@router.get(
    "/recorded-inputs",
    **says(allow(Scope.READ), None, also=(422,)),
    summary="Send what reached us, as lines of JSON: `tocsin backtest` replays it.",
)
async def get_recorded_inputs(
    request: Request,
    since: Annotated[str, Query(description="How far back, such as 90d, or an instant.")] = "90d",
) -> StreamingResponse:
    """Stream signals, silences and acts of people, oldest first, after the runbook in force.

    It is whole when its last line has come, which counts the others.
    """
    context = context_of(request)
    now = context.clock.now()
    lines = recorded.lines(
        context.database,
        _since(since, now),
        now,
        context.book.current.policy.revision,
        context.book.current.documents,
    )
    first = await anext(lines)
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(_parts(first, lines), headers=headers, media_type=_LINES)


def _since(said: str, now: datetime) -> datetime:
    duration = parse_duration(said)
    if duration is not None:
        return now - min(duration, _SINCE_MAX)
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Problem(
            422, f'"{said[:40]}" says no time.', 'Write a duration such as "90d", or an instant.'
        )
    return at.astimezone(UTC)


async def _parts(first: bytes, lines: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Yield lines gathered to parts of some size: a part costs more than a line."""
    part = bytearray(first)
    async with contextlib.aclosing(lines):
        async for line in lines:
            part += line
            if len(part) >= _PART_BYTES:
                yield bytes(part)
                part.clear()
    yield bytes(part)
