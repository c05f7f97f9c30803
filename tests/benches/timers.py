"""How late timers fire while a hundred thousand others wait.

The real engine with its job queue. The others are rows with their jobs, due in an hour. Those that
come due belong to real incidents: a rung ten seconds after each opened, spread over half a minute.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from tests.benches.shares import Row, in_ms, percentile
from tests.core.world import POLICY, line
from tests.engine.test_engine import engine_on, running
from tocsin.core.inputs import IncidentDeclared
from tocsin.core.policy import Clock, EscalationRule
from tocsin.store import timers
from tocsin.store.database import Database
from tocsin.store.embedded import Embedded

RUNG_S, SPREAD_S, DUE = 10, 30.0, 600
_A_STREAM = 100
_QUICK = replace(
    POLICY,
    escalations=(
        EscalationRule(("P1",), Clock.IMMEDIATE, 0, ("On-Call Engineer",), line(185)),
        EscalationRule(("P1",), Clock.UNRESOLVED, RUNG_S, ("Team Lead",), line(193)),
    ),
)


def rows(folder: Path, pending: int = 100_000) -> list[Row]:
    """Return how late timers were with so many pending."""
    return asyncio.run(_rows(folder / "timers", pending))


async def _rows(folder: Path, pending: int) -> list[Row]:
    server = await Embedded.start(folder)
    try:
        database = await Database.open(server.url)
        try:
            late_s = await _late(database, pending)
        finally:
            await database.close()
    finally:
        await server.stop()
    of = f"{len(late_s)} timers due with {pending:,} pending"
    return [
        (f"{of}: late, p50", "", in_ms(percentile(late_s, 50))),
        (f"{of}: late, p99", "<= 1 s", in_ms(percentile(late_s, 99))),
    ]


async def _late(database: Database, pending: int) -> list[float]:
    later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - by the real clock
    wanted = {f"rung/{n}": later + timedelta(seconds=n) for n in range(_A_STREAM)}
    for stream in range(pending // _A_STREAM):
        async with database.transaction() as c:
            await timers.replace(c, f"incident/WAITS-{stream}", wanted)
    engine = engine_on(database, policy=_QUICK)
    late_s: list[float] = []
    engine._instruments.fired = late_s.append
    async with running(engine):
        for number in range(DUE):
            declared = IncidentDeclared("Down", "Ona", "P1")
            await engine.declare(f"s{number}", declared)
            await asyncio.sleep(max(0.0, SPREAD_S / DUE - 0.02))
        async with asyncio.timeout(60):
            while len(late_s) < DUE:
                await asyncio.sleep(0.05)
    return late_s
