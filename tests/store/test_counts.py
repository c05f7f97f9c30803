"""What waits, what stands, and how the database is set."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.store.samples import AT, alert, incident, page
from tocsin.core.inputs import Acknowledged, AlertLapsed, Signal, SignalReceived
from tocsin.store import alerts, counts, deliveries, inbox, incidents, quarantine, timers
from tocsin.store.database import Database, Unavailable

pytestmark = pytest.mark.anyio


async def test_an_empty_database_has_nothing_waiting(database: Database) -> None:
    found = await counts.standing(database)
    assert (found.inputs, found.deliveries, found.incidents, found.jobs) == ({}, {}, {}, {})
    assert (found.timers_due, found.timer_oldest_due_s, found.quarantined) == (0, 0.0, 0)
    assert found.quarantined_at is None
    assert found.journal_bytes > 0
    assert found.database_bytes > found.journal_bytes
    assert abs(found.at - await database.now()) < timedelta(seconds=5)


async def test_what_waits_is_counted_by_kind(database: Database) -> None:
    signal = Signal("f1", "prometheus", "Down", AT, {"service": "api"}, {}, None)
    now = await database.now()
    async with database.transaction() as c:
        await inbox.append(
            c,
            [
                ("desk/api", SignalReceived(signal, AT)),
                ("desk/api", AlertLapsed("f1", None)),
                ("incident/INC-1", Acknowledged("ana", "the API")),
            ],
        )
        await timers.replace(
            c, "incident/INC-1", {"a": now - timedelta(seconds=90), "b": now + timedelta(hours=1)}
        )
        await deliveries.add(c, "INC-1", [page(1), page(2), page(3)])
        await c.execute("UPDATE deliveries SET state = 'failed' WHERE id = 'INC-1/d3'")
        await incidents.put(c, incident(1), 1)
        await alerts.put(c, "api", [alert("f1"), alert("f2", firing=False)], AT)
        await quarantine.add(c, [("prometheus", "k", b"x", "no name")])
    found = await counts.standing(database)
    assert {kind: w.number for kind, w in found.inputs.items()} == {"people": 1, "others": 2}
    assert found.inputs["people"].oldest_s >= 0
    assert found.timers_due == 1
    assert 90 <= found.timer_oldest_due_s < 120
    assert {state: w.number for state, w in found.deliveries.items()} == {"due": 2}
    assert found.failed_lately == 1
    assert found.incidents == {"P1": 1}
    assert (found.alerts_firing, found.quarantined) == (1, 1)
    assert found.quarantined_at is not None
    assert found.jobs["timer"].waiting == 1
    # One job wakes a courier for all of them.
    assert found.jobs["delivery"].waiting == 1


async def test_a_delivery_that_is_due_and_in_nobodys_hands_is_stranded(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page(1), page(2)])
        await c.execute(
            "UPDATE deliveries SET due_at = now() - interval '20 s',"
            " leased_until = CASE WHEN id = 'INC-1/d2' THEN now() + interval '9 s' END"
        )
    found = await counts.standing(database)
    assert {state: w.number for state, w in found.deliveries.items()} == {
        "stranded": 1,
        "leased": 1,
    }
    assert found.deliveries["stranded"].oldest_s >= 20


async def test_who_is_alive_and_who_sends(database: Database) -> None:
    async with database.transaction() as c:
        await c.execute(
            "INSERT INTO processes (role, version, step, seen_at) VALUES"
            " ('all', '1', 7, now()), ('web', '2', 7, now() - interval '1 minute')"
        )
        await c.execute(
            "INSERT INTO senders (name, source, seen_at, signals) VALUES"
            " ('new', 'prometheus', now(), 3), ('old', 'report', now() - interval '2 hours', 1)"
        )
    found = await counts.standing(database)
    assert [(p.role, p.version, p.is_alive) for p in found.processes] == [
        ("all", "1", True),
        ("web", "2", False),
    ]
    assert [(s.name, s.source) for s in found.senders] == [("old", "report"), ("new", "prometheus")]
    assert found.senders[0].silent_s >= 7200


async def test_what_was_put_aside_is_grouped_by_reason(database: Database) -> None:
    async with database.transaction() as c:
        await quarantine.add(c, [("prometheus", "k", b"x", "no name")] * 3)
        await quarantine.add(c, [("report", "k", b"x", "no title")])
        found = await counts.quarantined(c)
    assert {(each.source, each.why): each.number for each in found} == {
        ("prometheus", "no name"): 3,
        ("report", "no title"): 1,
    }


async def test_the_server_says_how_it_is_set(database: Database) -> None:
    async with database.reading() as c:
        found = await counts.server(c)
        assert await counts.admins(c) == 0
    assert found.fsync == "on"
    assert found.version_number >= 180000
    assert not found.is_standby
    assert found.connections_max > found.connections_used > 0


async def test_counting_gives_up_where_the_database_is_away(database: Database) -> None:
    await database.close()
    with pytest.raises(Unavailable):
        await counts.standing(database)
