"""What watching costs: asking a large database how it stands, and counting one thing in a process."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.engine.instruments import Instruments
from tocsin.store import counts
from tocsin.store.database import Database
from tocsin.store.embedded import Embedded

if TYPE_CHECKING:
    Row = tuple[str, str, str]

LOOKS = 20
# A company that has used it for years, in the middle of its worst storm.
FILL = (
    "INSERT INTO inbox (stream, priority, body, done_at)"
    " SELECT 'desk/' || n % 500, 1, '\\x7b7d', CASE WHEN n > {few} THEN now() END"
    " FROM generate_series(1, {many}) AS n",
    "INSERT INTO deliveries (id, incident, kind, recipient, contact, effect, state)"
    " SELECT 'd' || n, 'INC-' || n % 10000, 'page', 'ona', 'webhook:pager', '\\x7b7d',"
    " CASE WHEN n % 200 = 0 THEN 'pending' ELSE 'delivered' END"
    " FROM generate_series(1, {many}) AS n",
    "INSERT INTO timers SELECT 'incident/INC-' || n, 'rung', now() + n * interval '1 s'"
    " FROM generate_series(1, {few}) AS n",
    "INSERT INTO incidents (id, title, service, severity, rank, phase, is_open, state)"
    " SELECT 'INC-' || n, 't', 's', 'P' || n % 4, n % 4, 'triggered', n % 10 = 0, '\\x7b7d'"
    " FROM generate_series(1, {few}) AS n",
    "INSERT INTO alerts (fingerprint, service, firing, stale, record, updated_at)"
    " SELECT 'f' || n, 's' || n % 500, n % 2 = 0, false, '\\x7b7d', now()"
    " FROM generate_series(1, {few}) AS n",
    "INSERT INTO journal SELECT 'incident/INC-' || n % 10000, n, now(), 'r', '\\x7b7d'"
    " FROM generate_series(1, {many}) AS n",
)


def rows(folder: Path, many: int = 1_000_000) -> list[Row]:
    """Return rows for the table of ``make bench``."""
    return [*asyncio.run(_looking(folder / "watching", many)), *_counting()]


async def _looking(folder: Path, many: int) -> list[Row]:
    embedded = await Embedded.start(folder)
    try:
        database = await Database.open(embedded.url)
        try:
            async with database.transaction(patience_s=600) as connection:
                for statement in FILL:
                    await connection.execute(statement.format(many=many, few=many // 10))
            async with database.transaction(patience_s=600) as connection:
                await connection.execute("ANALYZE")
            took_ms = []
            for _ in range(LOOKS):
                began = time.perf_counter()
                await counts.standing(database)
                took_ms.append((time.perf_counter() - began) * 1000)
        finally:
            await database.close()
    finally:
        await embedded.stop()
    what = f"/metrics of {many:,} deliveries and events, {many // 10:,} inputs waiting"
    return [
        (f"{what}: median of {LOOKS}", "<= 250 ms", f"{statistics.median(took_ms):.0f} ms"),
        (f"{what}: slowest", "<= 1 s", f"{max(took_ms):.0f} ms"),
    ]


def _counting() -> list[Row]:
    instruments, times = Instruments(), 100_000
    began = time.perf_counter()
    for _ in range(times):
        instruments.answered("alerts", 200, 0.002)
    one_us = (time.perf_counter() - began) / times * 1e6
    return [("counting one request", "<= 10 us", f"{one_us:.1f} us")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=1_000_000, help="rows of the large tables")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place:
        Path(place).chmod(0o711)
        for row in rows(Path(place), options.many):
            print(*row, sep="  |  ")  # noqa: T201 - a bench prints
