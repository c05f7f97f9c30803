"""The engine on a real database: what it takes in is decided, paged and escalated, whatever fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.core.world import DIRECTORY, POLICY, signal
from tocsin.core.inputs import (
    Acknowledged,
    AlertTold,
    IncidentDeclared,
    NoteWritten,
    ResolvedByPerson,
    SignalReceived,
)
from tocsin.core.phases import Phase
from tocsin.core.state import AlertRecord, IncidentState
from tocsin.core.surroundings import Contact, Matcher, Person, Silence, Tuning
from tocsin.engine.book import Book
from tocsin.engine.courier import Courier
from tocsin.engine.engine import Engine
from tocsin.engine.outbound import GuardedClient
from tocsin.engine.system import SystemClock
from tocsin.engine.turn import incident_stream
from tocsin.integrations.signals import Received, Rejected
from tocsin.integrations.wire import Credentials, HttpRequest, Links
from tocsin.runbook import Compiled
from tocsin.store import (
    alerts,
    codec,
    deliveries,
    inbox,
    incident_alerts,
    incidents,
    journal,
    quarantine,
    silences,
    streams,
    timers,
)

pytestmark = pytest.mark.anyio

CLOCK = SystemClock()
TUNING = Tuning(repeat_every_s=0, stability_s=1)
# Everybody is reached in the app only: these tests are about the engine, not about channels.
APP_ONLY = replace(
    DIRECTORY,
    people={k: replace(p, contacts=()) for k, p in DIRECTORY.people.items()},
    audiences={},
    channels={},
)


SLOW = replace(
    APP_ONLY,
    people={**APP_ONLY.people, "ona": Person("ona", "Ona", (Contact("mute", "1"),))},
)


class Mute:
    """A way to reach people that never answers."""

    def request(self, message, contact, links, credentials, delivery, at):
        return HttpRequest("POST", "http://127.0.0.1:1/", (), b"")

    async def perform(self, request):
        await asyncio.sleep(60)


class FaultyBook(Book):
    """A book with a bug: asking for the revision "boom" raises."""

    async def fetch(self, connection, revision):
        if revision == "boom":
            raise RuntimeError("a bug of ours")
        return await super().fetch(connection, revision)


def book(policy=POLICY, kind=Book, directory=APP_ONLY):
    compiled = Compiled(policy=policy, findings=(), ledger=(), documents={"runbook.md": "# x\n"})
    return kind(compiled, directory, configured=True)


def engine_on(
    database,
    *,
    policy=POLICY,
    kind=Book,
    tuning=TUNING,
    directory=APP_ONLY,
    clock=CLOCK,
    role="all",
):
    courier = Courier(
        database=database,
        outbound={"mute": Mute()},
        credentials=Credentials(),
        smtp=None,
        client=Mute() if directory is SLOW else GuardedClient(),
        links=lambda incident, page: Links(f"http://x/{incident}"),
        clock=clock,
    )
    return Engine(
        database, book(policy, kind, directory), courier, clock, directory, tuning, role=role
    )


@contextlib.asynccontextmanager
async def running(*engines):
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for engine in engines:
            group.create_task(engine.run(stop))
        try:
            yield
        finally:
            stop.set()


def now_signal(title="BackendDown", **options):
    return replace(signal(title, **options), starts_at=CLOCK.now())


def ended(fires):
    """The end of an alert, as it arrives: a moment after it, since what fires by any clock fires."""
    return replace(fires, ends_at=CLOCK.now() - timedelta(seconds=0.5))


def batch(*signals, rejected=()):
    return Received(tuple(signals), tuple(rejected), "prometheus", "ingest")


async def eventually(check, seconds=15.0):
    async with asyncio.timeout(seconds):
        while True:
            found = await check()
            if found:
                return found
            await asyncio.sleep(0.02)


async def all_incidents(database):
    async with database.reading() as c:
        return await incidents.find(c)


async def test_a_signal_becomes_an_incident_with_pages_and_timers(database):
    engine = engine_on(database)
    async with running(engine):
        await engine.receive(batch(now_signal(severity="P1")))
        [incident] = await eventually(lambda: all_incidents(database))
        assert (incident.severity, list(incident.pages)) == ("P1", ["ona"])
        async with database.reading() as c:
            due = await timers.of(c, incident_stream(incident.id))
            sent = await deliveries.find(c, incident=incident.id)
        assert list(due) == ["rung/L193/3600s/page"]
        assert due["rung/L193/3600s/page"] - incident.started_at == timedelta(hours=1)
        assert [d.kind for d in sent] == ["page"]


async def test_a_timer_fires_at_its_time_and_escalates(database):
    engine = engine_on(database, policy=POLICY.shortened(3600))
    async with running(engine):
        await engine.receive(batch(now_signal(severity="P1")))

        async def lead_is_paged():
            return [i for i in await all_incidents(database) if "tom" in i.pages]

        [incident] = await eventually(lead_is_paged)
        late = incident.pages["tom"].asked_at - incident.started_at - timedelta(seconds=1)
        assert timedelta(0) <= late < timedelta(seconds=2)


async def test_quiet_for_the_whole_window_resolves(database):
    engine = engine_on(database)
    async with running(engine):
        fires = now_signal(severity="P2")
        await engine.receive(batch(fires))
        await eventually(lambda: all_incidents(database))
        await engine.receive(batch(ended(fires)))

        async def resolved():
            return [i for i in await all_incidents(database) if i.phase is Phase.RESOLVED]

        [incident] = await eventually(resolved)
        async with database.reading() as c:
            assert await timers.of(c, incident_stream(incident.id)) == {}


async def test_a_declaration_is_open_when_it_returns(database):
    engine = engine_on(database)
    incident = await engine.declare("api", IncidentDeclared("All is lost", "Ona", "P0"))
    [state] = await all_incidents(database)
    assert (state.id, state.severity, state.title) == (incident, "P0", "All is lost")


async def test_an_act_is_decided_when_it_returns(database):
    engine = engine_on(database)
    incident = await engine.declare("api", IncidentDeclared("All is lost", "Ona", "P0"))
    assert await engine.act(incident, Acknowledged("Ona", "app")) == ""
    [state] = await all_incidents(database)
    assert state.acknowledged_by == "Ona"
    assert await engine.act(incident, ResolvedByPerson("Ona")) == ""
    refusal = await engine.act(incident, ResolvedByPerson("Ona"))
    assert refusal == f"{incident} is resolved already."


async def test_what_was_taken_in_before_a_crash_is_decided_after_the_restart(database):
    before = engine_on(database)
    await before.receive(batch(now_signal(severity="P0")))
    assert await all_incidents(database) == []  # The process dies here: nothing ran yet.
    after = engine_on(database)
    async with running(after):
        [incident] = await eventually(lambda: all_incidents(database))
        assert incident.severity == "P0"


async def test_a_repeat_is_not_taken_in_again_but_its_end_moves_on(database):
    engine = engine_on(database)
    fires = replace(now_signal(severity="P2"), ends_at=CLOCK.now() + timedelta(minutes=4))
    await engine.receive(batch(fires))
    async with running(engine):
        await eventually(lambda: all_incidents(database))
        later = CLOCK.now() + timedelta(minutes=8)
        await engine.receive(batch(replace(fires, ends_at=later)))
        async with database.reading() as c:
            assert await inbox.waiting_streams(c) == []

        async def moved():
            async with database.reading() as c:
                known = await alerts.load(c, [fires.fingerprint])
            return known[fires.fingerprint].signal.ends_at == later

        await eventually(moved)


async def test_a_poisonous_input_is_put_aside_and_its_siblings_go_on(database):
    engine = engine_on(database, kind=FaultyBook)
    good = now_signal("Good", severity="P2")
    stream = incident_stream("INC-77")
    async with database.transaction() as c:
        poison = AlertTold(good, "backend", firing=True, opens=True, revision="boom")
        healthy = AlertTold(good, "backend", firing=True, opens=True, revision="r1")
        await inbox.append(c, [(stream, poison), (stream, healthy)])
    async with running(engine):
        [incident] = await eventually(lambda: all_incidents(database))
        assert incident.id == "INC-77"
        async with database.reading() as c:
            assert await quarantine.count(c) == 1


async def test_poison_upon_poison_is_put_aside_and_the_engine_goes_on(database):
    engine = engine_on(database, kind=FaultyBook)
    told = [
        AlertTold(now_signal(f"A{n}"), "backend", firing=True, opens=True, revision=revision)
        for n, revision in enumerate(["boom", "boom", "boom", "r1"])
    ]
    async with database.transaction() as c:
        await inbox.append(c, [(incident_stream("INC-77"), item) for item in told])
    async with running(engine):
        [incident] = await eventually(lambda: all_incidents(database))
        async with database.reading() as c:
            held = await incident_alerts.find(c, incident.id)
        assert [alert.title for alert in held.values()] == ["A3"]
        async with database.reading() as c:
            assert await quarantine.count(c) == 3


async def test_a_stream_that_cannot_be_read_loses_nothing_and_stops_nobody_else(database):
    engine = engine_on(database)
    broken = incident_stream("INC-500")
    async with database.transaction() as c:
        await streams.claim(c, broken)
        await streams.save(c, broken, 3, b'{"phase": "nonsense"}')
        await inbox.append(c, [(broken, NoteWritten("Ona", "hello"))])
    async with running(engine):
        await engine.receive(batch(now_signal(severity="P1")))
        await eventually(lambda: all_incidents(database))
        async with database.reading() as c:
            assert [q.stream for q in await inbox.waiting_streams(c)] == [broken]
            assert await quarantine.count(c) == 0

        async def somebody_is_told():
            beats = engine.watchdog.state()
            return [b for b in beats if b.is_late and b.name == "the stream incident/INC-500"]

        # An escalation may wait on it; but alerts are taken in all the same.
        [fault] = await eventually(somebody_is_told)
        assert "cannot be read" in fault.detail
        assert not fault.is_vital


async def test_a_revision_that_cannot_be_read_is_the_fault_of_no_input(database):
    [incident] = [await engine_on(database).declare("api", IncidentDeclared("Down", "Ona", "P1"))]
    stream = incident_stream(incident)
    async with database.transaction() as c:
        claimed = await streams.claim(c, stream)
        state = replace(codec.decode(claimed.state, IncidentState), revision="boom")
        await streams.save(c, stream, claimed.seq, codec.encode(state))
        await inbox.append(c, [(stream, NoteWritten("Ona", "hello"))])
    engine = engine_on(database, kind=FaultyBook)
    async with running(engine):

        async def somebody_is_told():
            return [b for b in engine.watchdog.state() if b.name == f"the stream {stream}"]

        await eventually(somebody_is_told)
        async with database.reading() as c:
            assert await quarantine.count(c) == 0
            assert [q.stream for q in await inbox.waiting_streams(c)] == [stream]
        # Another process can read it, and decides; this one notices.
        async with database.transaction() as c:
            await streams.claim(c, stream, wait=True)
            await streams.save(c, stream, claimed.seq, claimed.state)
        engine._rests_until[stream] = 0.0

        async def it_is_mended():
            return not await somebody_is_told()

        await eventually(it_is_mended)


async def test_a_storm_at_one_desk_keeps_nobody_waiting(database):
    engine = engine_on(database)
    over = asyncio.Event()

    async def storm(sender):
        number = 0
        while not over.is_set():
            number += 1
            alert = now_signal(f"S{sender}/{number}", service="stormy", severity="P2")
            await engine.receive(batch(alert))

    async with running(engine), asyncio.TaskGroup() as group:
        for sender in range(6):
            group.create_task(storm(sender))
        try:
            await asyncio.sleep(0.5)
            await engine.receive(batch(now_signal("Quiet", service="quiet", severity="P1")))

            async def both_are_paged():
                return {"stormy", "quiet"} <= {i.service for i in await all_incidents(database)}

            await eventually(both_are_paged, 5)
            async with asyncio.timeout(5):
                await engine.declare("stormy", IncidentDeclared("All is lost", "Ona", "P0"))
        finally:
            over.set()


async def test_channels_that_do_not_answer_hold_up_no_escalation(database):
    engine = engine_on(database, policy=POLICY.shortened(1200), directory=SLOW)
    async with running(engine):
        others = [now_signal(f"A{n}", service=f"s{n}", severity="P2") for n in range(60)]
        await engine.receive(batch(*others, now_signal("Timed", service="timed", severity="P1")))

        async def lead_is_paged():
            return [i for i in await all_incidents(database) if "tom" in i.pages]

        [incident] = await eventually(lead_is_paged)
        late = incident.pages["tom"].asked_at - incident.started_at - timedelta(seconds=3)
        assert timedelta(0) <= late < timedelta(seconds=2)


async def test_a_stranded_delivery_that_hangs_does_not_hold_up_the_shutdown(database):
    before = engine_on(database, directory=SLOW)
    incident = await before.declare("api", IncidentDeclared("All is lost", "Ona", "P2"))
    async with database.transaction() as c:
        await c.execute("DELETE FROM tocsin_pgqueuer")

    async def is_tried():
        async with database.reading() as c:
            return [d for d in await deliveries.find(c, incident=incident) if d.attempts]

    async with running(engine_on(database, directory=SLOW)):
        await eventually(is_tried)
        stopping_at = time.monotonic()
    assert time.monotonic() - stopping_at < 5


async def test_what_fired_when_it_came_is_decided_although_we_were_away(database):
    before = engine_on(database)
    soon = CLOCK.now() + timedelta(seconds=0.2)
    await before.receive(batch(replace(now_signal(severity="P1"), ends_at=soon)))
    await asyncio.sleep(0.3)
    async with running(engine_on(database)):
        assert await eventually(lambda: all_incidents(database))


async def test_numbers_have_no_gaps_where_nothing_opened(database):
    engine = engine_on(database)
    for name in ("A", "B", "C"):
        await engine.receive(batch(replace(now_signal(name), ends_at=CLOCK.now())))
    async with running(engine):

        async def all_decided():
            async with database.reading() as c:
                return not await inbox.waiting_streams(c)

        await eventually(all_decided)
        assert await engine.declare("api", IncidentDeclared("All", "Ona", "P2")) == "INC-1"


async def test_half_a_surrogate_pair_in_a_title_opens_an_incident_like_any_other(database):
    engine = engine_on(database)
    async with running(engine):
        await engine.receive(batch(now_signal("half \ud800", severity="P2")))
        [incident] = await eventually(lambda: all_incidents(database))
        assert incident.title == "half \ud800"


async def test_a_silence_that_ends_during_a_turn_is_not_missed(database):
    engine = engine_on(database)
    at = CLOCK.now()
    silence = Silence("s1", (Matcher("service", "backend"),), at, at + timedelta(hours=1))
    await engine.silence(silence)
    async with asyncio.TaskGroup() as group, database.transaction() as c:
        # A desk's turn has read the silences, and is slow to commit what it decided.
        await silences.hold(c)
        ending = group.create_task(engine.unsilence("s1"))
        await asyncio.sleep(0.3)
        assert not ending.done()
        muted = AlertRecord(now_signal(severity="P1"), firing=True, muted_by="s1")
        await alerts.put(c, "backend", [muted], at)
    assert ending.result()
    [incident] = await all_incidents(database)
    assert incident.service == "backend"


async def test_two_senders_with_two_starts_cost_one_turn(database):
    engine = engine_on(database)
    first = now_signal(severity="P2")
    second = replace(first, starts_at=first.starts_at + timedelta(seconds=7))
    async with running(engine):
        for sent in (first, second):
            await engine.receive(batch(sent))
        await eventually(lambda: all_incidents(database))
        for sent in (first, second, first):
            await engine.receive(batch(sent))
            async with database.reading() as c:
                assert await inbox.waiting_streams(c) == []


async def test_what_another_process_saw_end_is_heard_again_here(database):
    one, two = engine_on(database), engine_on(database)
    fires = now_signal(severity="P2")
    async with running(one, two):
        await one.receive(batch(fires))
        await eventually(lambda: all_incidents(database))
        await two.receive(batch(ended(fires)))

        async def phases():
            return {incident.phase for incident in await all_incidents(database)}

        async def is_quiet():
            return await phases() <= {Phase.MONITORING, Phase.RESOLVED}

        await eventually(is_quiet)

        async def sent_again_it_is_open():
            await one.receive(batch(replace(fires, ends_at=CLOCK.now() + timedelta(minutes=4))))
            return Phase.TRIGGERED in await phases()

        await eventually(sent_again_it_is_open, 5)


async def test_what_keeps_firing_stays_with_what_a_person_resolved(database):
    engine = engine_on(database)
    fires = now_signal(severity="P2")
    await engine.receive(batch(fires))
    async with running(engine):
        [incident] = await eventually(lambda: all_incidents(database))
        assert await engine.act(incident.id, ResolvedByPerson("Ona")) == ""
        other = engine_on(database)  # It remembers nothing, so that the desk decides.
        await other.receive(batch(fires))

        async def all_decided():
            async with database.reading() as c:
                return not await inbox.waiting_streams(c)

        await eventually(all_decided)
        assert len(await all_incidents(database)) == 1
        await other.receive(batch(replace(fires, starts_at=CLOCK.now())))

        async def another_opened():
            return len(await all_incidents(database)) == 2

        assert await eventually(another_opened)


async def test_an_incident_keeps_its_revision_although_a_person_came_first(database):
    engine = engine_on(database)
    await engine.receive(batch(now_signal(severity="P2")))
    [stream] = await engine_turn(engine, "desk/backend")
    declared = IncidentDeclared("All is slow", "Ona")
    async with database.transaction() as c:
        await inbox.append(c, [("desk/backend", declared)])
    assert await engine_turn(engine, "desk/backend") == (stream,)
    await engine_turn(engine, stream)
    [incident] = await all_incidents(database)
    assert (incident.title, incident.revision) == ("All is slow", POLICY.revision)


async def engine_turn(engine, stream):
    return (await engine._turns.run(stream)).woke  # One turn and no more is the point.


async def test_a_rejected_member_is_kept_with_its_bytes_and_the_rest_goes_on(database):
    engine = engine_on(database)
    async with running(engine):
        bad = Rejected(b'{"labels": \x00}', "it is not JSON")
        await engine.receive(batch(now_signal(severity="P2"), rejected=[bad]))
        await eventually(lambda: all_incidents(database))
    async with database.reading() as c:
        assert await quarantine.count(c) == 1


async def test_two_engines_on_one_database_open_one_incident_a_service(database):
    one, two = engine_on(database), engine_on(database)
    async with running(one, two):
        for round_ in range(10):
            signals = [
                now_signal(
                    f"A{round_}",
                    service=f"s{number}",
                    severity="P1",
                    fingerprint=f"f{round_}/{number}",
                )
                for number in range(8)
            ]
            await asyncio.gather(
                one.receive(batch(*signals[::2])), two.receive(batch(*signals[1::2]))
            )

        async def all_joined():
            found = await all_incidents(database)
            return found if sum(i.alert_counts.total for i in found) == 80 else None

        found = await eventually(all_joined, 30)
        assert sorted(i.service for i in found) == sorted(f"s{n}" for n in range(8))
        for incident in found:
            async with database.reading() as c:
                sent = await deliveries.find(c, incident=incident.id)
            assert len([d for d in sent if d.kind == "page"]) == 1


async def test_concurrent_acts_of_people_are_each_decided_once(database):
    engine = engine_on(database)
    incident = await engine.declare("api", IncidentDeclared("All is lost", "Ona", "P2"))
    notes = [NoteWritten("Ona", f"note {n}") for n in range(20)]
    assert set(await asyncio.gather(*(engine.act(incident, n) for n in notes))) == {""}
    async with database.reading() as c:
        recorded = await journal.read(c, incident_stream(incident))
    texts = [r.event.text for r in recorded if type(r.event).__name__ == "NoteAdded"]
    assert sorted(texts) == sorted(n.text for n in notes)
    assert [r.seq for r in recorded] == list(range(1, len(recorded) + 1))


async def test_a_silence_mutes_and_its_end_brings_what_still_fires(database):
    engine = engine_on(database)
    async with running(engine):
        at = CLOCK.now()
        silence = Silence("s1", (Matcher("service", "backend"),), at, at + timedelta(hours=1))
        await engine.silence(silence)
        await engine.receive(batch(now_signal(severity="P0")))

        async def muted():
            async with database.reading() as c:
                rows = await alerts.find(c, firing_only=True)
            return rows and rows[0].record.muted_by == "s1"

        await eventually(muted)
        assert await all_incidents(database) == []
        assert await engine.unsilence("s1")
        assert await eventually(lambda: all_incidents(database))


async def test_the_journal_adds_up_to_the_state(database):
    from tocsin.core.evolve import fold

    engine = engine_on(database)
    incident = await engine.declare("api", IncidentDeclared("All is lost", "Ona", "P1"))
    await engine.act(incident, Acknowledged("Ona", "app"))
    await engine.act(incident, NoteWritten("Ona", "looking \x00 here"))
    async with database.reading() as c:
        recorded = await journal.read(c, incident_stream(incident))
        state = await incidents.get(c, incident)
    assert fold((r.at, r.event) for r in recorded) == state


async def test_a_signal_for_a_desk_that_was_given_twice_is_one_alert(database):
    engine = engine_on(database)
    fires = now_signal(severity="P2")
    async with database.transaction() as c:
        await inbox.append(c, [("desk/backend", SignalReceived(fires))] * 3)
    async with running(engine):
        [incident] = await eventually(lambda: all_incidents(database))
        assert incident.alert_counts.total == 1


async def test_a_web_process_takes_in_and_a_worker_decides(database):
    web = engine_on(database, role="web")
    worker = engine_on(database, role="worker")
    async with running(web):
        await web.receive(batch(now_signal(severity="P1")))
        await asyncio.sleep(0.2)
        assert await all_incidents(database) == []
        async with running(worker):
            [incident] = await eventually(lambda: all_incidents(database))
            assert await web.act(incident.id, Acknowledged("Ona", "web")) == ""
            [incident] = await all_incidents(database)
            assert incident.acknowledged_by == "Ona"


async def test_a_web_process_declares_alone_and_a_worker_delivers(database):
    web = engine_on(database, role="web")
    worker = engine_on(database, role="worker")
    async with running(web):
        incident = await web.declare("checkout", IncidentDeclared("All is lost", "Ona", "P1"))
        async with database.reading() as c:
            [page] = await deliveries.find(c, incident=incident)
        assert page.state == "pending"

        async def delivered():
            async with database.reading() as c:
                return all(d.state == "delivered" for d in await deliveries.find(c))

        async with running(worker):
            assert await eventually(delivered)


async def test_an_incident_that_was_declared_and_is_over_already_is_named(database):
    engine = engine_on(database)
    incident = await engine.declare("checkout", IncidentDeclared("All is lost", "Ona", "P1"))
    await engine.act(incident, ResolvedByPerson("Ona"))
    async with running(engine):

        async def desk_is_free():
            async with database.reading() as c:
                return not await inbox.waiting_streams(c)

        await eventually(desk_is_free)
    assert await engine._incident_of("checkout") == incident


async def test_the_storm_of_one_sender_keeps_no_other_sender_s_desk_waiting(database):
    engine = engine_on(database)
    storm = [
        (f"desk/a{n:05}", now_signal(f"S{n}", service=f"a{n:05}", severity="P2"))
        for n in range(3_000)
    ]
    async with database.transaction() as c:
        told = [(stream, SignalReceived(fires, CLOCK.now())) for stream, fires in storm]
        await inbox.append(c, told, "noisy")
        quiet = now_signal("Quiet", service="zz-quiet", severity="P1")
        await inbox.append(c, [("desk/zz-quiet", SignalReceived(quiet, CLOCK.now()))], "quiet")

    async def quiet_is_paged():
        return [i for i in await all_incidents(database) if i.service == "zz-quiet"]

    async with running(engine):
        await eventually(quiet_is_paged, 30)
        async with database.reading() as c:
            left = await c.fetchval("SELECT count(*) FROM inbox WHERE sender = 'noisy'")
        # Of three thousand desks most still wait, and so do the incidents of those that do not.
        assert left > 1_500


async def test_a_timer_whose_job_is_lost_fires_within_seconds(database):
    engine = engine_on(database, policy=POLICY.shortened(3600))
    await engine.declare("checkout", IncidentDeclared("All is lost", "Ona", "P1"))
    async with database.transaction() as c:
        await c.execute("DELETE FROM tocsin_pgqueuer")

    async def lead_is_paged():
        return [i for i in await all_incidents(database) if "tom" in i.pages]

    async with running(engine):
        [incident] = await eventually(lead_is_paged)
    late = incident.pages["tom"].asked_at - incident.started_at - timedelta(seconds=1)
    assert timedelta(0) <= late < timedelta(seconds=6)


async def test_a_step_of_the_sweep_that_fails_is_said_and_keeps_no_other_from_being_done(database):
    engine = engine_on(database)
    async with database.transaction() as c:
        await c.execute("ALTER TABLE silences RENAME TO silences_away")
        await timers.replace(c, "incident/INC-9", {"x": CLOCK.now() - timedelta(seconds=5)})
    await engine.audit()
    assert [b.name for b in engine.watchdog.state() if b.is_late] == ["the sweep (silences)"]
    async with database.transaction() as c:
        assert await timers.of(c, "incident/INC-9") == {}
        await c.execute("ALTER TABLE silences_away RENAME TO silences")
    await engine.audit()
    assert [b.name for b in engine.watchdog.state() if b.is_late] == []
