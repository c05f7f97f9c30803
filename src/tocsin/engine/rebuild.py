"""Views from the journal: what is stored of each stream is compared with the fold of its events.

The journal is the truth; a state, a view and the rows of alerts only repeat it. Each stream is
claimed for itself, so that all this can be done while others work. Where events were pruned there
is nothing to fold, and the stream stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tocsin.core.evolve import fold, fold_desk
from tocsin.core.incident import new_incident
from tocsin.core.state import AlertRecord, DeskState, IncidentState
from tocsin.core.timers import timers_of
from tocsin.engine.turn import DESK, INCIDENT, DeskHeader
from tocsin.store import (
    alerts,
    codec,
    incident_alerts,
    incidents,
    journal,
    live,
    runbooks,
    streams,
    timers,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from tocsin.store import Connection, Database
    from tocsin.store.streams import Claimed

# What a damaged row or journal makes of a fold.
_SAID_EVERY_S = 1.0
_DAMAGE = (msgspec.DecodeError, LookupError, AssertionError)


class Verdict(StrEnum):
    """How a stream stands: as its journal says, not so, not to be told, or not to be read."""

    SAME = "same"
    DIFFERS = "differs"
    PRUNED = "pruned"
    UNREADABLE = "unreadable"


class Looked(msgspec.Struct, frozen=True):
    """What was found of one stream. ``what`` names what differs, or why it cannot be told."""

    stream: str
    verdict: Verdict
    events: int = 0
    what: tuple[str, ...] = ()


async def rebuild(database: Database, *, check: bool) -> AsyncGenerator[Looked, None]:
    """Look at every stream, and rewrite what differs unless this is only a ``check``.

    Raises Unavailable where the database goes away; what was rewritten by then stays so.
    """
    after = ""
    while True:
        async with database.reading() as connection:
            names = await journal.names(connection, after)
        if not names:
            return
        for name in names:
            yield await _look(database, name, check=check)
        after = names[-1]


async def tell(database: Database, *, check: bool) -> AsyncGenerator[bytes, None]:
    """Rebuild, and yield lines of JSON: what is not as it should be, how far it is, what it was.

    The last one says ``"done": true``.
    """
    counts: Counter[Verdict] = Counter()
    events = 0
    clock = asyncio.get_running_loop().time
    said_at = clock()
    async with contextlib.aclosing(rebuild(database, check=check)) as found:
        async for looked in found:
            counts[looked.verdict] += 1
            events += looked.events
            if looked.verdict is not Verdict.SAME:
                yield msgspec.json.encode(looked) + b"\n"
            elif clock() - said_at > _SAID_EVERY_S:
                said_at = clock()
                yield msgspec.json.encode({"streams": counts.total(), "events": events}) + b"\n"
    summary = {"done": True, "streams": counts.total(), "events": events}
    yield msgspec.json.encode({**summary, **{v.value: counts[v] for v in Verdict}}) + b"\n"


async def _look(database: Database, stream: str, *, check: bool) -> Looked:
    async with database.transaction() as connection:
        claimed = await streams.load(connection, stream) if check else None
        if claimed is not None or not check:
            # Also to compare: nobody may write between our looks.
            claimed = await streams.claim(connection, stream, wait=True)
        extent = await journal.extent(connection, stream)
        seq = max(claimed.seq if claimed is not None else 0, extent.last)
        if not extent.is_whole(seq):
            lost = f"{seq - extent.count:,} of its {seq:,} events are pruned"
            return Looked(stream, Verdict.PRUNED, extent.count, (lost,))
        kind = _Desk if stream.startswith(DESK) else _Incident
        part = kind(database, stream)
        try:
            async for page in journal.pages(connection, stream):
                part.take(page)
            what = await part.compare(connection, claimed, seq)
        except _DAMAGE as error:
            why = f"{type(error).__name__}: {error}"
            return Looked(stream, Verdict.UNREADABLE, extent.count, (why,))
        if not what:
            return Looked(stream, Verdict.SAME, extent.count)
        if not check:
            await part.write(connection, seq)
            await live.announce(connection, stream if stream.startswith(INCIDENT) else "board")
        return Looked(stream, Verdict.DIFFERS, extent.count, what)


class _Desk:
    """The fold of a desk's journal, and what is stored of the desk."""

    def __init__(self, database: Database, stream: str) -> None:
        self.database = database
        self.stream = stream
        self.state = DeskState(stream.removeprefix(DESK))
        self.at: datetime | None = None
        self._put: list[AlertRecord] = []
        self._forget: list[str] = []

    def take(self, page: list[journal.Recorded]) -> None:
        self.state = fold_desk((r.event for r in page), self.state)  # type: ignore[misc] # a desk's own
        self.at = page[-1].at

    async def compare(
        self, connection: Connection, claimed: Claimed | None, seq: int
    ) -> tuple[str, ...]:
        what = []
        header = DeskHeader(self.state.incident)
        if not _holds(claimed, seq, header, DeskHeader):
            what.append("the desk's own state")
        stored = await alerts.of(connection, self.state.service)
        now = await self.database.now(connection)
        folded = {codec.key(name): record for name, record in self.state.alerts.items()}
        missing = [r.signal.fingerprint for key, r in folded.items() if key not in stored]
        elsewhere = {codec.key(name) for name in await alerts.load(connection, missing)}
        for key, record in folded.items():
            known = stored.get(key)
            if known is not None and _ending_at(record, known.ends_at) == known.record:
                continue
            # An alert that ended may be pruned, and one that another desk took over is with that.
            if known is None and (not record.firing or key in elsewhere):
                continue
            # When its repeats moved its end to, nobody knows any more: it has time from now on.
            self._put.append(_ending_at(record, known.ends_at if known is not None else now))
        self._forget = [key for key in stored if key not in folded]
        if self._put or self._forget:
            what.append(f"{len(self._put) + len(self._forget):,} alerts of the desk")
        return tuple(what)

    async def write(self, connection: Connection, seq: int) -> None:
        state = codec.encode(DeskHeader(self.state.incident))
        await streams.save(connection, self.stream, seq, state)
        await alerts.forget(connection, self.state.service, self._forget)
        if self.at is not None:
            await alerts.put(connection, self.state.service, self._put, self.at)


