"""Incidents, alerts, silences, runbooks, quarantine: what the screens and the desks read."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.store.samples import AT, NASTY, NASTY_SHOWN, alert, incident, signal, silence
from tocsin.core.inputs import SignalReceived
from tocsin.core.phases import Phase
from tocsin.core.policy import Policy
from tocsin.core.state import AlertRecord
from tocsin.store import alerts, inbox, incidents, quarantine, runbooks, silences
from tocsin.store.alerts import Lapsed, Repeat, Verdict
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


async def test_incident_ids_count_up(database: Database) -> None:
    async with database.transaction() as c:
        assert [await incidents.next_id(c) for _ in range(3)] == ["INC-1", "INC-2", "INC-3"]


async def test_an_incident_is_found_as_it_was_last_put(database: Database) -> None:
    first = incident(1, title=NASTY)
    later = incident(1, title=NASTY, phase=Phase.FIXING)
    async with database.transaction() as c:
        await incidents.put(c, first, 1)
        await incidents.put(c, later, 1)
        assert await incidents.get(c, "INC-1") == later
        assert await incidents.get(c, "INC-2") is None
        assert await c.fetchval("SELECT title FROM incidents") == NASTY_SHOWN


async def test_incidents_come_worst_first_then_newest(database: Database) -> None:
    async with database.transaction() as c:
        await incidents.put(c, incident(1, level="P1"), 1)
        await incidents.put(c, incident(2, level="P0"), 0)
        await incidents.put(c, incident(3, level="P1", opened_at=AT + HOUR), 1)
        assert [s.id for s in await incidents.find(c)] == ["INC-2", "INC-3", "INC-1"]
        assert [s.id for s in await incidents.find(c, limit=1)] == ["INC-2"]


async def test_incidents_are_found_by_phase_severity_service_and_openness(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await incidents.put(c, incident(1, level="P1", service="api"), 1)
        await incidents.put(c, incident(2, level="P2", service="db", phase=Phase.FIXING), 2)
        await incidents.put(c, incident(3, level="P3", service="db", phase=Phase.RESOLVED), 3)
        assert [s.id for s in await incidents.find(c, phases=["fixing", "resolved"])] == [
            "INC-2",
            "INC-3",
        ]
        assert [s.id for s in await incidents.find(c, severity="P1")] == ["INC-1"]
        assert [s.id for s in await incidents.find(c, service="db")] == ["INC-2", "INC-3"]
        assert [s.id for s in await incidents.find(c, service="db", open_only=True)] == ["INC-2"]


async def test_incidents_that_ended_lately_are_found_last_first(database: Database) -> None:
    before = await database.now()
    async with database.transaction() as c:
        await incidents.put(c, incident(1, phase=Phase.RESOLVED), 1)
        await incidents.put(c, incident(2), 1)
    async with database.transaction() as c:
        await incidents.put(c, incident(3, phase=Phase.REVIEWED), 1)
        assert [s.id for s in await incidents.ended(c, before)] == ["INC-3", "INC-1"]
        assert await incidents.ended(c, before + HOUR) == []


async def test_alerts_load_by_fingerprint(database: Database) -> None:
    nasty = AlertRecord(signal(NASTY), True)
    async with database.transaction() as c:
        await alerts.put(c, "api", [alert("f1"), alert("f2", firing=False), nasty], AT)
        assert await alerts.load(c, ["f1", NASTY, "unknown"]) == {"f1": alert("f1"), NASTY: nasty}


async def test_a_repeat_moves_only_the_end(database: Database) -> None:
    async with database.transaction() as c:
        before = alert("f1", ends_at=AT)
        await alerts.put(c, "api", [before, alert("over", ends_at=AT, firing=False)], AT)
        ends = {"f1": AT + HOUR, "over": AT + HOUR, "gone": None}
        repeats = [Repeat(name, "desk/api", end, AT + HOUR) for name, end in ends.items()]
        news = {"over": Verdict.NEWS, "gone": Verdict.NEWS}
        assert await alerts.touch(c, repeats) == news
        loaded = await alerts.load(c, ["f1", "over"])
        assert loaded["f1"] == alert("f1", ends_at=AT + HOUR)
        assert loaded["over"].signal.ends_at == AT
        (row,) = await alerts.find(c, firing_only=True)
        assert (row.record, row.service) == (loaded["f1"], "api")
        assert abs(row.updated_at - await database.now()) < timedelta(minutes=1)


async def test_a_repeat_is_news_unless_the_alert_ended_after_it_or_is_still_to_be_judged(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await alerts.put(c, "api", [alert("ended", firing=False), alert("stale", stale=True)], AT)
        await inbox.append(c, [("desk/busy", SignalReceived(signal("new")))])
        repeats = [
            Repeat("ended", "desk/api", None, AT),
            Repeat("stale", "desk/api", None, AT),
            Repeat("new", "desk/busy", None, AT),
        ]
        found = await alerts.touch(c, repeats)
    assert found == {"ended": Verdict.OVER, "stale": Verdict.NEWS, "new": Verdict.EARLY}


async def test_only_firing_alerts_that_are_overdue_lapse(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        overdue = now - timedelta(minutes=10)
        await alerts.put(
            c,
            "api",
            [
                alert("overdue", ends_at=overdue),
                alert("in grace", ends_at=now - timedelta(minutes=2)),
                alert("in time", ends_at=now + HOUR),
                alert("endless"),
                alert("over", ends_at=overdue, firing=False),
                alert("stale", ends_at=overdue, stale=True),
            ],
            overdue,
        )
        # Its sender's clock is behind ours, but it was sent again a moment ago.
        await alerts.put(c, "api", [alert("sent again", ends_at=overdue)], now)
        assert await alerts.lapsed(c, 300) == [Lapsed("api", "overdue", overdue)]


async def test_alerts_of_one_incident(database: Database) -> None:
    async with database.transaction() as c:
        await alerts.put(c, "api", [alert("f1"), alert("f2", incident=None)], AT)
        await alerts.put(c, "db", [alert("f3", incident="INC-2", firing=False)], AT)
        assert [r.record.signal.fingerprint for r in await alerts.find(c)] == ["f1", "f2", "f3"]
        (row,) = await alerts.find(c, incident="INC-2")
        assert (row.service, row.record.firing) == ("db", False)
        assert await alerts.find(c, incident="INC-2", firing_only=True) == []


async def test_firing_alerts_come_in_portions_each_once(database: Database) -> None:
    names = sorted(f"f{number}" for number in range(25))
    async with database.transaction() as c:
        await alerts.put(c, "api", [alert(name) for name in names], AT)
        await alerts.put(c, "db", [alert("over", firing=False)], AT)
    async with database.reading() as c:
        for portion in (1, 5, 24, 25, 26):
            rows = [row async for some in alerts.firing(c, portion) for row in some]
            assert [row.record.signal.fingerprint for row in rows] == names
            assert {row.service for row in rows} == {"api"}


async def test_a_silence_is_active_between_its_ends(database: Database) -> None:
    async with database.transaction() as c:
        await silences.put(c, silence())
        for at, expected in ((AT - HOUR, 0), (AT, 1), (AT + HOUR / 2, 1), (AT + HOUR, 0)):
            assert len(await silences.active(c, at)) == expected
        found = await silences.get(c, "s1")
        assert found is not None
        assert found.silence == silence()
        assert await silences.get(c, "s2") is None
        assert [r.silence for r in await silences.find(c)] == [silence()]


async def test_an_expired_silence_is_over_at_once_and_only_once(database: Database) -> None:
    async with database.transaction() as c:
        await silences.put(c, silence("running"))
        await silences.put(c, silence("pending", starts_at=AT + HOUR))
        at = AT + HOUR / 2
        assert await silences.expire(c, "running", at)
        assert await silences.expire(c, "pending", at)
        assert not await silences.expire(c, "running", at)
        assert not await silences.expire(c, "unknown", at)
        assert await silences.active(c, at) == ()
        assert await silences.active(c, AT + HOUR) == ()


async def test_each_turn_of_a_silence_is_told_once(database: Database) -> None:
    async with database.transaction() as c:
        await silences.put(c, silence())
        assert not await silences.has_turned(c, AT - HOUR)
        assert await silences.turned(c, AT - HOUR) == []
        assert await silences.has_turned(c, AT)
        assert await silences.turned(c, AT) == ["s1"]
        assert not await silences.has_turned(c, AT)
        assert await silences.turned(c, AT) == []
        await silences.put(c, silence())
        assert await silences.turned(c, AT) == ["s1"]
        assert await silences.turned(c, AT + HOUR) == ["s1"]
        assert await silences.turned(c, AT + 2 * HOUR) == []


async def test_a_silence_turns_when_nobody_holds_them_any_more(database: Database) -> None:
    async def turn() -> None:
        async with database.transaction() as c:
            await silences.begin_turning(c)

    async with asyncio.TaskGroup() as group:
        async with database.transaction() as one, database.transaction() as other:
            await silences.hold(one)
            await silences.hold(other)
            turning = group.create_task(turn())
            await asyncio.sleep(0.1)
            assert not turning.done()
        async with asyncio.timeout(5):
            await turning


async def test_a_revision_keeps_its_policy_and_its_words(database: Database) -> None:
    policy = Policy("r1", "Runbook")
    async with database.transaction() as c:
        await runbooks.remember(c, "r1", {"runbook.md": NASTY}, policy, AT)
        await runbooks.remember(c, "r1", {"runbook.md": NASTY}, policy, AT)
        assert await runbooks.policy(c, "r1") == policy
        assert await runbooks.documents(c, "r1") == {"runbook.md": NASTY}
        assert await runbooks.policy(c, "r2") is None


async def test_quarantine_keeps_any_bytes(database: Database) -> None:
    async with database.transaction() as c:
        await quarantine.add(c, [])
        assert await quarantine.count(c) == 0
        await quarantine.add(c, [("prometheus", NASTY, b"\x00\xff", NASTY), ("x", "k", b"", "why")])
        assert await quarantine.count(c) == 2
        assert await c.fetchval("SELECT raw FROM quarantine ORDER BY id LIMIT 1") == b"\x00\xff"
