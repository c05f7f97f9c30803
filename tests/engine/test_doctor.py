"""What the doctor says of facts: nothing of a healthy Tocsin, and the right thing of each illness."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from tocsin.base.source import Source
from tocsin.core.policy import Finding, Level
from tocsin.core.surroundings import Contact, Directory, Person
from tocsin.engine.about import About
from tocsin.engine.doctor import Check, Facts, Verdict, clocks, examine, room, say_bytes, worst
from tocsin.engine.reach import ways
from tocsin.store.contacts import ContactRow
from tocsin.store.counts import (
    Jobs,
    ProcessSeen,
    PutAside,
    SenderSeen,
    Server,
    Standing,
    Waiting,
)

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
AGO = NOW - timedelta(minutes=5)
ONA = Contact("email", "ona@example.org")
DIRECTORY = Directory(people={"ona": Person("ona", "Ona Vale", (ONA,))})
SERVER = Server(
    version="18.4",
    version_number=180004,
    fsync="on",
    full_page_writes="on",
    synchronous_commit="on",
    connections_max=100,
    connections_reserved=3,
    connections_used=12,
    idle_session_timeout="0",
    is_standby=False,
    synchronous_standbys="",
    standbys=0,
    bytes=48_000_000,
    at=NOW,
    started_at=NOW - timedelta(days=3),
)
PROCESS = ProcessSeen(1, "all", "1.0", 7, "r1", AGO, NOW, 0.5, True)
STANDING = Standing(
    at=NOW,
    inputs={},
    busiest={},
    timers_due=0,
    timer_oldest_due_s=0.0,
    timers_about=3,
    deliveries={},
    failed_lately=0,
    alerts_firing=0,
    incidents={},
    quarantined=0,
    quarantined_at=None,
    jobs={},
    journal_bytes=20_000_000,
    journal_about=100_000,
    database_bytes=48_000_000,
    processes=(PROCESS,),
    senders=(SenderSeen("prom", "prometheus", AGO, NOW, 9, 30.0),),
)


class Disk(NamedTuple):
    total: int
    free: int


class Beat(msgspec.Struct, frozen=True):
    name: str
    last_at: datetime | None
    limit_s: float
    is_late: bool
    detail: str = ""
    is_vital: bool = True


HEALTHY = Facts(
    standing=STANDING,
    server=SERVER,
    clock_offset_s=0.01,
    contacts={str(ONA): ContactRow(str(ONA), AGO, None, "")},
    put_aside=(),
    admins=1,
    is_pooled=False,
    listens=True,
    steps_left=(),
    pool_size=8,
    ways=ways(DIRECTORY),
    findings=(),
    edit_is_refused=False,
    about=About(
        version="1.0",
        has_heartbeat=True,
        watchdog_contacts=("webhook:pager",),
        retention="It is kept for a year.",
    ),
)


def told(**differently: Any) -> list[Check]:
    """Return what is not well of a healthy Tocsin in which some facts are different."""
    found = examine(replace(HEALTHY, **differently))
    return [check for check in found if check.verdict is not Verdict.OK]


def standing(**differently: Any) -> list[Check]:
    return told(standing=replace(STANDING, **differently))


def server(**differently: Any) -> list[Check]:
    return told(server=replace(SERVER, **differently))


def about(**differently: Any) -> list[Check]:
    return told(about=dataclasses.replace(HEALTHY.about, **differently))


def finding(code: str, level: Level) -> Finding:
    return Finding(code, level, Source("r.md", 7), 1, "Nobody holds the role “CTO”.", "Name one.")


def test_of_a_healthy_tocsin_nothing_is_said_but_that_it_is_well() -> None:
    found = examine(HEALTHY)
    assert told() == []
    assert worst(found) is Verdict.OK
    assert {check.about for check in found} == {
        "database", "connections", "clocks", "disk", "processes", "escalations", "backlog",
        "pages", "contacts", "roles", "senders", "quarantine", "runbook", "people", "watchdog",
        "heartbeat", "retention",
    }  # fmt: skip
    assert not any(check.remedy for check in found)


ILL = [
    # The database.
    (server(fsync="off"), "problem", "fsync is off: a power cut can lose alerts"),
    (server(full_page_writes="off"), "problem", "full_page_writes is off"),
    (server(synchronous_commit="off"), "problem", "a crash loses the last moments"),
    (server(version="14.2", version_number=140002), "warning", "PostgreSQL 14.2 is older"),
    (server(is_standby=True), "problem", "This server is a standby"),
    (server(synchronous_standbys="*"), "problem", "Commits wait for a standby (*), and none"),
    (server(idle_session_timeout="5min"), "warning", "idle_session_timeout is 5min"),
    (server(connections_max=16), "problem", "1 process may want 14: in a storm"),
    (told(is_pooled=True, listens=False), "warning", "A pooler stands between"),
    (told(steps_left=("0008_x",)), "warning", "wait for 1 step that older processes"),
    (told(clock_offset_s=-90), "problem", "is 90 s behind the database's"),
    (told(clock_offset_s=2.0), "warning", "is 2 s ahead of the database's"),
    # Processes.
    (
        standing(processes=(replace(PROCESS, role="web"),)),
        "problem",
        "No process decides or delivers anything",
    ),
    (
        standing(processes=(PROCESS, replace(PROCESS, id=7, is_alive=False, silent_s=120.0))),
        "warning",
        "Process 7 (all, 1.0) has shown no life for 2 min",
    ),
    (
        standing(processes=(PROCESS, replace(PROCESS, id=2, version="1.1"))),
        "warning",
        "Several versions run side by side: 1.0, 1.1.",
    ),
    (
        standing(processes=(PROCESS, replace(PROCESS, id=2, revision="r2"))),
        "warning",
        "Several revisions of the runbook run side by side: r1, r2.",
    ),
    (
        about(beats=lambda: (Beat("the sweep", AGO, 45.0, True),)),
        "problem",
        "In the process that was asked: the sweep has shown no life for more than 45 s.",
    ),
    (
        about(
            beats=lambda: (
                Beat("heartbeat", AGO, 0.0, True, "it answers 404", is_vital=False),
                Beat("deciding", AGO, 45.0, False),
            )
        ),
        "warning",
        "In the process that was asked: heartbeat: it answers 404.",
    ),
    # Work.
    (
        standing(timers_due=3, timer_oldest_due_s=95.0),
        "problem",
        "3 timers are due and have not fired, the oldest for 95 s.",
    ),
    (
        standing(
            inputs={"others": Waiting(12_000, 300.0), "people": Waiting(1, 1.0)},
            busiest={"quiet": 2, "noisy": 11_000},
        ),
        "problem",
        "12,001 inputs wait to be decided, the oldest for 5 min. Most is from noisy (11,000).",
    ),
    (standing(jobs={"timer": Jobs(0, 2)}), "warning", "2 timer jobs failed by a defect"),
    (
        standing(deliveries={"stranded": Waiting(4, 400.0)}),
        "problem",
        "A page or notice has been due for 7 min and has not left; 4 are under way.",
    ),
    (standing(failed_lately=1), "warning", "1 page or notice was given up in the last hour."),
    # Whom it reaches, and who reaches it.
    (told(ways=()), "problem", "The settings name no contact at all"),
    (told(contacts={}), "warning", "1 contact has never been used: email:ona@example.org."),
    (
        told(contacts={str(ONA): ContactRow(str(ONA), None, AGO, "550 no such user")}),
        "problem",
        "email:ona@example.org (Ona Vale) failed 5 min ago: 550 no such user",
    ),
    (
        told(ways=ways(replace(DIRECTORY, unconnected={str(ONA): "there is no [email] section"}))),
        "problem",
        "leads nowhere: there is no [email] section.",
    ),
    (
        told(findings=(finding("T141", Level.WARNING),)),
        "problem",
        "Nobody holds the role “CTO”. (r.md:7)",
    ),
    (standing(senders=()), "warning", "Nobody has sent an alert yet."),
    (
        standing(senders=(replace(STANDING.senders[0], silent_s=3 * 86_400.0),)),
        "warning",
        "prom (prometheus) was last heard 3 days ago.",
    ),
    (
        told(put_aside=(PutAside("prometheus", "An alert has no name.", 9, AGO),)),
        "warning",
        "9 from prometheus, the last 5 min ago: An alert has no name.",
    ),
    # Itself.
    (told(edit_is_refused=True), "problem", "An edit of the runbook has errors"),
    (
        told(findings=(finding("T161", Level.WARNING),)),
        "warning",
        "1 line of it cannot be honoured",
    ),
    (told(admins=0), "warning", "Nobody is an admin by name"),
    (about(watchdog_contacts=()), "warning", "Nobody is told when a loop of Tocsin stands still"),
    (about(has_heartbeat=False), "warning", "Nobody outside would notice"),
    (about(retention=""), "warning", "and nothing of it is ever pruned."),
]


@pytest.mark.parametrize(("found", "verdict", "says"), ILL, ids=[says[:40] for _, _, says in ILL])
def test_each_illness_is_named_with_its_remedy_and_nothing_else_is(
    found: list[Check], verdict: str, says: str
) -> None:
    [check] = found
    assert check.verdict == verdict
    assert says in check.says
    assert check.remedy


def test_a_disk_is_judged_by_the_share_that_is_free() -> None:
    verdicts = [room(Disk(1000, free), "It takes 1 B").verdict for free in (40, 100, 800)]
    assert verdicts == ["problem", "warning", "ok"]
    full = room(Disk(0, 0), "It takes 1 B")
    assert full.verdict is Verdict.PROBLEM
    assert "compiled.msgpack" in full.remedy


def test_clocks_that_differ_by_less_than_a_second_are_well() -> None:
    assert clocks("the server", -0.9).verdict is Verdict.OK


def test_words_of_strangers_are_kept_short() -> None:
    [check] = told(put_aside=(PutAside("x" * 900, "y " * 900, 1, AGO),))
    assert len(check.says) < 400


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (48e6, "48 MB"), (1.94e12, "1.9 TB"),
     (5e17, "500000 TB")],
)  # fmt: skip
def test_sizes_are_said_as_people_say_them(number: float, said: str) -> None:
    assert say_bytes(number) == said
