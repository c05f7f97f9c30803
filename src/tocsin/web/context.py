"""What the web room is given: the engine, the runbook in force, the database, clock, ids, names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from fastapi import Request

from tocsin.engine.about import About
from tocsin.engine.instruments import Instruments

if TYPE_CHECKING:
    from tocsin.base.clock import Clock, Ids
    from tocsin.core.inputs import IncidentDeclared, IncidentInput
    from tocsin.core.policy import Finding, Policy
    from tocsin.core.surroundings import Directory, Silence
    from tocsin.integrations.signals import Received
    from tocsin.runbook import Compiled
    from tocsin.store.connection import Connection
    from tocsin.store.database import Database
    from tocsin.web.links import Signer


class Engine(Protocol):
    """What the web room asks of the engine. Every call raises ``store.Unavailable`` when it must."""

    async def receive(self, batch: Received) -> None:
        """Make signals durable; the ones set aside are kept with their bytes.

        Raises ``room.Full`` where their sender has too much waiting: nothing was kept then.
        """
        ...

    async def declare(self, service: str, declaration: IncidentDeclared) -> str:
        """Open an incident, or join the open one of that service; return its id."""
        ...

    async def act(self, incident: str, input: IncidentInput) -> str:  # noqa: A002 - the engine's word
        """Decide a person's act; return "" or the sentence that refuses it."""
        ...

    async def silence(self, silence: Silence) -> None:
        """Store a silence, new or changed."""
        ...

    async def unsilence(self, id: str) -> bool:  # noqa: A002 - the engine's word
        """End a silence now; False when there is none to end."""
        ...


class Book(Protocol):
    """The runbook in force."""

    @property
    def current(self) -> Compiled:
        """Return the compiled runbook that new incidents get."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """Return what there is to say about it, and about who is named in it."""
        ...

    @property
    def refused(self) -> Compiled | None:
        """Return an edited version with errors, which is not in force, or None."""
        ...

    async def fetch(self, connection: Connection, revision: str) -> Policy:
        """Return the policy of a revision that an incident keeps."""
        ...


@dataclass(frozen=True)
class Context:
    """Everything a handler may use. ``public_url`` has no slash at its end.

    ``closing`` is set when the server is asked to stop, so that open streams end by themselves;
    ``restored`` when the database may have been replaced by a backup.
    ``about`` is what this process is; ``instruments`` is what it has counted. ``audit_kept`` is how
    long the audit trail is kept.
    """

    engine: Engine
    database: Database
    book: Book
    clock: Clock
    ids: Ids
    public_url: str
    directory: Directory
    signer: Signer
    version: str
    started_at: datetime
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    restored: asyncio.Event = field(default_factory=asyncio.Event)
    about: About = field(default_factory=About)
    instruments: Instruments = field(default_factory=Instruments)
    audit_kept: timedelta = timedelta(days=400)


def context_of(request: Request) -> Context:
    """Return the context of the application that a request reached."""
    context: Context = request.app.state.context
    return context
