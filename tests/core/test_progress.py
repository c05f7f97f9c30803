"""What of the process is proven to be done, on an incident that the real core has lived through."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.core.world import POLICY, START, line
from tocsin.core import inputs
from tocsin.core.inputs import IncidentDeclared, Signal
from tocsin.core.phases import Phase
from tocsin.core.policy import Checklist, ChecklistItem, Communication, Policy
from tocsin.core.progress import Seen, done_items, symptoms_seen
from tocsin.core.surroundings import Contact, Directory, Person, Surroundings, Tuning, role_key
from tocsin.runbook import compile_runbook
from tocsin.sim.world import World

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
NEUROCRED = compile_runbook({str(EXAMPLE): EXAMPLE.read_text(encoding="utf-8")}).policy
REACHABLE = Directory(
    people={"priya": Person("priya", "Priya", (Contact("slack", "U1"),))},
    roles={role_key("On-Call Engineer"): ("priya",)},
)
TUNING = Tuning(severity_by_label={"critical": "P0", "high": "P1"}, severity_default="P2")


def asking(*items: str) -> Policy:
    """Return the test policy with one checklist of these items, on lines 100 and following."""
    asked = tuple(ChecklistItem(text, line(100 + n)) for n, text in enumerate(items))
    return replace(POLICY, checklists=(Checklist("Triage", line(99), asked),))


def a_world(policy: Policy, directory: Directory = REACHABLE, *, delivered: bool = True) -> World:
    surroundings = Surroundings(directory=directory, tuning=TUNING)
    return World(policy, surroundings, START, courier=lambda _: delivered)


def fires(title: str, summary: str = "", **labels: str) -> Signal:
    return Signal(
        fingerprint=title,
        source="prometheus",
        title=title,
        starts_at=START,
        labels={"service": "backend", **labels},
        annotations={"summary": summary} if summary else {},
    )


def ends(title: str) -> Signal:
    return replace(fires(title), ends_at=START)


def done(world: World) -> dict[str, datetime]:
    """Return what is done of INC-1, by the words of the item."""
    found = done_items(world.policy, world.incidents["INC-1"], world.journal["INC-1"])
    texts = {i.source: i.text for c in world.policy.checklists for i in c.items}
    return {texts[source]: at for source, at in found.items()}


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def outage(policy: Policy = NEUROCRED) -> World:
    world = a_world(policy)
    world.receive(fires("ApiDown", "All API endpoints return 500, complete service outage"))
    return world


def test_the_example_is_ticked_as_it_is_lived_through() -> None:
    world = outage()
    assert done(world) == {"Assess its severity": at(0), "Notify the team": at(0)}
    world.advance(at(3))
    world.act("INC-1", inputs.Acknowledged(by="Priya", via="the room"))
    assert done(world)["Acknowledge the incident"] == at(3)
    world.advance(at(9))
    world.receive(ends("ApiDown"))
    assert done(world)["Verify that it is resolved"] == at(9)
    assert done(world)["Monitor until it is stable"] == at(9)
    assert "Document the incident" not in done(world)
    world.advance(at(10))
    world.act("INC-1", inputs.ResolvedByPerson(by="Priya"))
    assert done(world) == {
        "Acknowledge the incident": at(3),
        "Assess its severity": at(0),
        "Notify the team": at(0),
        "Verify that it is resolved": at(9),
        "Monitor until it is stable": at(9),
        "Document the incident": at(10),
    }


@pytest.mark.parametrize(
    "item",
    [
        "Identify root cause",
        "Document root cause",
        "Write post-mortem",
        "Update documentation",
        "Notify customers",
        "Notify the team and legal",
        "Assess severity and impact",
        "Acknowledge the customer's complaint",
        "Monitoring alerts (Sentry, Prometheus)",
        "Review monitoring/alerting",
        "Verify database credentials",
        "Check service status",
        "Do not notify the team",
        "",
    ],
)
def test_what_only_a_person_can_know_stays_open(item: str) -> None:
    world = outage(asking(item))
    world.act("INC-1", inputs.Acknowledged(by="Priya", via="the room"))
    world.receive(ends("ApiDown"))
    world.act("INC-1", inputs.ResolvedByPerson(by="Priya"))
    assert done(world) == {}


@pytest.mark.parametrize(
    "item",
    [
        "Acknowledge incident",
        "Acknowledge the alert",
        "Assess severity",
        "Determine the severity level (P0-P3)",
        "Severity assessment",
        "Notify team",
        "Page the on-call engineer",
        "Notify the on-call engineer via Slack",
    ],
)
def test_other_words_for_the_same_act_are_understood(item: str) -> None:
    world = outage(asking(item))
    world.act("INC-1", inputs.Acknowledged(by="Priya", via="the room"))
    assert list(done(world)) == [item]


def test_a_page_that_reached_nobody_notifies_nobody() -> None:
    item = "Notify team"
    lost = a_world(asking(item), delivered=False)
    lost.receive(fires("ApiDown", severity="critical"))
    assert done(lost) == {}
    in_app_only = Directory(
        people={"priya": Person("priya", "Priya")}, roles={role_key("On-Call Engineer"): ("priya",)}
    )
    quiet = a_world(asking(item), in_app_only)
    quiet.receive(fires("ApiDown", severity="critical"))
    assert done(quiet) == {}


def test_a_default_severity_has_been_assessed_by_nobody() -> None:
    world = a_world(asking("Assess severity"))
    world.receive(fires("SomethingElse"))
    assert done(world) == {}
    world.advance(at(2))
    world.act("INC-1", inputs.SeverityChosen(by="Priya", level="P1", because="it hurts"))
    assert done(world) == {"Assess severity": at(2)}


def test_reopening_undoes_what_must_be_done_again() -> None:
    world = outage(
        asking("Acknowledge incident", "Verify resolution", "Monitor for stability", "Document it")
    )
    world.act("INC-1", inputs.Acknowledged(by="Priya", via="the room"))
    world.receive(ends("ApiDown"))
    assert len(done(world)) == 3
    world.advance(at(2))
    world.receive(fires("ApiDown"))
    assert done(world) == {}


def test_going_back_to_fixing_ends_the_watch() -> None:
    world = outage(asking("Monitor for stability"))
    world.receive(ends("ApiDown"))
    assert done(world)
    world.act("INC-1", inputs.PhaseMoved(by="Priya", phase=Phase.FIXING))
    assert done(world) == {}


# -- Symptoms --------------------------------------------------------------------------------------


def seen(world: World) -> dict[str, Seen]:
    play = world.policy.play(world.incidents["INC-1"].play)
    assert play is not None
    found = symptoms_seen(world.policy, play, world.journal["INC-1"])
    texts = {symptom.source: symptom.text for symptom in play.symptoms}
    return {texts[source]: each for source, each in found.items()}


def test_an_alert_that_joins_later_reports_its_symptom_until_it_clears() -> None:
    world = outage()
    assert set(seen(world)) == {"Every API endpoint returns 500"}
    world.advance(at(2))
    world.receive(fires("HealthCheckFailing"))
    assert seen(world)["The health checks fail"] == Seen(at(2))
    world.advance(at(5))
    world.receive(ends("HealthCheckFailing"))
    assert seen(world) == {
        "Every API endpoint returns 500": Seen(at(0)),
        "The health checks fail": Seen(at(2), at(5)),
    }
    world.advance(at(6))
    world.receive(fires("HealthCheckFailing"))
    assert seen(world)["The health checks fail"] == Seen(at(2))


def test_one_of_two_alerts_cleared_clears_no_symptom() -> None:
    world = outage()
    world.receive(fires("HealthCheckFailing"))
    world.receive(fires("HealthCheckFailingInEurope", "Health check fails in eu-west"))
    world.receive(ends("HealthCheckFailing"))
    assert seen(world)["The health checks fail"].cleared_at is None
    world.advance(at(4))
    world.receive(ends("HealthCheckFailingInEurope"))
    assert seen(world)["The health checks fail"].cleared_at == at(4)


def test_what_people_say_has_no_end() -> None:
    world = a_world(NEUROCRED)
    world.declare("backend", IncidentDeclared("All API endpoints return 500", "Ana"))
    world.receive(fires("ApiReturns500", "Every API endpoint returns 500"))
    world.receive(ends("ApiReturns500"))
    assert seen(world)["Every API endpoint returns 500"] == Seen(at(0))


def test_what_customers_are_told_does_not_notify_the_team() -> None:
    policy = replace(
        asking("Notify team"),
        escalations=(),
        communications=(
            Communication("email", "users", ("P0",), line(150), external=True),
            Communication("slack", "#incidents", ("P1",), line(151)),
        ),
    )
    directory = Directory(
        channels={"#incidents": Contact("slack", "C1")},
        audiences={"users": (Contact("email", "all@x.test"),)},
    )
    world = a_world(policy, directory)
    world.receive(fires("ApiDown", severity="critical"))
    assert [sent.to for sent in world.sent]
    assert done(world) == {}
    world = a_world(policy, directory)
    world.receive(fires("ApiDown", severity="high"))
    assert done(world) == {"Notify team": at(0)}
