"""What was served and what is replayed are the same: the same inputs give the same events.

A real engine on a real database lives through a story, with hours that pass in seconds. What reached
it is exported and replayed in virtual time. Identifiers of deliveries and instants differ; who was
graded, paged, told, held, watched and resolved, why, by which line and in which order does not.
"""

from __future__ import annotations

import asyncio
import difflib
import random
from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from tests.core.world import DIRECTORY, POLICY, signal
from tests.engine.test_engine import CLOCK, batch, ended, engine_on, eventually, running
from tocsin.core import events as ev
from tocsin.core import inputs as inp
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Contact, Matcher, Person, Silence, Surroundings, Tuning
from tocsin.engine import recorded
from tocsin.engine.courier import Courier
from tocsin.engine.turn import incident_stream
from tocsin.integrations.wire import Credentials, Delivered, HttpRequest, HttpResponse, Links
from tocsin.sim.recording import Beginning, End, Recorded
from tocsin.sim.replay import Humans, Replay
from tocsin.store import inbox, incidents, journal

pytestmark = pytest.mark.anyio

HOUR_PASSES_IN_S = 1.5
FAST = POLICY.shortened(3600 / HOUR_PASSES_IN_S)
TUNING = Tuning(repeat_every_s=4, stability_s=1)
EVERYBODY = replace(
    DIRECTORY,
    people={
        name: Person(name, person.name, (Contact("taken", name),))
        for name, person in DIRECTORY.people.items()
    },
    audiences={},
    channels={"#incidents": Contact("taken", "channel")},
)


class Taken:
    """A channel that takes everything at once."""

    def request(self, message, contact, links, credentials, delivery, at):
        return HttpRequest("POST", "http://127.0.0.1:1/", (), b"")

    def outcome(self, response):
        return Delivered()

    async def perform(self, request):
        return HttpResponse(200, (), b"")


def served_by(database):
    engine = engine_on(database, policy=FAST, tuning=TUNING, directory=EVERYBODY)
    engine._courier = Courier(
        database=database,
        outbound={"taken": Taken()},
        credentials=Credentials(),
        smtp=None,
        client=Taken(),
        links=lambda incident, page: Links(f"http://x/{incident}"),
        clock=CLOCK,
    )
    engine.presence.on_entry(lambda process: setattr(engine._courier, "process", process))
    return engine


async def story(engine, database, seed):
    """Let alerts come, end and be silenced while people act, in a dozen steps of 0.35 s."""
    chance = random.Random(seed)  # noqa: S311 - the same for the same seed
    firing = {}
    for _ in range(12):
        await eventually(lambda: nothing_comes_due(database))
        service = chance.choice(("api", "web"))
        what = chance.choice(("fires", "fires", "fires", "ends", "people", "people", "silence"))
        if what == "fires":
            name = chance.choice(("A", "B"))
            level = chance.choice(("P0", "P1", "P2", "P3", ""))
            labels = {"severity": level} if level else {}
            fires = signal(name, service=service, fingerprint=f"{service}/{name}", **labels)
            firing[fires.fingerprint] = replace(fires, starts_at=CLOCK.now())
            await engine.receive(batch(firing[fires.fingerprint]))
        elif what == "ends" and firing:
            await engine.receive(batch(ended(firing.pop(sorted(firing)[0]))))
        elif what == "silence":
            now = CLOCK.now()
            lasts = timedelta(seconds=chance.uniform(0.9, 1.9))
            await engine.silence(
                Silence(f"s{chance.random()}", (Matcher("service", service),), now, now + lasts)
            )
        elif what == "people":
            await act(engine, database, chance, service)
        await asyncio.sleep(0.35)


