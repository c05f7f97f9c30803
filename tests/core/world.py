"""A small runbook with the rules of the issue, hand-made, so that the core is tested by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tocsin.base.source import Source
from tocsin.core.inputs import Signal
from tocsin.core.policy import (
    Checklist,
    ChecklistItem,
    Clock,
    Communication,
    Condition,
    Criterion,
    EscalationRule,
    Play,
    Policy,
    Severity,
    Symptom,
    Urgency,
)
from tocsin.core.surroundings import Contact, Directory, Person, Surroundings, Tuning, role_key
from tocsin.sim.world import World

FILE = "runbook.md"
START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def line(number: int, quote: str = "") -> Source:
    return Source(FILE, number, quote)


def level(name: str, word: str, rank: int, number: int, *criteria: str) -> Severity:
    return Severity(
        name,
        word,
        rank,
        line(number, f"{name} - {word}"),
        tuple(Criterion(text, line(number + i, text)) for i, text in enumerate(criteria, 1)),
    )


HOUR = 3600
POLICY = Policy(
    revision="r1",
    title="Test runbook",
    severities=(
        level("P0", "Critical", 0, 5, "Complete service outage", "Data loss", "Security breach"),
        level("P1", "High", 1, 10, "Partial service degradation", "Database connectivity issues"),
        level("P2", "Medium", 2, 15, "Non-critical feature failures"),
        level("P3", "Low", 3, 20, "Cosmetic issues", "Documentation errors"),
    ),
    escalations=(
        EscalationRule(("P1", "P2"), Clock.IMMEDIATE, 0, ("On-Call Engineer",), line(185)),
        EscalationRule(
            ("P3",), Clock.IMMEDIATE, 0, ("On-Call Engineer",), line(185), Urgency.NOTICE
        ),
        EscalationRule(
            (), Clock.EVENT, 0, ("CTO",), line(188), condition=Condition.SECURITY_BREACH
        ),
        EscalationRule(
            ("P0",),
            Clock.IMMEDIATE,
            0,
            ("On-Call Engineer", "Team Lead", "Engineering Manager"),
            line(192),
        ),
        EscalationRule(("P1",), Clock.UNRESOLVED, HOUR, ("Team Lead",), line(193)),
        EscalationRule(
            ("P2",),
            Clock.UNRESOLVED,
            4 * HOUR,
            ("On-Call Engineer",),
            line(194),
            reaches_nobody_new=True,
        ),
        EscalationRule(
            ("P3",),
            Clock.UNRESOLVED,
            24 * HOUR,
            ("On-Call Engineer",),
            line(195),
            reaches_nobody_new=True,
        ),
    ),
    communications=(
        Communication("slack", "#incidents", ("P0", "P1", "P2", "P3"), line(171)),
        Communication("status_page", None, ("P0", "P1", "P2", "P3"), line(172)),
        Communication("email", "team", ("P0", "P1"), line(173)),
        Communication("x", None, (), line(178), unknown_filter="major incidents"),
        Communication("email", "users", ("P0",), line(179), external=True),
    ),
    checklists=(
        Checklist("Triage", line(35), (ChecklistItem("Acknowledge incident", line(38)),)),
        Checklist("Resolution", line(51), (ChecklistItem("Monitor for stability", line(56)),)),
    ),
    plays=(
        Play(
            "Complete API Outage",
            line(69),
            (
                Symptom("All API endpoints returning 500", line(72)),
                Symptom("Health checks failing", line(73)),
            ),
        ),
    ),
)


def person(name: str, *contacts: str) -> Person:
    made = tuple(Contact(*c.split(":", 1)) for c in contacts or (f"email:{name}@example.org",))
    return Person(name, name.title(), made)


PEOPLE = {p.id: p for p in (person("ona"), person("tom"), person("eva"), person("cleo"))}
DIRECTORY = Directory(
    people=PEOPLE,
    roles={
        role_key("On-Call Engineer"): ("ona",),
        role_key("Team Lead"): ("tom",),
        role_key("Engineering Manager"): ("eva",),
        role_key("CTO"): ("cleo",),
    },
    audiences={
        "team": (Contact("email", "team@example.org"),),
        "users": (Contact("email", "users@example.org"),),
    },
    channels={role_key("#incidents"): Contact("slack", "C1")},
)
QUIET = Tuning(repeat_every_s=0, stability_s=900)
SURROUNDINGS = Surroundings(directory=DIRECTORY, tuning=QUIET)


def world(**changes: object) -> World:
    tuning = changes.pop("tuning", QUIET)
    directory = changes.pop("directory", DIRECTORY)
    return World(POLICY, Surroundings(directory=directory, tuning=tuning), START, **changes)


def signal(
    title: str = "BackendDown",
    *,
    service: str = "backend",
    fingerprint: str = "",
    ends: datetime | None = None,
    starts: datetime = START,
    summary: str = "",
    key: str = "ingest",
    **labels: str,
) -> Signal:
    return Signal(
        fingerprint=fingerprint or f"fp-{title}",
        source="prometheus",
        title=title,
        starts_at=starts,
        labels={"alertname": title, "service": service, **labels},
        annotations={"summary": summary} if summary else {},
        ends_at=ends,
        key=key,
    )


def pages(w: World) -> list[tuple[float, str, str, int]]:
    """Return every page as (minutes after START, role, reason, line)."""
    return [
        ((s.at - START).total_seconds() / 60, s.to, s.because, s.line)
        for s in w.sent
        if s.kind == "page"
    ]


def told(w: World, kind: str = "tell") -> list[tuple[float, str, str, int]]:
    """Return every notice of that kind, in the same form."""
    return [
        ((s.at - START).total_seconds() / 60, s.to, s.because, s.line)
        for s in w.sent
        if s.kind == kind
    ]
