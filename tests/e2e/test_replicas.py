"""Servers on one PostgreSQL: they share the work, hand it over, and say when they cannot."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.e2e.programs import ROOT, Process, tocsin, wait_until
from tests.fakes.webhook import FakeWebhook
from tests.proof.postgres import Postgres

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"


@pytest.mark.anyio  # for the fixture that makes the database
async def test_a_second_server_voids_no_key_of_the_first(embedded_url_empty, enterable_dir):
    one, two = enterable_dir / "replica-one", enterable_dir / "replica-two"
    with (
        tocsin(EXAMPLE, one, DATABASE_URL=embedded_url_empty) as first,
        tocsin(EXAMPLE, two, DATABASE_URL=embedded_url_empty) as second,
    ):
        assert first.token != second.token
        for server in (first, second):
            path = f"/in/{server.key}/api/v2/alerts"
            alert = {"labels": {"alertname": "Slow", "service": "api", "severity": "P2"}}
            server.api.post(path, json=[alert]).raise_for_status()
        [incident] = wait_until(second.incidents, why="one incident, seen by both")
        assert [i["id"] for i in first.incidents()] == [incident["id"]]
        acknowledged = second.api.post(f"/api/v1/incidents/{incident['id']}/acknowledge")
        acknowledged.raise_for_status()
        [seen] = first.incidents()
        assert seen["acknowledged_by"] == "admin"


SETTINGS = """
[people.ona]
contacts = ["webhook:pager"]
[roles]
"On-Call Engineer" = ["ona"]
[webhooks.pager]
url = "{pager}"
secret = {{ env = "PAGER_SECRET" }}
[outbound]
allow = ["127.0.0.1"]
[watchdog]
contacts = ["webhook:pager"]
after = "3s"
"""


class House:
    """A database, a pager, and any number of servers on both."""

    def __init__(self, folder: Path, url: str, pager: FakeWebhook) -> None:
        self.folder, self.url, self.pager = folder, url, pager
        self.settings = folder / f"replicas-{len(list(folder.iterdir()))}.toml"
        self.settings.write_text(SETTINGS.format(pager=pager.url))
        self.count = 0

    def server(self, *options: str):
        self.count += 1
        data = self.settings.with_suffix(f".data{self.count}")
        given = ("--config", str(self.settings), *options)
        return tocsin(EXAMPLE, data, *given, DATABASE_URL=self.url, PAGER_SECRET=self.pager.secret)

    def rows(self, sql: str) -> list:
        async def ask() -> list:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return asyncio.run(ask())


@pytest.fixture
def house(embedded, enterable_dir):
    name = f"replicas_{os.getpid()}_{next(_numbers)}"
    _administer(embedded.url, f"CREATE DATABASE {name} TEMPLATE template0")
    with FakeWebhook() as pager:
        yield House(enterable_dir, embedded.url.replace("@/tocsin?", f"@/{name}?"), pager)
    _administer(embedded.url, f"DROP DATABASE {name} WITH (FORCE)")


_numbers = itertools.count(1)


def _administer(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def alert(name: str = "Slow", service: str = "api") -> list[dict]:
    return [{"labels": {"alertname": name, "service": service, "severity": "P1"}}]


HOLDER = """
SELECT p.role FROM deliveries d JOIN processes p ON p.id = d.leased_by
WHERE d.state = 'pending' AND d.contact <> ''
"""


def test_one_takes_in_and_another_decides_and_delivers(house):
    with house.server("--role", "web") as web, house.server("--role", "worker") as worker:
        web.api.post("/api/v2/alerts", json=alert()).raise_for_status()
        [page] = house.pager.wait_for(1)
        [incident] = web.incidents()
        assert page.body["incident"] == incident["id"]
        for path in ("/healthz", "/readyz", "/metrics"):
            assert worker.api.get(path).status_code == 200
        for path in ("/api/v1/incidents", "/api/v2/alerts", "/", "/login"):
            assert worker.api.get(path).status_code == 404
        assert worker.api.post("/api/v2/alerts", json=alert()).status_code == 404
        assert worker.api.get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 401
        web.api.post(f"/api/v1/incidents/{incident['id']}/acknowledge").raise_for_status()
        assert {row["role"] for row in house.rows("SELECT role FROM processes")} == {
            "web",
            "worker",
        }
    assert house.rows("SELECT role FROM processes") == []


def test_a_part_of_tocsin_needs_a_database_that_the_other_reaches(house, enterable_dir):
    process = Process(
        *(sys.executable, "-m", "tocsin", "serve", "--runbook", str(EXAMPLE)),
        *("--data", str(enterable_dir / "alone"), "--role", "worker"),
    )
    assert process.child.wait(30) == 1
    assert process.line(r"^tocsin: --role worker: .* Set DATABASE_URL")


def test_the_link_of_one_signs_in_at_another_and_the_session_is_good_at_both(house):
    with house.server() as first, house.server() as second, httpx2.Client() as browser:
        link = first.line(r"/login/\S+")[0]
        own = {"Origin": second.url}
        answer = browser.post(f"{second.url}{link}", data={"name": "Ona Vale"}, headers=own)
        assert answer.status_code == 303
        for server in (first, second):
            assert browser.get(f"{server.url}/").status_code == 200
        again = browser.post(
            f"{first.url}{link}", data={"name": "Kim"}, headers={"Origin": first.url}
        )
        assert again.status_code == 410


def test_a_page_half_sent_by_one_that_freezes_is_sent_by_another_and_settled_once(house):
    with house.server() as first, house.server("--role", "worker") as second:
        house.pager.fail(503, delay_s=40)
        first.api.post("/api/v2/alerts", json=alert()).raise_for_status()
        [row] = wait_until(lambda: house.rows(HOLDER), why="somebody to have the page in hand")
        holder = first if row["role"] == "all" else second
        wait_until(lambda: house.pager.attempts, why="the page to be half sent")
        began = time.monotonic()
        holder.child.send_signal(signal.SIGSTOP)
        try:
            [page] = house.pager.wait_for(1, timeout_s=20)
            assert time.monotonic() - began <= 15
        finally:
            holder.child.send_signal(signal.SIGCONT)

        def state() -> str:
            [row] = house.rows("SELECT state, attempts FROM deliveries WHERE contact <> ''")
            return "" if row["state"] == "pending" else f"{row['state']} {row['attempts']}"

        assert wait_until(state, why="the page to be settled") == "delivered 2"
        assert {request.headers["idempotency-key"] for request in house.pager.requests} == {
            page.key
        }

        def reports() -> list:
            return [
                row
                for row in first.timeline(page.body["incident"])
                if row["event"] == "PageDelivered"
            ]

        wait_until(
            lambda: "goes on" in holder.output or holder.api.get("/readyz"), why="its waking"
        )
        assert len(wait_until(reports, why="the report")) == 1


def test_one_that_is_told_to_stop_hands_over_at_once(house):
    with house.server() as first:
        house.pager.fail(503, delay_s=60)
        first.api.post("/api/v2/alerts", json=alert()).raise_for_status()
        wait_until(lambda: house.pager.attempts, why="the page to be half sent")
        with house.server() as second:
            began = time.monotonic()
            assert first.stop() == 0
            assert time.monotonic() - began < 15
            house.pager.wait_for(1, timeout_s=5)
            assert [row["id"] for row in house.rows("SELECT id FROM processes")] == [
                row["id"] for row in house.rows("SELECT max(id) AS id FROM processes")
            ]
            second.api.get("/readyz").raise_for_status()


def test_the_watchdog_tells_of_a_lost_database_without_it_and_of_its_return(enterable_dir):
    folder = enterable_dir / "watchdog"
    folder.mkdir()
    folder.chmod(0o711)
    with FakeWebhook() as pager, Postgres(folder / "pg") as database:
        house = House(folder, database.url, pager)
        with house.server() as server:
            server.api.get("/readyz").raise_for_status()
            database.stop("immediate")
            [told] = pager.wait_for(1, timeout_s=40)
            assert told.body["title"] == "Tocsin itself is in trouble"
            assert any(line.startswith("the database: ") for line in told.body["lines"])
            assert any("process 1 (role all" in line for line in told.body["lines"])
            refused = server.api.get("/readyz")
            assert refused.status_code == 503
            assert "database does not answer" in refused.json()["why"]
            database.start()
            [_, over] = pager.wait_for(2, timeout_s=40)
            assert over.body["title"] == "Tocsin is well again"
            server.api.get("/readyz").raise_for_status()
            server.api.post("/api/v2/alerts", json=alert()).raise_for_status()
            page = pager.wait_for(3, timeout_s=20)[-1]
            assert page.body["topic"] == "page"
            assert len(pager.calls) == 3
