"""Real servers on a PostgreSQL of somebody else's: late, silent, upgraded, behind a pooler."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.proof.harness import (
    Postgres,
    Replica,
    Sending,
    Sink,
    deploy,
    send,
    wait_for,
    workplace,
)
from tests.proof.reckoning import reckon
from tests.store.pooler import Pooler
from tocsin.store import migrate
from tocsin.store.migrate import Kind, Migration, migrations

pytestmark = pytest.mark.xdist_group("proof")
KNOWN = migrations()


@pytest.fixture
def folder() -> Iterator[Path]:
    with workplace("databases") as place:
        yield place


def _alerts(count: int, services: int = 1, word: str = "A") -> list[dict]:
    return [
        {
            "labels": {"alertname": f"{word}{n}", "service": f"s{n % services}", "severity": "P1"},
        }
        for n in range(count)
    ]


def _post(replica: Replica, name: str, timeout_s: float = 20) -> int:
    alerts = _alerts(1, word=name)
    return httpx2.post(replica.inlet, json=alerts, timeout=timeout_s).status_code


def _grow(url: str, number: int, sql: str, kind: Kind = "expand") -> None:
    """Bring the tables to a later step, as the start of a newer release does."""

    async def apply() -> None:
        connection = await asyncpg.connect(url)
        steps = [*KNOWN]
        for later in range(len(KNOWN) + 1, number):
            steps.append(Migration(later, f"future_{later}", "expand", "SELECT 1"))
        steps.append(Migration(number, f"future_{number}", kind, sql))
        await migrate.apply(connection, steps)
        await connection.close()

    asyncio.run(apply())


def test_a_server_waits_for_a_database_that_is_late(folder: Path) -> None:
    with Sink(folder) as sink, Postgres(folder / "pg") as database:
        deploy(folder, sink)
        database.stop()
        replica = Replica(folder, database.url)
        replica.start(wait=False)
        try:
            wait_for(lambda: "Waiting for it, up to" in replica.output, 30, "it to say that")
            database.start()
            replica.wait_until_ready()
            assert _post(replica, "late") == 200
        finally:
            replica.stop()


def test_a_silent_database_is_answered_503_and_then_at_once(folder: Path) -> None:
    with Sink(folder) as sink, Postgres(folder / "pg") as database:
        deploy(folder, sink)
        with Replica(folder, database.url) as replica:
            assert _post(replica, "before") == 200
            database.freeze()
            try:
                began = time.monotonic()
                assert _post(replica, "first") == 503
                assert time.monotonic() - began < 10
                wait_for(lambda: "does not answer" in replica.output, 15, "it to say that")
                began = time.monotonic()
                assert _post(replica, "second") == 503
                assert time.monotonic() - began < 2
                assert httpx2.get(f"{replica.url}/readyz").status_code == 503
                assert httpx2.get(f"{replica.url}/healthz").status_code == 200
            finally:
                database.thaw()
            began = time.monotonic()
            accepted = send([replica], _alerts(1, word="after"), rate=10)
            assert time.monotonic() - began < 8
            assert reckon(database.url, sink.calls()).lost(accepted) == []


def test_old_code_serves_and_pages_on_tables_that_grew(folder: Path) -> None:
    with Sink(folder) as sink, Postgres(folder / "pg") as database:
        deploy(folder, sink, {"P1": (1,)})
        with Replica(folder, database.url) as replica:
            send([replica], _alerts(1), rate=10)
        grown = len(KNOWN) + 1
        _grow(database.url, grown, "ALTER TABLE incidents ADD COLUMN mood text DEFAULT 'calm'")
        with Replica(folder, database.url) as replica:
            send([replica], _alerts(1, word="B"), rate=10)
            wait_for(lambda: len({c.contact for c in sink.calls()}) >= 2, 30, "two to be paged")
        _grow(database.url, grown + 1, "ALTER TABLE incidents DROP COLUMN mood", "contract")
        replica = Replica(folder, database.url)
        replica.start(wait=False)
        wait_for(lambda: replica.status is not None, 60, "it to refuse")
        assert replica.status == 1
        assert "newer Tocsin" in replica.output
        assert "Traceback" not in replica.output


def test_tables_grow_under_two_servers_at_work_and_nothing_is_lost(folder: Path) -> None:
    steps = (
        "ALTER TABLE inbox ADD COLUMN later_a text NOT NULL DEFAULT ''",
        "ALTER TABLE incidents ADD COLUMN later_b bigint; CREATE INDEX ON incidents (later_b)",
        "ALTER TABLE deliveries ADD COLUMN later_c text; CREATE TABLE later (id bigint)",
        "ALTER TABLE alerts ADD COLUMN later_d boolean NOT NULL DEFAULT false",
    )
    with Sink(folder) as sink, Postgres(folder / "pg") as database:
        deploy(folder, sink, {"P1": (2,)})
        with (
            Replica(folder, database.url, name="one") as one,
            Replica(folder, database.url, name="two") as two,
        ):
            sending = Sending(folder, [one.inlet, two.inlet], _alerts(1_500, 30), rate=150)
            for number, sql in enumerate(steps, len(KNOWN) + 1):
                wait_for(
                    lambda n=number: len(sending.accepted()) > 250 * (n - len(KNOWN)),
                    60,
                    "alerts to be accepted",
                )
                _grow(database.url, number, sql)
                if number == len(KNOWN) + 2:
                    # One after the other is replaced, as in a rolling upgrade.
                    one.stop()
                    one.start()
            sending.wait(120)
            accepted = sending.accepted()
            assert len(accepted) == 1_500
            wait_for(
                lambda: not reckon(database.url, sink.calls()).left_over, 60, "all to be decided"
            )
            found = reckon(database.url, sink.calls())
            assert found.lost(accepted) == []
            assert found.wrong_states == []
            wait_for(
                lambda: len({(c.body["service"], c.contact) for c in sink.calls()}) >= 60,
                60,
                "two people to be paged for each of thirty services",
            )
            assert set(sending.answers()) <= {200, 503, 0}


def test_a_server_works_through_a_pooler(folder: Path) -> None:
    with Sink(folder) as sink, Postgres(folder / "pg") as database:
        deploy(folder, sink, {"P1": (2, 3)})
        place = folder / "pooler"
        place.mkdir()
        with Pooler(database, place) as pooler, Replica(folder, pooler.url) as replica:
            assert "DATABASE_DIRECT_URL" in replica.output
            accepted = send([replica], _alerts(50, 5), rate=100)
            wait_for(
                lambda: len({(c.body["service"], c.contact) for c in sink.calls()}) >= 15,
                60,
                "three people to be paged for each of five services",
            )
            [incident, *_] = replica.api.get("/api/v1/incidents").json()["incidents"]
            done = replica.api.post(f"/api/v1/incidents/{incident['id']}/acknowledge")
            assert done.status_code == 200
            assert reckon(database.url, sink.calls()).lost(accepted) == []
