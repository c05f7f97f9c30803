"""The audit trail is written before the act, and nobody fills a disk by knocking."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.web.site import Site
from tocsin.store import audit
from tocsin.store.audit import Entry
from tocsin.store.connection import Connection
from tocsin.store.database import Database, Unavailable
from tocsin.web.door import door_of, flush
from tocsin.web.guard import SESSION_COOKIE
from tocsin.web.trail import REFUSED_A_MINUTE_MAX, Act, Trail

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
KNOCK = Entry("", "anonymous", "refused", "GET /x")


class Away:
    """A database that nobody reaches."""

    def __init__(self) -> None:
        self.asked = 0

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        self.asked += 1
        raise Unavailable("The database does not answer: gone.")
        yield  # never


async def rows_of(database: Database) -> list[audit.Record]:
    async with database.reading() as c:
        return await audit.find(c, limit=500)


async def test_what_cannot_be_written_down_is_not_done(site: Site) -> None:
    door_of(site.app).trail = Trail(Away())  # type: ignore[arg-type]
    answer = await site.ask("POST", "/api/v1/incidents", json={"title": "Down"})
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert (await site.ask("GET", "/api/v1/incidents")).json()["incidents"] == []
    # Alerts do not wait for it: they are no act of a person.
    sent = await site.ask("POST", "/api/v2/alerts", json=[{"labels": {"alertname": "A"}}])
    assert sent.status_code == 200


async def test_an_end_that_cannot_be_written_leaves_the_answer_as_it_is(database: Database) -> None:
    trail = Trail(database)
    act = await trail.begin(Entry("Ona", "user", "POST /x"))
    await Trail(Away()).finish(act, 200)  # type: ignore[arg-type]
    assert [row.status for row in await rows_of(database)] == [None]
    await trail.finish(Act(act.number, "told"), 200)
    assert [(row.status, row.detail) for row in await rows_of(database)] == [(200, "told")]


async def test_knocking_costs_a_bounded_number_of_rows_and_is_counted(database: Database) -> None:
    trail = Trail(database)
    for _ in range(10_000):
        trail.refused(AT, KNOCK, 401)
    await trail.flush(AT)
    assert len(await rows_of(database)) == REFUSED_A_MINUTE_MAX
    trail.refused(AT + timedelta(minutes=1), KNOCK, 401)
    await trail.flush(AT + timedelta(minutes=1))
    rows = await rows_of(database)
    assert len(rows) == REFUSED_A_MINUTE_MAX + 2
    assert [r.detail for r in rows if r.status is None] == ["9,940 more in a minute"]


async def test_refusals_wait_for_the_database_without_growing(database: Database) -> None:
    away = Trail(Away())  # type: ignore[arg-type]
    for minute in range(50):
        for _ in range(500):
            away.refused(AT + timedelta(minutes=minute), KNOCK, 401)
        with pytest.raises(Unavailable):
            await away.flush(AT + timedelta(minutes=minute))
    assert len(away._refused) <= 3 * REFUSED_A_MINUTE_MAX


async def test_who_was_refused_is_told_with_the_reason_and_no_secret(site: Site) -> None:
    await site.http.get("/api/v1/users", headers={"Authorization": "Bearer wr0ng-secret"})
    await site.ask("GET", "/api/v1/users", "reader")
    await site.http.get("/api/v1/users", headers={"Cookie": f"{SESSION_COOKIE}={site.over}"})
    await site.http.post("/in/wr0ng-secret/api/v2/alerts", json=[])
    await site.http.post(
        "/api/v1/incidents",
        headers={"Cookie": f"{SESSION_COOKIE}={site.session}", "Origin": "http://evil.test"},
    )
    await site.http.get("/api/v1/users")  # Who has shown nothing yet is in the access log only.
    await flush(site.app)
    rows = await rows_of(site.context.database)
    assert [(r.actor, r.target, r.detail, r.status) for r in reversed(rows)] == [
        ("", "GET /api/v1/users", "This credential is not known here.", 401),
        ("reader", "GET /api/v1/users", "This credential does not have the scope admin.", 403),
        ("", "GET /api/v1/users", "This session is over.", 401),
        ("", "POST /in/***/api/v2/alerts", "This credential is not known here.", 401),
        ("", "POST /api/v1/incidents", "This change came from another site's page.", 403),
    ]
    assert "wr0ng" not in str(rows)
