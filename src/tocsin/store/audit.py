"""Who did what, and who tried. No secret is ever written here.

What a person or a program asks for is written before it is done: a row without a status is
something that may have been done and whose end nobody saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("audit")
_CHARACTERS_MAX = 500


class Entry(msgspec.Struct, frozen=True):
    """One act. ``kind`` says what ``actor`` is: "user", "token", "link", "server" or "anonymous".

    ``action`` is the method and address of the API or a few words; ``target`` is what it was about.
    """

    actor: str
    kind: str
    action: str
    target: str = ""
    detail: str = ""
    address: str = ""


class Record(msgspec.Struct, frozen=True):
    """One act as it was kept. ``status`` is that of HTTP; None where the end was not seen."""

    id: int
    at: datetime
    actor: str
    kind: str
    address: str
    action: str
    target: str
    detail: str
    status: int | None


async def begin(c: Connection, entry: Entry) -> int:
    """Write down what is about to be done; return its number."""
    number: int = await c.fetchval(
        _SQL["begin"],
        _said(entry.actor),
        entry.kind,
        _said(entry.address),
        _said(entry.action),
        _said(entry.target),
        _said(entry.detail),
    )
    return number


async def finish(c: Connection, number: int, status: int, detail: str = "") -> None:
    """Write down how it ended. Needs a transaction; its commit does not wait for the disk."""
    await c.execute(_SQL["sooner"])
    await c.execute(_SQL["finish"], number, status, _said(detail))


async def add(c: Connection, entries: Sequence[tuple[datetime, Entry, int | None]]) -> None:
    """Write down what is done already, each with its instant and status."""
    if not entries:
        return
    await c.execute(
        _SQL["add"],
        [codec.moment(at) for at, _, _ in entries],
        [_said(entry.actor) for _, entry, _ in entries],
        [entry.kind for _, entry, _ in entries],
        [_said(entry.address) for _, entry, _ in entries],
        [_said(entry.action) for _, entry, _ in entries],
        [_said(entry.target) for _, entry, _ in entries],
        [_said(entry.detail) for _, entry, _ in entries],
        [status for _, _, status in entries],
    )


async def note(c: Connection, action: str, target: str) -> None:
    """Write down what the server did by itself, unless the last such act had the same target."""
    await c.execute(_SQL["note"], _said(action), _said(target))


async def find(
    c: Connection,
    *,
    actors: Sequence[str] = (),
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Record]:
    """Return acts, newest first; ``before`` is the number of the last one seen so far.

    An empty filter filters nothing; actors are compared without case.
    """
    rows = await c.fetch(
        _SQL["find"],
        before,
        None if since is None else codec.moment(since),
        [codec.text(actor).lower() for actor in actors],
        limit,
    )
    return [Record(*row) for row in rows]


class Counts(msgspec.Struct, frozen=True):
    """How much happened. ``more`` says that some refusals were only kept as a number."""

    done: int
    refused: int
    more: bool


async def count(c: Connection, since: datetime) -> Counts:
    """Return how many acts there were since then, and how many attempts were refused."""
    row = await c.fetchrow(_SQL["count"], codec.moment(since))
    assert row is not None, "a count has a row"
    return Counts(row["done"], row["refused"], row["more"])


async def prune(c: Connection, before: datetime, limit: int = 10_000) -> int:
    """Delete what is older, at most so many; return how many went."""
    tag = await c.execute(_SQL["prune"], codec.moment(before), limit)
    return int(tag.rpartition(" ")[2])


def _said(text: str) -> str:
    return codec.text(text)[:_CHARACTERS_MAX]
