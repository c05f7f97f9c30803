"""What reached us since an instant, as lines of JSON: for another runbook to be tried with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.core.events import AlertPlaced, DeskClosed, DeskOpened
from tocsin.engine.turn import DESK, INCIDENT
from tocsin.sim.recording import FORMAT, TITLE, Beginning, End, Recorded, Recorder
from tocsin.store import codec, journal, silences

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
    from datetime import datetime

    from tocsin.core.events import Event
    from tocsin.store.database import Database

_DESK_EVENTS = (AlertPlaced, DeskOpened, DeskClosed)


async def lines(
    database: Database,
    since: datetime,
    until: datetime,
    revision: str,
    documents: Mapping[str, str],
) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an export: its beginning, a line for each record, and its end.

    ``documents`` are those of the revision in force. The export is whole when its end has come.
    Raises Unavailable where the database goes away.
    """
    yield _line(Beginning(TITLE, FORMAT, since, until, revision, dict(documents)))
    recorder = Recorder()
    records = 0
    async for record in _records(database, since, recorder):
        records += 1
        yield _line(record)
    yield _line({"end": End(records, recorder.left_out)})


async def _records(
    database: Database, since: datetime, recorder: Recorder
) -> AsyncIterator[Recorded]:
    async with database.reading() as connection:
        turns = [row.silence for row in await silences.find(connection)]
    ahead = sorted(
        (Recorded(max(s.starts_at, since), silence=s) for s in turns if s.ends_at > since),
        key=lambda record: record.at,
        reverse=True,
    )
    async for stream, at, event in journal.since(database, since):
        while ahead and ahead[-1].at <= at:
            yield ahead.pop()
        for record in _of(recorder, stream, at, event):
            yield record
    for record in recorder.end():
        yield record


def _of(recorder: Recorder, stream: str, at: datetime, event: Event) -> Iterator[Recorded]:
    if isinstance(event, _DESK_EVENTS):
        return recorder.take_desk(at, stream.removeprefix(DESK), event)
    return recorder.take_incident(at, stream.removeprefix(INCIDENT), event)


def _line(value: object) -> bytes:
    return codec.encode(value) + b"\n"
