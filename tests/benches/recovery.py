"""How soon a server that was killed answers again, with a million events in its journal.

Server and database are killed with SIGKILL right after the last event is written, so PostgreSQL
has its log to replay. The events are those of real incidents, written as turns write them. The
rate of a whole rebuild is that of ``tocsin rebuild --check`` through the API.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from msgspec.structs import replace

from tests.benches.shares import Row, a_second, in_s
from tests.benches.streams import storm
from tests.core.world import POLICY, START, SURROUNDINGS
from tests.proof.harness import Replica, Sink, deploy
from tocsin.core.events import IncidentEvent
from tocsin.core.incident import judge, new_incident
from tocsin.core.inputs import AlertTold
from tocsin.core.state import IncidentAlert, IncidentState
from tocsin.store import codec, incident_alerts, incidents, journal, runbooks, streams
from tocsin.store.connection import Connection
from tocsin.store.database import Database

ALERTS_EACH = 1_000


def rows(folder: Path, events: int = 1_000_000) -> list[Row]:
    """Write so many events, kill the server, and return how long it takes to be ready."""
    place = folder / "recovery"
    place.mkdir(mode=0o711)
    with Sink(place) as sink:
        deploy(place, sink)
        with Replica(place) as server:
            written = asyncio.run(_fill(server.sql_url, events))
            server.kill(database=True)
            began = time.perf_counter()
            server.start()
            took_s = time.perf_counter() - began
            began = time.perf_counter()
            looked = _rebuild(server)
            rebuilt_s = time.perf_counter() - began
            assert looked["events"] >= written
            assert looked["same"] == looked["streams"], looked
    return [
        (f"ready again after kill -9, {written:,} events", "<= 5 s", in_s(took_s)),
        (f"whole rebuild of {written:,} events", "", a_second(written, rebuilt_s)),
    ]


def _rebuild(server: Replica) -> dict[str, int]:
    with server.api.stream("POST", "/api/v1/rebuild", json={"check": True}, timeout=600) as answer:
        *_, last = answer.iter_lines()
    found: dict[str, int] = json.loads(last)
    return found


async def _fill(url: str, events: int) -> int:
    database = await Database.open(url, pool_size=1)
    try:
        async with database.transaction() as c:
            await runbooks.remember(c, POLICY.revision, {"runbook.md": "# x\n"}, POLICY, START)
        written = 0
        while written < events:
            async with database.transaction() as c:
                written += await _write_incident(c, await incidents.next_id(c))
    finally:
        await database.close()
    return written


async def _write_incident(c: Connection, name: str) -> int:
    """Write an incident of a thousand alerts and all its events."""
    state, alerts, recorded = new_incident(name), {}, []
    for received in storm(ALERTS_EACH, START, ends=None):
        told = AlertTold(received.signal, "checkout", firing=True, revision=POLICY.revision)
        decision, state = judge(POLICY, replace(state, alerts={}), told, SURROUNDINGS, START)
        alerts.update(state.alerts)
        recorded += [(event, START) for event in decision.events]
    return await _keep(c, name, state, alerts, recorded)


async def _keep(
    c: Connection,
    name: str,
    state: IncidentState,
    alerts: dict[str, IncidentAlert],
    recorded: list[tuple[IncidentEvent, object]],
) -> int:
    stream, bare = f"incident/{name}", replace(state, alerts={})
    await journal.append(c, stream, 1, recorded, POLICY.revision)
    await streams.claim(c, stream)
    await streams.save(c, stream, len(recorded), codec.encode(bare))
    await incidents.put(c, bare, 1)
    await incident_alerts.put(c, name, alerts)
    return len(recorded)
