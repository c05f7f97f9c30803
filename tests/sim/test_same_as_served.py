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
from tests.engine.test_engine import CLOCK, batch, ended, engine_on
from tocsin.core import events as ev
from tocsin.core import inputs as inp
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Contact, Matcher, Person, Silence, Surroundings, Tuning
from tocsin.engine import recorded
from tocsin.engine.turn import incident_stream
from tocsin.sim.recording import Beginning, End, Recorded
from tocsin.sim.replay import Humans, Replay
from tocsin.store import deliveries, inbox, incidents, journal

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


class Served:
    """A real engine on a real database, of which one thing is done after the other.

    Nothing runs by itself: of a timer and an act in the same instant nobody promises which is first,
    and a comparison must not depend on it.
    """

    def __init__(self, database):
        self.database = database
        self.engine = engine_on(database, policy=FAST, tuning=TUNING, directory=EVERYBODY)
        self._reported = set()

    async def rest(self):
        """Decide whatever waits, and let the channels take what was sent."""
        while True:
            async with self.database.reading() as c:
                names = [queue.stream for queue in await inbox.waiting_streams(c)]
                sent = [d for d in await deliveries.find(c) if d.id not in self._reported]
            if not names and not sent:
                return
            for name in names:
                await self.engine._run_turn(name, wait=True)
            self._reported.update(delivery.id for delivery in sent)
            told = [
                (incident_stream(d.incident), inp.DeliveryReported(d.id, delivered=True))
                for d in sorted(sent, key=lambda d: int(d.id.rpartition("/d")[2]))
            ]
            async with self.database.transaction() as c:
                await inbox.append(c, told)

    async def go_on(self, seconds):
        """Let time pass: what comes due fires in its order, and nothing is about to afterwards."""
        until = CLOCK.elapsed() + seconds
        while True:
            await self.engine._silences_turned()
            await self.rest()
            async with self.database.reading() as c:
                due = await c.fetch(
                    "SELECT stream, name, due_at <= now() AS is_due FROM timers"
                    " WHERE due_at < now() + interval '0.45 s' ORDER BY due_at, stream, name"
                )
            fires = [f"{row['stream']}\n{row['name']}" for row in due if row["is_due"]]
            if fires:
                await self.engine.fire(fires[0])
                await self.rest()
            elif due or CLOCK.elapsed() < until:
                await asyncio.sleep(0.02)
            else:
                return


async def story(served, seed):
    """Let alerts come, end and be silenced while people act, in 14 steps."""
    chance = random.Random(seed)  # noqa: S311 - the same for the same seed
    engine, firing = served.engine, {}
    for _ in range(14):
        await served.go_on(0.2)
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
            matchers = (Matcher("service", service),)
            await engine.silence(Silence(f"s{chance.random()}", matchers, now, now + lasts))
        elif what == "people":
            await act(engine, served.database, chance, service)
        await served.rest()
    await served.go_on(0.5)


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


@pytest.mark.parametrize("seed", range(1, 5))
async def test_a_replay_of_what_was_served_gives_the_same_events(database, seed):
    await story(Served(database), seed)
    until = CLOCK.now()
    since = until - timedelta(hours=1)
    documents = {"runbook.md": "# x"}
    exported = recorded.lines(database, since, until, FAST.revision, documents)
    lines = [line async for line in exported]
    async with database.reading() as c:
        names = sorted((s.id for s in await incidents.find(c)), key=lambda name: int(name[4:]))
        served = {
            name: [r.event for r in await journal.read(c, incident_stream(name)) if r.at <= until]
            for name in names
        }
    records = [msgspec.json.decode(line, type=Recorded) for line in lines[1:-1]]
    ending = msgspec.json.decode(lines[-1], type=dict[str, End])["end"]
    assert (ending.records, ending.left_out) == (len(records), 0)
    assert msgspec.json.decode(lines[0], type=Beginning).documents == documents
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
