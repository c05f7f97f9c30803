"""What reached us, until it is judged. An input that is committed here is never lost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec

import tocsin
from tocsin.core.inputs import HUMAN_INPUTS, Input, SignalReceived
from tocsin.store import codec, migrate, processes, quarantine
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("inbox")
_COLUMNS = ("stream", "priority", "body", "sender")
# COPY needs a round trip more than INSERT, and less for each row.
_COPIED_FROM = 100
# SQLSTATE classes in which a value is at fault: data, integrity, limits, a trigger that objects.
# Where the statement is at fault (42), every value would be, and none goes to quarantine for it.
_FAULTS_OF_DATA = ("22", "23", "54", "P0")


TAKEN_BYTES_MAX = 2_097_152
"""What is taken at once is decided in one transaction, which must not last."""


class Waiting(msgspec.Struct, frozen=True):
    """One input that waits to be judged. ``received_at`` is by the database's clock.

    ``sender`` is who caused it, "" for people and ourselves.
    """

    id: int
    input: Input
    received_at: datetime
    sender: str = ""


class Queue(msgspec.Struct, frozen=True):
    """A stream with inputs that wait: who sent the first of them, and whether a person did so.

    ``is_passed`` is False where the look did not come past it in the order of the names.
    """

    stream: str
    sender: str
    is_urgent: bool
    is_passed: bool


class Arrival(msgspec.Struct, frozen=True):
    """A signal on its way in: its desk's stream, its bytes, and the name of who sent it."""

    stream: str
    body: bytes
    sender: str


class Unkeepable(Exception):  # noqa: N818 - it says how the values are
    """The database takes not all of these values as they are: <why>."""


async def append(c: Connection, items: Sequence[tuple[str, Input]], sender: str = "") -> list[int]:
    """Keep inputs, each for its stream, and return their ids in the same order.

    Durable when the transaction is. What people do is marked to go before signals. ``sender`` is
    who caused them, "" for people and ourselves, whose inputs count against nobody's share.
    """
    if not items:
        return []
    rows = await c.fetch(
        _SQL["append"],
        [codec.key(stream) for stream, _ in items],
        [0 if isinstance(given, HUMAN_INPUTS) else 1 for _, given in items],
        [codec.encode(given) for _, given in items],
        codec.key(sender),
    )
    return sorted(row["id"] for row in rows)


async def tell(c: Connection, items: Sequence[tuple[str, Input]], sender: str = "") -> None:
    """Keep what streams tell each other, as ``append`` does; nobody asks for the ids."""
    if len(items) < _COPIED_FROM:
        await append(c, items, sender)
        return
    name = codec.key(sender)
    records = (
        (codec.key(stream), 0 if isinstance(given, HUMAN_INPUTS) else 1, codec.encode(given), name)
        for stream, given in items
    )
    await c.copy_records_to_table("inbox", columns=_COLUMNS, records=records)


def arrival(stream: str, received: SignalReceived) -> Arrival:
    """Return a signal as it is kept."""
    return Arrival(stream, codec.encode(received), received.signal.key)


async def take_in(c: Connection, arrivals: Sequence[Arrival]) -> None:
    """Keep signals of many requests at once, and announce that to whoever judges them.

    Raises Unkeepable where a value is at fault; the transaction is lost then, and the next one
    should ``divide``.
    """
    try:
        await c.execute(
            _SQL["take_in"],
            [codec.key(a.stream) for a in arrivals],
            [a.body for a in arrivals],
            [codec.key(a.sender) for a in arrivals],
        )
    except asyncpg.PostgresError as error:
        if not str(error.sqlstate).startswith(_FAULTS_OF_DATA):
            raise
        raise Unkeepable(str(error)) from error


def may_blame_input(error: Exception) -> bool:
    """Say whether an error could be of what was judged; else every input would meet with it."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate).startswith(_FAULTS_OF_DATA)
    return True


async def divide(c: Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Keep all signals but those that the database refuses; return these, put into quarantine.

    They are found by halving: one among a thousand costs ten more statements.
    """
    await c.execute(_SQL["mark"])
    try:
        await take_in(c, arrivals)
    except Unkeepable as error:
        await c.execute(_SQL["come_back"])
        if len(arrivals) == 1:
            [refused] = arrivals
            why = f"The database cannot keep it: {error}."
            await quarantine.add(c, [("inbox", refused.sender, refused.body, why)])
            return [refused]
        half = len(arrivals) // 2
        return await divide(c, arrivals[:half]) + await divide(c, arrivals[half:])
    return []


