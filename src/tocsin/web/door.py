"""What stands at the door of one process: what it remembers, whom it slows, what it writes down."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from fastapi import APIRouter, FastAPI, Request

from tocsin.store import access, audit, live
from tocsin.store.database import Unavailable
from tocsin.web.attempts import Attempts
from tocsin.web.context import Context, context_of
from tocsin.web.remembered import Asking, Remembered, Seen
from tocsin.web.trail import Act, Trail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.store.connection import Connection

CHANGED: Final = "access"
FLUSH_EVERY_S: Final = 10.0
TIDY_EVERY: Final = timedelta(hours=1)
_log = structlog.get_logger("tocsin.web")


@dataclass
class Door:
    """The parts, made once for an application."""

    trail: Trail
    remembered: Remembered = field(default_factory=Remembered)
    asking: Asking = field(default_factory=Asking)
    seen: Seen = field(default_factory=Seen)
    attempts: Attempts = field(default_factory=Attempts)
    # Whoever lists every alert there is: one at a time.
    listing: asyncio.Lock = field(default_factory=asyncio.Lock)


def door_of(app: FastAPI) -> Door:
    """Return the door of an application, made on first use."""
    found: Door | None = getattr(app.state, "door", None)
    if found is None:
        context: Context = app.state.context
        found = app.state.door = Door(Trail(context.database))
    return found


def act_of(request: Request) -> Act:
    """Return the act that the guard wrote down for this request, to add detail to it."""
    act: Act = request.state.act
    return act


@contextlib.asynccontextmanager
async def changing(request: Request) -> AsyncIterator[Connection]:
    """Lend a transaction that changes who may do what; every process forgets what it remembered.

    The others hear of it on commit, this one does not wait for that.
    """
    async with context_of(request).database.transaction() as connection:
        yield connection
        await live.announce(connection, CHANGED)
    door_of(request.app).remembered.forget()


def heard(app: FastAPI, topic: str) -> None:
    """Forget what is remembered when rights changed somewhere, or may have unheard ("")."""
    if topic in (CHANGED, ""):
        door_of(app).remembered.forget(lost=not topic)


async def flush(app: FastAPI) -> None:
    """Write down what was gathered in memory. Raises store.Unavailable."""
    context: Context = app.state.context
    door = door_of(app)
    await door.trail.flush(context.clock.now())
    await door.seen.flush(context.database)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Write down what was gathered, and let go of what is over, for as long as it runs."""
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(_keep(app))
        yield
        keeping.cancel()
    with contextlib.suppress(Unavailable):
        await flush(app)


async def _keep(app: FastAPI) -> None:
    context: Context = app.state.context
    tidy_at = context.clock.now()
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_EVERY_S):
                await context.closing.wait()
                return
        try:
            await flush(app)
            if context.clock.now() >= tidy_at:
                tidy_at = context.clock.now() + TIDY_EVERY
                await _tidy(context)
        except Unavailable as error:
            _log.warning("what was seen at the door waits for the database", why=str(error))


async def _tidy(context: Context) -> None:
    async with context.database.transaction() as connection:
        await access.forget_over(connection)
        now = await context.database.now(connection)
        await audit.prune(connection, now - context.audit_kept)


router = APIRouter(lifespan=lifespan)