class _Incident:
    """The fold of an incident's journal, and what is stored of the incident."""

    def __init__(self, database: Database, stream: str) -> None:
        self.database = database
        self.stream = stream
        self.state = new_incident(stream.removeprefix(INCIDENT))
        self.at: datetime | None = None

    def take(self, page: list[journal.Recorded]) -> None:
        self.state = fold(((r.at, r.event) for r in page), self.state)  # type: ignore[misc] # its own
        self.at = page[-1].at

    async def compare(
        self, connection: Connection, claimed: Claimed | None, seq: int
    ) -> tuple[str, ...]:
        if not seq:
            return ()
        what = []
        bare = replace(self.state, alerts={})
        if not _holds(claimed, seq, bare, IncidentState):
            what.append("the state")
        if not await incidents.is_as(connection, bare, await self._rank(connection)):
            what.append("the view")
        held = await incident_alerts.all_of(connection, self.state.id)
        folded = {codec.key(name): alert for name, alert in self.state.alerts.items()}
        differing = {
            key
            for key in held.keys() | folded.keys()
            if key not in folded or held.get(key) != folded[key]
        }
        if differing:
            what.append(f"{len(differing):,} of its alerts")
        return tuple(what)

    async def write(self, connection: Connection, seq: int) -> None:
        assert self.at is not None, "what differs from a fold has events"
        bare = replace(self.state, alerts={})
        await streams.save(connection, self.stream, seq, codec.encode(bare))
        rank = await self._rank(connection)
        await incidents.restore(connection, bare, rank, self.at)
        await incident_alerts.replace(connection, self.state.id, self.state.alerts)
        await timers.replace(connection, self.stream, timers_of(bare))

    async def _rank(self, connection: Connection) -> int | None:
        policy = await runbooks.policy(connection, self.state.revision)
        if policy is None:
            return None
        level = policy.severity(self.state.severity)
        return level.rank if level else len(policy.severities)


def _holds(claimed: Claimed | None, seq: int, state: object, kind: type[object]) -> bool:
    if claimed is None or claimed.seq != seq:
        return False
    if claimed.state is None:
        return seq == 0
    try:
        return codec.decode(claimed.state, kind) == state
    except msgspec.DecodeError:
        return False


def _ending_at(record: AlertRecord, ends_at: datetime | None) -> AlertRecord:
    """Return a record with the end that its repeats moved it to, which no event tells of."""
    if not record.firing or record.signal.ends_at is None:
        return record
    return replace(record, signal=replace(record.signal, ends_at=ends_at))
