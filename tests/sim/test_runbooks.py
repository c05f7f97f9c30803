"""The two runbooks themselves, compiled and played for 48 hours: the exact list of who is paged when.

The same table holds for the runbook of the team and for the bundled example, which says the same
in other words; only the lines that are cited differ.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.world import DIRECTORY, QUIET, START, at, signal
from tocsin.core.inputs import (
    Acknowledged,
    IncidentDeclared,
    ReopenedByPerson,
    ResolvedByPerson,
    SeverityChosen,
)
from tocsin.core.surroundings import Contact, Surroundings, role_key
from tocsin.runbook import compile_runbook
from tocsin.sim.world import World

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
DAY = 24 * 60
INC = "INC-1"
O, L, M, C = "On-Call Engineer", "Team Lead", "Engineering Manager", "CTO"  # noqa: E741 - read as a table

P0_START = [(0, O), (0, L), (0, M)]
TABLE = {
    # severity, what people do: who is paged at which minute
    ("P0", "nobody acknowledges"): P0_START,
    ("P0", "acknowledged"): P0_START,
    ("P0", "resolved"): P0_START,
    ("P0", "re-graded to P1"): [*P0_START, (60, L)],
    ("P0", "reopened"): [*P0_START, (300, O), (300, L), (300, M)],
    ("P1", "nobody acknowledges"): [(0, O), (60, L)],
    ("P1", "acknowledged"): [(0, O), (60, L)],
    ("P1", "resolved"): [(0, O)],
    ("P1", "re-graded to P0"): [(0, O), (30, L), (30, M)],
    ("P1", "reopened"): [(0, O), (300, O), (360, L)],
    ("P2", "nobody acknowledges"): [(0, O), (240, O)],
    ("P2", "acknowledged"): [(0, O), (240, O)],
    ("P2", "resolved"): [(0, O)],
    ("P2", "re-graded to P1"): [(0, O), (60, L)],
    ("P2", "reopened"): [(0, O), (300, O), (540, O)],
    ("P3", "nobody acknowledges"): [(DAY, O)],
    ("P3", "acknowledged"): [(DAY, O)],
    ("P3", "resolved"): [],
    ("P3", "re-graded to P2"): [(30, O), (240, O)],
    ("P3", "reopened"): [(300 + DAY, O)],
}
# The line of the team's runbook that each rung cites.
CITED = {"first": 185, "P0": 192, "P1": 193, "P2": 194, "P3": 195}


@pytest.fixture(params=["bundled example", "the team's runbook"])
def policy(request):
    if request.param == "bundled example":
        path = EXAMPLE
    else:
        path = request.getfixturevalue("shared_dir") / "runbooks" / "incident-response.md"
    return compile_runbook({path.name: path.read_text()}).policy


def played(policy) -> World:
    directory = DIRECTORY
    channels = {role_key("#neurocred-incidents"): Contact("slack", "C1")}
    surroundings = Surroundings(
        directory=type(directory)(
            people=directory.people,
            roles=directory.roles,
            audiences=directory.audiences,
            channels=channels,
        ),
        tuning=QUIET,
    )
    return World(policy, surroundings, START)


def act(world: World, what: str) -> None:
    world.advance(at(30))
    if what == "acknowledged":
        world.act(INC, Acknowledged("Ona", "the link"))
    elif what == "resolved":
        world.act(INC, ResolvedByPerson("Ona"))
    elif what.startswith("re-graded"):
        world.act(INC, SeverityChosen("Ona", what[-2:], "we know more now"))
    elif what == "reopened":
        world.act(INC, ResolvedByPerson("Ona"))
        world.advance(at(300))
        world.act(INC, ReopenedByPerson("Tom"))
    world.advance(at(2 * DAY))


def minutes(world: World, kind: str) -> list[tuple[float, str]]:
    return [((s.at - START).total_seconds() / 60, s.to) for s in world.sent if s.kind == kind]


@pytest.mark.parametrize(("severity", "what"), TABLE)
def test_who_is_paged_when(policy, severity, what):
    world = played(policy)
    world.receive(signal(severity=severity))
    act(world, what)
    assert minutes(world, "page") == TABLE[severity, what]


def test_a_p3_is_told_at_the_start_and_never_wakes_anybody_then(policy):
    world = played(policy)
    world.receive(signal(severity="P3"))
    assert minutes(world, "notice") == [(0, O)]
    assert minutes(world, "page") == []


@pytest.mark.parametrize("severity", ["P0", "P1", "P2", "P3"])
def test_a_declared_breach_reaches_the_cto_whatever_else_is_said(policy, severity):
    world = played(policy)
    world.declare("auth", IncidentDeclared("Tokens leaked", "Ona", severity, security_breach=True))
    assert (0, C) in minutes(world, "page")


def test_without_a_breach_the_cto_is_never_paged(policy):
    for severity, what in TABLE:
        world = played(policy)
        world.receive(signal(severity=severity))
        act(world, what)
        assert C not in {s.to for s in world.sent}


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        ("P0", ["slack #neurocred-incidents", "email team", "email users"]),
        ("P1", ["slack #neurocred-incidents", "email team"]),
        ("P2", ["slack #neurocred-incidents"]),
        ("P3", ["slack #neurocred-incidents"]),
    ],
)
def test_channels_are_told_by_severity(policy, severity, told):
    world = played(policy)
    world.receive(signal(severity=severity))
    assert [to for _, to in minutes(world, "tell")] == told


def test_every_message_cites_the_line_that_asked_for_it(shared_dir):
    path = shared_dir / "runbooks" / "incident-response.md"
    policy = compile_runbook({path.name: path.read_text()}).policy
    for severity in ("P0", "P1", "P2", "P3"):
        world = played(policy)
        world.receive(signal(severity=severity))
        world.advance(at(2 * DAY))
        lines = [s.line for s in world.sent if s.kind in ("page", "notice")]
        first = [CITED["P0"]] * 3 if severity == "P0" else [CITED["first"]]
        assert lines == first + ([] if severity == "P0" else [CITED[severity]])