async def waiting_by_sender(c: Connection, limit: int) -> dict[str, int]:
    """Return how many signals of each sender wait to be judged, counting no more than ``limit``."""
    rows = await c.fetch(_SQL["waiting_by_sender"], limit)
    return {row["sender"]: row["waiting"] for row in rows}


async def waiting_streams(c: Connection, limit: int = 200, after: str = "") -> list[Queue]:
    """Return streams with inputs not judged yet: people's first, then the longest waiting.

    Of the others than people's only ``limit`` streams are looked at, those that follow ``after`` in
    the order of their names: of ten thousand desks in a storm each is seen in its turn.
    """
    return [Queue(*row) for row in await c.fetch(_SQL["waiting_streams"], limit, codec.key(after))]


async def take(c: Connection, stream: str, limit: int = 500) -> list[Waiting]:
    """Return the next inputs of a stream: people's first, then in the order they came.

    The caller has claimed the stream. Bytes that cannot be read are put aside on the way, so that
    they cannot hold up the rest; but while a newer Tocsin runs on this database they are left to
    it, since it may have written them.
    """
    found = []
    unread: list[tuple[int, str]] = []
    for row in await c.fetch(_SQL["take"], codec.key(stream), limit, TAKEN_BYTES_MAX):
        try:
            given: Input = codec.decode(row["body"], Input)  # type: ignore[arg-type]  # a union is no type
        except msgspec.DecodeError as error:
            unread.append((row["id"], f"It could not be read: {error}."))
            continue
        found.append(Waiting(row["id"], given, row["received_at"], row["sender"]))
    if unread and not await _has_newer(c):
        for number, why in unread:
            await put_aside(c, number, why)
    return found


async def _has_newer(c: Connection) -> bool:
    """Say whether a process of a later version than ours lives."""
    ours = (len(migrate.migrations()), _version(tocsin.__version__))
    return any((p.step, _version(p.version)) > ours for p in await processes.alive(c))


def _version(text: str) -> tuple[int, ...]:
    """Return what orders versions: the numbers of "1.10.2"; of what follows them nothing counts."""
    return tuple(int(n) for n in itertools.takewhile(str.isdigit, text.split(".")))


async def finish(
    c: Connection, refusals: Mapping[int, str], done: Sequence[int], *, acts: bool = True
) -> None:
    """Note that inputs were judged: ``done`` holds their ids, ``refusals`` the sentences for some.

    Signals are deleted. What people did stays, with its refusal or "", until ``prune``. With
    ``acts`` false the caller knows that there is no person's act among them.
    """
    ids = sorted({*done, *refusals})
    if not ids:
        return
    await c.execute(_SQL["finish_signals"], ids)
    if acts:
        said = [codec.text(sentence) for sentence in refusals.values()]
        await c.execute(_SQL["finish_humans"], ids, list(refusals), said)


async def outcome(c: Connection, id: int) -> str | None:  # noqa: A002 - the contract's word
    """Return None while an input waits, "" once it was accepted, else the refusal sentence.

    An input that is not here any more was judged.
    """
    row = await c.fetchrow(_SQL["outcome"], id)
    if row is None:
        return ""
    return str(row["refusal"]) if row["done"] else None


async def put_aside(c: Connection, id: int, why: str) -> None:  # noqa: A002 - as above
    """Move one input that cannot be judged to quarantine, with its bytes.

    A person who waits for its outcome is told so.
    """
    await c.execute(_SQL["quarantine"], id, codec.text(why))
    await finish(c, {id: f"This could not be processed and was put aside. {why}"}, [id])


async def prune(c: Connection, older_than_s: int) -> None:
    """Forget outcomes that are older than so many seconds."""
    await c.execute(_SQL["prune"], older_than_s)
