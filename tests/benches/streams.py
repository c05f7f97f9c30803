"""How fast one stream is judged: a storm of alerts at one desk, and in its one incident.

Only turns are measured: what waits is put into the inbox first, and the clock runs from the first
claim to the last commit. A signal is of a usual size: eight labels and two annotations.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benches.shares import Row, a_second
from tests.core.world import DIRECTORY, POLICY
from tocsin.core.inputs import Signal, SignalReceived
from tocsin.core.surroundings import Tuning
from tocsin.engine.book import Book
from tocsin.engine.turn import Turns
from tocsin.runbook import Compiled
from tocsin.store import inbox
from tocsin.store.database import Database
from tocsin.store.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

DESK, INCIDENT = "desk/checkout", "incident/INC-1"
BUDGET = ">= 20,000 a second"
APPENDED_AT_ONCE = 5_000


def storm(
    count: int, at: datetime, *, ends: datetime | None, starts: datetime | None = None
) -> Iterator[SignalReceived]:
    """Yield one signal of each of so many alerts of one service."""
    for number in range(count):
        labels = {
            "alertname": "HighErrorRate",
            "service": "checkout",
            "severity": "P1",
            "instance": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:9100",
            "job": "node",
            "cluster": "eu-1",
            "namespace": "shop",
            "pod": f"checkout-{number:06d}",
        }
        annotations = {
            "summary": "Partial service degradation on checkout",
            "description": f"More than 5% of requests to checkout-{number:06d} fail for 10 minutes.",
        }
        yield SignalReceived(
            Signal(
                fingerprint=f"{number:016x}",
                source="prometheus",
                title="HighErrorRate",
                starts_at=starts or at,
                labels=labels,
                annotations=annotations,
                ends_at=ends,
                url="http://prometheus.example/graph?g0.expr=rate",
                key="ingest",
            ),
            at,
        )


async def measure(database: Database, alerts: int) -> list[Row]:
    """Run the storm: it arrives, repeats, is resolved. Return a row for each, desk and incident."""
    book = Book(
        Compiled(policy=POLICY, findings=(), ledger=(), documents={"runbook.md": "# x\n"}),
        DIRECTORY,
        configured=True,
    )
    turns = Turns(database, book, DIRECTORY, Tuning(repeat_every_s=0))
    now = datetime.now(UTC)  # noqa: TID251 - a real sender's time
    soon, past = now + timedelta(hours=1), now - timedelta(seconds=1)
    stages = (
        ("first arrivals", storm(alerts, now, ends=soon)),
        # As after a restart, when intake has forgotten them: the desk finds no news in any.
        ("repeats", storm(alerts, now, ends=soon)),
        ("resolves", storm(alerts, now, ends=past, starts=now - timedelta(minutes=5))),
        ("returns", storm(alerts, now, ends=soon)),
    )
    rows: list[Row] = []
    for name, signals in stages:
        await _keep(database, [(DESK, received) for received in signals])
        for stream in (DESK, INCIDENT):
            decided, took_s = await _drain(turns, stream)
            if decided >= alerts:
                kind = stream.partition("/")[0]
                what = f"{kind}: {name}, {alerts:,} alerts"
                rows.append((what, BUDGET, a_second(decided, took_s)))
    return rows


async def _keep(database: Database, items: list[tuple[str, SignalReceived]]) -> None:
    for first in range(0, len(items), APPENDED_AT_ONCE):
        async with database.transaction() as connection:
            await inbox.append(connection, items[first : first + APPENDED_AT_ONCE])


async def _drain(turns: Turns, stream: str) -> tuple[int, float]:
    began = time.perf_counter()
    decided = 0
    while (outcome := await turns.run(stream, wait=True)).decided:
        decided += outcome.decided
    return decided, time.perf_counter() - began


async def measured(folder: Path, alerts: int) -> list[Row]:
    """Measure on an embedded PostgreSQL of its own."""
    server = await Embedded.start(folder / "streams")
    try:
        database = await Database.open(server.url)
        try:
            return await measure(database, alerts)
        finally:
            await database.close()
    finally:
        await server.stop()


def rows(folder: Path, alerts: int = 50_000) -> list[Row]:
    """Return how many inputs a second a desk and an incident decide in a storm of so many alerts."""
    return asyncio.run(measured(folder, alerts))