async def act(engine, database, chance, service):
    async with database.reading() as c:
        there = sorted((state for state in await incidents.find(c)), key=lambda s: s.id)
    if not there or chance.random() < 0.25:
        breach = chance.random() < 0.3
        level = chance.choice((None, "P0", "P2"))
        await engine.declare(service, inp.IncidentDeclared("It is broken", "Ona", level, breach))
        return
    doing = chance.choice(
        (
            inp.Acknowledged("Ona", "the app"),
            inp.Acknowledged("Tom", "a link", "tom"),
            inp.PhaseMoved("Ona", chance.choice((Phase.INVESTIGATING, Phase.FIXING))),
            inp.SeverityChosen("Ona", chance.choice(("P0", "P1", "P3")), "so it is"),
            inp.ResolvedByPerson("Ona", "mended"),
            inp.ReopenedByPerson("Ona", "not mended"),
            inp.NoteWritten("Ona", "hm"),
            inp.SecurityBreachDeclared("Ona"),
        )
    )
    await engine.act(chance.choice(there).id, doing)


async def nothing_comes_due(database):
    """Say whether no timer is about to fire: which of two in one instant is first, nobody promises."""
    async with database.reading() as c:
        query = "SELECT count(*) FROM timers WHERE due_at < now() + interval '0.45 s'"
        return not await c.fetchval(query)


async def nothing_waits(database):
    async with database.reading() as c:
        return not await inbox.waiting_streams(c)


def told(event):
    """Return an event without what differs: ids of deliveries, of incidents, and instants."""
    plain = msgspec.to_builtins(event)
    for name in ("delivery", "repeat_at", "until", "incident", "signal"):
        plain.pop(name, None)
    return str(plain)


REPORTS = (ev.PageDelivered, ev.NoticeDelivered)


def as_story(events):
    """Return the judgements in their order, and how often each delivery was reported."""
    judged: list[str] = []
    repeats: list[str] = []
    for event in events:
        if isinstance(event, ev.PageAsked) and event.because is ev.Because.REPEAT:
            repeats.append(told(event))
        elif not isinstance(event, REPORTS):
            # Pages that repeat in the same instant have no order.
            judged += [*sorted(repeats), told(event)]
            repeats.clear()
    judged += sorted(repeats)
    return judged, Counter(told(event) for event in events if isinstance(event, REPORTS))


@pytest.mark.parametrize("seed", range(1, 6))
async def test_a_replay_of_what_was_served_gives_the_same_events(database, seed):
    engine = served_by(database)
    async with running(engine):
        await story(engine, database, seed)
        await eventually(lambda: nothing_waits(database))
        until = CLOCK.now()
        lines = [
            line
            async for line in recorded.lines(
                database, until - timedelta(hours=1), until, FAST.revision, {"runbook.md": "# x"}
            )
        ]
    async with database.reading() as c:
        names = sorted((s.id for s in await incidents.find(c)), key=lambda name: int(name[4:]))
        served = {
            name: [r.event for r in await journal.read(c, incident_stream(name)) if r.at <= until]
            for name in names
        }
    records = [msgspec.json.decode(line, type=Recorded) for line in lines[1:-1]]
    ending = msgspec.json.decode(lines[-1], type=dict[str, End])["end"]
    assert (ending.records, ending.left_out) == (len(records), 0)
    assert msgspec.json.decode(lines[0], type=Beginning).documents == {"runbook.md": "# x"}
    replayed: dict[str, list] = {}
    replay = Replay(
        FAST,
        Surroundings(EVERYBODY, TUNING),
        records[0].at,
        acts=[record for record in records if record.incident],
        humans=Humans.SAME_INSTANT,
        listen=lambda at, incident, event: replayed.setdefault(incident, []).append(event),
    )
    for record in records:
        replay.take(record)
    replay.end(until)
    assert replay.counts.without_incident == replay.counts.refused == 0
    assert len(served) == len(replayed) > 0
    assert sum(len(events) for events in served.values()) > 20
    for name, again in zip(names, replayed.values(), strict=True):
        (judged, reports), (judged_there, reports_there) = as_story(again), as_story(served[name])
        changes = difflib.unified_diff(judged_there, judged, "served", "replayed", lineterm="", n=2)
        assert not list(changes), name
        assert reports == reports_there, name
