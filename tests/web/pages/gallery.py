"""Incidents to look at: lived through by the real core in virtual time, then put into the store.

Instants lie before now, so that ages, countdowns and "resolved in the last 24 hours" look as they
would on a real night.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fastapi import FastAPI
from msgspec.structs import replace

from tocsin.base.rights import Role
from tocsin.core import inputs
from tocsin.core.inputs import IncidentDeclared, Signal
from tocsin.core.phases import Phase
from tocsin.core.surroundings import (
    Contact,
    Directory,
    Matcher,
    Person,
    Silence,
    Surroundings,
    Tuning,
    role_key,
)
from tocsin.engine.book import Book
from tocsin.engine.engine import Engine
from tocsin.engine.system import SystemClock, SystemIds
from tocsin.runbook import compile_runbook
from tocsin.sim.world import World
from tocsin.store import (
    access,
    audit,
    incident_alerts,
    incidents,
    journal,
    people,
    silences,
    streams,
)
from tocsin.store.audit import Entry
from tocsin.store.codec import encode
from tocsin.store.connection import Connection
from tocsin.store.database import Database
from tocsin.web.app import create_app
from tocsin.web.context import Context
from tocsin.web.links import Signer

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "neurocred" / "incident-response.md"
CHROMIUM = "/usr/bin/chromium"
RUNBOOK = "runbooks/incident-response.md"
READER = "Priya Shah"
USERS = (
    ("sam", "Sam Okafor", Role.RESPONDER),
    ("lena", "Lena Brandt", Role.LEAD),
    ("rae", "Rae", Role.VIEWER),
)
TELEPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Mobile Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
DIRECTORY = Directory(
    people={
        "priya": Person("priya", READER, (Contact("slack", "U1"), Contact("email", "p@x.test"))),
        "sam": Person("sam", "Sam Okafor", (Contact("email", "s@x.test"),)),
        "lena": Person("lena", "Lena Brandt"),
    },
    roles={
        role_key("On-Call Engineer"): ("priya",),
        role_key("Team Lead"): ("sam",),
        role_key("Engineering Manager"): ("lena",),
    },
)
TUNING = Tuning(
    severity_by_label={"critical": "P0", "high": "P1", "warning": "P2", "info": "P3"},
    severity_default="P2",
)


def example() -> str:
    """Return the bundled runbook."""
    return EXAMPLE.read_text(encoding="utf-8")


class NoCourier:
    """Delivers nothing."""

    process = 0

    async def deliver(self, delivery: str) -> None:
        """Leave the delivery pending."""

    async def renew(self, connection: Connection) -> None:
        """Hold nothing that could be renewed."""

    def on_life(self, *live: Callable[[], None]) -> None:
        """Say nothing of being alive."""

    async def run(self, stop: asyncio.Event) -> None:
        """Send nothing until the end."""
        await stop.wait()

    def wake(self) -> None:
        """Have nothing to do."""


@dataclass
class Gallery:
    """An application with its pages, and what is needed to look at them."""

    app: FastAPI
    context: Context
    session: str
    reader_session: str
    link: str

    def ack_path(self, incident: str, page: str, at: datetime | None = None) -> str:
        """Return the address of an acknowledgement link, made now or then."""
        return (
            f"/ack/{self.context.signer.ack_token(incident, page, at or self.context.clock.now())}"
        )


async def fill_the_door(connection: Connection, ids: SystemIds, at: datetime) -> None:
    """Grant what a team has granted after a while, and remember what it did."""
    await access.keep(connection, "admin", ids.secret(), ("admin",), "admin.token")
    await access.keep(connection, "ingest", ids.secret(), ("ingest",), "ingest.key")
    await access.grant(
        connection, "grafana", ids.secret(), ("read",), by=READER, user="priya",
        expires_at=at + timedelta(days=5),
    )  # fmt: skip
    await access.grant(
        connection, "deploy-bot", ids.secret(), ("read", "silence", "respond"), by="Sam Okafor",
        user="sam",
    )  # fmt: skip
    done = [
        (70, Entry(READER, "link", "sign in", "priya", "by the link of the console"), 303),
        (66, Entry(READER, "user", "POST /people", "", "sam, Sam Okafor, responder"), 303),
        (65, Entry(READER, "user", "POST /people/{user}/link", "sam", "Sam Okafor"), 200),
        (52, Entry("Sam Okafor", "user", "POST /incidents/{incident}/severity", "INC-6"), 303),
        (44, Entry("", "anonymous", "refused", "GET /api/v1/users", "This credential is not known here."), 401),
        (43, Entry("", "anonymous", "refused", "", "212 more in a minute"), None),
        (38, Entry("Rae", "user", "refused", "POST /incidents/INC-6/resolve", "This credential does not have the scope respond."), 403),
        (30, Entry("deploy-bot", "token", "POST /api/v2/silences", "", ""), 200),
        (21, Entry("Sam Okafor", "link", "acknowledge by link", "INC-8", ""), 303),
        (12, Entry(READER, "user", "POST /api/v1/tokens", "", "grafana: read, for 90 days"), 201),
        (9, Entry("", "server", "runbook in force", "0eb01118455b"), 200),
        (3, Entry("Lena Brandt", "user", "POST /incidents/{incident}/notes", "INC-8"), None),
    ]  # fmt: skip
    await audit.add(
        connection,
        [
            (at - timedelta(minutes=minutes), replace(entry, address="203.0.113.7"), status)
            for minutes, entry, status in done
        ],
    )


@contextlib.asynccontextmanager
async def open_gallery(
    database: Database, runbook: str | None = None, directory: Directory = DIRECTORY
) -> AsyncIterator[Gallery]:
    """Build an application on a database, with its engine running and somebody signed in."""
    clock, ids = SystemClock(), SystemIds()
    compiled = compile_runbook({RUNBOOK: example() if runbook is None else runbook})
    book = Book(compiled, directory, configured=True)
    await book.remember(database, clock.now())
    engine = Engine(database, book, NoCourier(), clock, directory, TUNING)  # type: ignore[arg-type]
    stop = asyncio.Event()
    context = Context(
        engine=engine,
        database=database,
        book=book,
        clock=clock,
        ids=ids,
        public_url="http://tocsin.test",
        directory=directory,
        signer=Signer(b"p" * 32),
        version="0.0.test",
        started_at=clock.now(),
        closing=stop,
    )
    session, reader_session, link = ids.secret(), ids.secret(), ids.secret()
    later = clock.now() + timedelta(hours=1)
    async with database.transaction() as connection:
        await people.add(connection, "priya", READER, Role.ADMIN, "the link of the console")
        for id_, name, role in USERS:
            await people.add(connection, id_, name, role, READER)
        await access.start_session(connection, session, "priya", later, FIREFOX)
        await access.start_session(connection, ids.secret(), "priya", later, TELEPHONE)
        await access.start_session(connection, reader_session, "rae", later)
        await access.offer_link(connection, link, later)
        await fill_the_door(connection, ids, clock.now())
    app = create_app(context)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(engine.run(stop))
        try:
            yield Gallery(app, context, session, reader_session, link)
        finally:
            running.cancel()


def paths(gallery: Gallery) -> dict[str, str]:
    """Return what there is to see."""
    return {
        "board": "/",
        "room": "/incidents/INC-8",
        "room-play": "/incidents/INC-8#play",
        "room-timeline": "/incidents/INC-8#timeline",
        "room-context": "/incidents/INC-8#context",
        "room-monitoring": "/incidents/INC-7",
        "room-over": "/incidents/INC-3",
        "postmortem": "/incidents/INC-3/postmortem",
        "runbook": "/runbook",
        "runbook-line": "/runbook#L69",
        "runbook-policy": "/runbook#policy",
        "declare": "/declare",
        "ack": gallery.ack_path("INC-8", "priya"),
        "ack-yours": gallery.ack_path("INC-8", "sam"),
        "ack-over": gallery.ack_path("INC-3", "priya"),
        "ack-bad": "/ack/nonsense",
        "login-help": "/login",
        "login-console": f"/login/{gallery.link}",
        "login-used": "/login/nonsense",
        "me": "/me",
        "people": "/people",
        "person": "/people/sam",
        "person-own": "/people/priya",
        "audit": "/audit",
        "missing": "/incidents/INC-999",
    }


def firing(title: str, service: str, at: datetime, **labels: str) -> Signal:
    """Return an alert that begins to fire."""
    return Signal(
        fingerprint=f"{title}/{service}",
        source="prometheus",
        title=title,
        starts_at=at,
        labels={"service": service, **labels},
        annotations={"summary": labels.get("summary", "")},
    )


def cleared(title: str, service: str, began: datetime, at: datetime) -> Signal:
    """Return the same alert, resolved."""
    return Signal(
        fingerprint=f"{title}/{service}",
        source="prometheus",
        title=title,
        starts_at=began,
        ends_at=at,
        labels={"service": service},
    )


def muted_night(policy: object, now: datetime) -> World:
    """Return the busy night with one incident more, INC-9, whose alert is silenced."""
    world = busy_night(policy, now - timedelta(minutes=2))
    world.receive(firing("DiskSlow", "storage", world.at, severity="high"))
    world.advance(now - timedelta(minutes=1))
    mute(world, "storage", timedelta(hours=2))
    world.advance(now)
    return world


def busy_night(policy: object, now: datetime, directory: Directory = DIRECTORY) -> World:
    """Return a world with an outage nobody took, others in every phase, and some that are over."""
    world = World(
        policy,  # type: ignore[arg-type]
        Surroundings(directory=directory, tuning=TUNING),
        now - timedelta(days=6),
    )
    start = now - timedelta(days=6)
    _over(world, "Report export failing", "reports", "warning", start, minutes=52)
    _over(world, "Wrong sample in the API guide", "docs", "info", start + timedelta(days=2), 200)
    _over(world, "Database connections exhausted", "postgres", "high", now - timedelta(hours=9), 38)

    at = now - timedelta(hours=26)
    world.advance(at)
    world.receive(firing("Typo in the onboarding mail", "mailer", at, severity="info"))
    act(world, "INC-4", inputs.Acknowledged(by="Sam Okafor", via="the room"))

    at = now - timedelta(minutes=49)
    world.advance(at)
    world.receive(firing("ReportExportSlow", "reports", at, severity="warning"))
    act(world, "INC-5", inputs.Acknowledged(by="Sam Okafor", via="the link", person="priya"))

    at = now - timedelta(minutes=38)
    world.advance(at)
    world.receive(
        firing("Database connection failures", "postgres", at, summary="connection errors in logs")
    )
    world.receive(firing("TooManyConnections", "postgres", at + timedelta(seconds=20)))
    world.advance(at + timedelta(minutes=2))
    act(world, "INC-6", inputs.Acknowledged(by=READER, via="the room", person="priya"))
    world.advance(at + timedelta(minutes=9))
    act(world, "INC-6", inputs.PhaseMoved(by=READER, phase=Phase.INVESTIGATING))
    act(world, "INC-6", inputs.PhaseMoved(by=READER, phase=Phase.FIXING))

    at = now - timedelta(minutes=30)
    world.advance(at)
    world.receive(firing("Slow API responses", "gateway", at, severity="high"))
    act(world, "INC-7", inputs.Acknowledged(by=READER, via="the link", person="priya"))
    world.advance(now - timedelta(minutes=9))
    world.receive(cleared("Slow API responses", "gateway", at, now - timedelta(minutes=9)))

    at = now - timedelta(minutes=4, seconds=20)
    world.advance(at)
    world.receive(
        firing(
            "Complete API outage",
            "backend",
            at,
            summary="All API endpoints return 500, complete service outage",
        )
    )
    world.advance(at + timedelta(seconds=12))
    world.receive(firing("HealthCheckFailing", "backend", at, summary="Health checks failing"))
    world.advance(at + timedelta(seconds=40))
    act(
        world,
        "INC-8",
        inputs.NoteWritten(
            by="Lena Brandt", text="Support has eleven calls already.\nEverything answers 500."
        ),
    )
    act(world, "INC-8", inputs.Acknowledged(by="Sam Okafor", via="the link", person="sam"))
    world.advance(now)
    return world


def mute(world: World, service: str, lasts: timedelta) -> Silence:
    """Silence what fires on a service, from now on."""
    silence = Silence(
        id=f"silence-{service}",
        matchers=(Matcher("service", service),),
        starts_at=world.at,
        ends_at=world.at + lasts,
        created_by="Sam Okafor",
        comment="new pool",
    )
    world.surroundings = replace(world.surroundings, silences=(silence,))
    fingerprints = tuple(world.desks[service].alerts)
    world.tell_desk(service, inputs.SilencesChanged(fingerprints))
    return silence


def act(world: World, incident: str, received: inputs.IncidentInput) -> None:
    """Do something that must not be refused."""
    refusal = world.act(incident, received)
    assert not refusal, refusal


def declare(world: World, title: str, service: str, by: str = READER) -> str:
    """Declare an incident."""
    return world.declare(service, IncidentDeclared(title, by))


def _over(
    world: World, title: str, service: str, severity: str, at: datetime, minutes: int
) -> None:
    world.advance(at)
    world.receive(firing(title, service, at, severity=severity))
    incident = f"INC-{len(world.incidents)}"
    world.advance(at + timedelta(minutes=3))
    act(world, incident, inputs.Acknowledged(by=READER, via="the room"))
    act(world, incident, inputs.PhaseMoved(by=READER, phase=Phase.INVESTIGATING))
    act(
        world,
        incident,
        inputs.NoteWritten(by=READER, text="The pool was full because revision 48 leaks."),
    )
    world.advance(at + timedelta(minutes=minutes))
    world.receive(cleared(title, service, at, at + timedelta(minutes=minutes)))
    act(world, incident, inputs.ResolvedByPerson(by=READER, because="rolled back"))


async def store_world(database: Database, world: World) -> None:
    """Write the incidents of a world as the engine would have, without timers or deliveries."""
    async with database.transaction() as connection:
        for silence in world.surroundings.silences:
            await silences.put(connection, silence)
        for name, state in world.incidents.items():
            await incidents.next_id(connection)
            level = world.policy.severity(state.severity)
            await incident_alerts.put(connection, name, state.alerts)
            state = replace(state, alerts={})
            await incidents.put(connection, state, level.rank if level else 9)
            events = [(event, at) for at, event in world.journal[name]]
            stream = f"incident/{name}"
            await streams.claim(connection, stream)
            await streams.save(connection, stream, len(events), encode(state))
            await journal.append(connection, stream, 1, events, state.revision)
