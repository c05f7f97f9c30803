"""What the board says before it shows anything."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.web.pages.gallery import (
    DIRECTORY,
    READER,
    RUNBOOK,
    TUNING,
    act,
    busy_night,
    example,
    firing,
)
from tocsin.base.source import Source
from tocsin.core import inputs
from tocsin.core.policy import Finding, Level, Policy
from tocsin.core.surroundings import Directory, Surroundings
from tocsin.runbook import compile_runbook
from tocsin.sim.world import World
from tocsin.web.pages.reader import Reader
from tocsin.web.pages.views.board import Board, board
from tocsin.web.pages.views.parts import Citer

PRIYA = Reader(READER, may_respond=True)
RAE = Reader("Rae", may_respond=False)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_runbook({RUNBOOK: example()}).policy


def draw(world: World, at: datetime, reader: Reader = PRIYA, **more: object) -> Board:
    states = list(world.incidents.values())
    findings = more.pop("findings", ())
    directory = more.pop("directory", DIRECTORY)
    return board(
        sorted((s for s in states if s.is_open), key=lambda s: s.severity),
        [s for s in states if not s.is_open],
        lambda _: world.policy,
        world.policy,
        findings,  # type: ignore[arg-type]
        directory,  # type: ignore[arg-type]
        lambda _: Citer([RUNBOOK]),
        reader,
        at,
        alerts={state.id: state.alerts for state in states},
        **more,  # type: ignore[arg-type]
    )


def fresh(policy: Policy, at: datetime) -> World:
    return World(policy, Surroundings(directory=DIRECTORY, tuning=TUNING), at)


def test_nothing_open_is_a_calm_sentence(policy: Policy, utc_now: datetime) -> None:
    view = draw(fresh(policy, utc_now), utc_now)
    assert view.heading == "Nothing is burning."
    assert view.below.startswith("There has been no incident yet.")


def test_one_open_incident_that_nobody_took_needs_the_reader(
    policy: Policy, utc_now: datetime
) -> None:
    world = fresh(policy, utc_now)
    world.receive(firing("Complete service outage", "backend", utc_now))
    view = draw(world, utc_now + timedelta(minutes=2), RAE)
    assert view.heading == "One open. It needs you."
    assert view.below == "Open for 2 min. Nobody has acknowledged it yet."
    assert view.lead is not None
    assert view.rows == ()


def test_an_incident_that_somebody_took_needs_only_those_still_paged(
    policy: Policy, utc_now: datetime
) -> None:
    world = fresh(policy, utc_now)
    world.receive(firing("Complete service outage", "backend", utc_now))
    act(world, "INC-1", inputs.Acknowledged(by="Sam Okafor", via="link", person="sam"))
    assert draw(world, utc_now, PRIYA).heading == "One open. It needs you."
    assert draw(world, utc_now, RAE).heading == "One open. It does not need you."
    act(world, "INC-1", inputs.Acknowledged(by=READER, via="link", person="priya"))
    assert draw(world, utc_now, PRIYA).heading == "One open. It does not need you."


def test_the_readers_own_countdown_says_you(policy: Policy, utc_now: datetime) -> None:
    world = fresh(policy, utc_now)
    world.receive(firing("Complete service outage", "backend", utc_now))
    [lead] = [draw(world, utc_now, reader).lead for reader in (PRIYA,)]
    assert lead is not None
    assert lead.next is not None
    assert lead.next.sentence == "pages you again unless you acknowledge"


def test_at_most_one_card_is_raised_and_it_is_the_worst(policy: Policy, utc_now: datetime) -> None:
    world = busy_night(policy, utc_now)
    view = draw(world, utc_now)
    assert view.heading == "Five open. Two need you."
    assert view.lead is not None
    assert (view.lead.id, view.lead.mark.css) == ("INC-8", "p0")
    assert [row.needs_reader for row in view.rows].count(True) == 1


def test_a_filter_shows_one_level_and_keeps_the_counts(policy: Policy, utc_now: datetime) -> None:
    view = draw(busy_night(policy, utc_now), utc_now, severity="p1")
    assert {row.mark.label for row in view.rows} == {"P1"}
    assert view.lead is None
    assert [(c.value, c.count, c.pressed) for c in view.chips] == [
        ("", 5, False), ("P0", 1, False), ("P1", 2, True), ("P2", 1, False), ("P3", 1, False),
    ]  # fmt: skip


def test_only_the_last_day_counts_as_resolved_lately(policy: Policy, utc_now: datetime) -> None:
    view = draw(busy_night(policy, utc_now), utc_now)
    assert [done.id for done in view.resolved] == ["INC-3"]
    assert len(view.month) == 8


def test_many_incidents_are_paged(policy: Policy, utc_now: datetime) -> None:
    world = fresh(policy, utc_now)
    for number in range(120):
        world.receive(firing("Slow responses", f"service-{number}", utc_now))
        act(world, f"INC-{number + 1}", inputs.Acknowledged(by="Sam Okafor", via="link"))
    assert [len(draw(world, utc_now, page=page).rows) for page in (1, 2, 3, 4)] == [50, 50, 20, 20]


def test_what_to_mend_lists_errors_first_and_leaves_remarks_out(
    policy: Policy, utc_now: datetime
) -> None:
    findings = [
        Finding("T1", level, Source(RUNBOOK, 8, ""), 1, f"A {level} finding.", "Mend it.")
        for level in (Level.INFO, Level.WARNING, Level.ERROR)
    ]
    view = draw(fresh(policy, utc_now), utc_now, findings=findings)
    assert view.mend_heading == "Two things to mend before the next one"
    assert [(m.title, m.is_error) for m in view.mend] == [
        ("A error finding", True),
        ("A warning finding", False),
    ]


def test_nobody_named_is_the_first_thing_to_mend(policy: Policy, utc_now: datetime) -> None:
    view = draw(fresh(policy, utc_now), utc_now, directory=Directory())
    assert view.mend[0].title == "Nobody is named yet, so pages stand in the app only"
    assert all(not s.names and not s.you for s in view.standby)


def test_standby_follows_the_ladder(policy: Policy, utc_now: datetime) -> None:
    view = draw(fresh(policy, utc_now), utc_now)
    assert [(s.role, s.names, s.you) for s in view.standby] == [
        ("On-call engineer", "", True),
        ("Team lead", "Sam Okafor", False),
        ("Engineering manager", "Lena Brandt", False),
        ("CTO", "", False),
    ]
