"""What the room says about an incident that the real core has lived through."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.web.pages.gallery import (
    DIRECTORY,
    READER,
    RUNBOOK,
    TUNING,
    act,
    cleared,
    example,
    firing,
    mute,
)
from tocsin.core import inputs
from tocsin.core.phases import Phase
from tocsin.core.policy import Policy
from tocsin.core.surroundings import Directory, Surroundings
from tocsin.runbook import compile_runbook
from tocsin.sim.world import World
from tocsin.web.pages.reader import Reader
from tocsin.web.pages.views.acknowledge import acknowledging
from tocsin.web.pages.views.parts import Citer, alerts_reading, mark_of
from tocsin.web.pages.views.room import Muted, Room, room

PRIYA = Reader(READER, may_respond=True)
RAE = Reader("Rae", may_respond=True)
READ_ONLY = Reader("Ana", may_respond=False)
OUTAGE = "All API endpoints return 500, complete service outage"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_runbook({RUNBOOK: example()}).policy


@pytest.fixture
def world(policy: Policy, utc_now: datetime) -> World:
    """A P0 that fires since ten minutes."""
    began = utc_now - timedelta(minutes=10)
    made = World(policy, Surroundings(directory=DIRECTORY, tuning=TUNING), began)
    made.receive(firing("ApiDown", "backend", began, summary=OUTAGE))
    made.advance(utc_now)
    return made


def draw(
    world: World, reader: Reader = PRIYA, directory: Directory = DIRECTORY, **more: object
) -> Room:
    state = world.incidents["INC-1"]
    return room(
        state,
        world.journal["INC-1"],
        world.policy,
        directory,
        Citer([RUNBOOK]),
        reader,
        world.at,
        alerts=state.alerts.values(),
        **more,  # type: ignore[arg-type]
    )


def test_the_reason_quotes_the_document_and_names_the_words(world: World) -> None:
    reason = draw(world).reason
    assert reason.lead == "P0"
    assert reason.text == " because “The complete service is down”"
    assert reason.cite is not None
    assert reason.cite.title == f"{RUNBOOK}:10"
    assert reason.cite.href == "/runbook#L10"
    assert reason.words


def test_the_card_asks_whoever_is_paged_by_name(world: World) -> None:
    asked = draw(world).asked
    assert asked is not None
    assert (asked.header, asked.verb, asked.action) == (
        "You are paged",
        "Acknowledge",
        "acknowledge",
    )
    assert asked.due is not None
    assert asked.due.own


def test_the_card_asks_everybody_while_nobody_has_it(world: World) -> None:
    asked = draw(world, RAE).asked
    assert asked is not None
    assert asked.header == "Nobody has acknowledged it"
    assert asked.text.startswith("Priya Shah, Sam Okafor and Lena Brandt are paged;")


def test_nobody_is_asked_who_may_not_answer(world: World) -> None:
    assert draw(world, READ_ONLY).asked is None


def test_nothing_is_asked_once_it_is_taken_for_everybody(world: World) -> None:
    act(world, "INC-1", inputs.Acknowledged(by="Rae", via="the room"))
    view = draw(world)
    assert view.asked is None
    assert view.holder == "Rae has it"
    assert {(p.state, p.more) for p in view.people if p.icon} == {
        ("Page ended", "Rae took it for everybody")
    }


def test_monitoring_offers_to_resolve_and_says_when_it_would_by_itself(world: World) -> None:
    act(world, "INC-1", inputs.Acknowledged(by=READER, via="the room"))
    world.receive(cleared("ApiDown", "backend", world.at, world.at))
    asked = draw(world).asked
    assert asked is not None
    assert (asked.header, asked.verb) == ("Quiet so far", "Resolve")
    assert asked.due is not None
    assert asked.due.due_at == world.at + timedelta(seconds=TUNING.stability_s)


def test_what_is_held_says_what_it_waits_for(policy: Policy, utc_now: datetime) -> None:
    world = World(policy, Surroundings(directory=DIRECTORY, tuning=TUNING), utc_now)
    world.receive(firing("Slow API responses", "gateway", utc_now, severity="high"))
    act(world, "INC-1", inputs.Acknowledged(by=READER, via="the room"))
    world.receive(cleared("Slow API responses", "gateway", utc_now, utc_now))
    held = [n for n in draw(world).next if n.held]
    assert [n.sentence for n in held] == ["pages the team lead unless it is resolved"]
    assert held[0].held == "while it is watched"
    assert held[0].cite is not None
    [wait] = draw(world).waits
    assert wait.text == "Every alert is resolved. If one fires again, the clocks start anew."


def test_an_incident_that_is_watched_by_hand_says_who_ends_it(world: World) -> None:
    act(world, "INC-1", inputs.PhaseMoved(by=READER, phase=Phase.MONITORING))
    [wait] = draw(world).waits
    assert wait.text == "It is being watched, though not every alert is resolved."


def test_a_silenced_incident_says_by_whom_and_until_when(policy: Policy, utc_now: datetime) -> None:
    surroundings = Surroundings(directory=DIRECTORY, tuning=TUNING)
    world = World(policy, surroundings, utc_now)
    world.receive(firing("Slow API responses", "gateway", utc_now, severity="high"))
    assert draw(world).waits == ()
    silence = mute(world, "gateway", timedelta(hours=2))
    view = draw(world, silences=(silence,))
    [wait] = view.waits
    assert wait.text == "Every firing alert is silenced"
    assert wait.muted == (Muted("Sam Okafor", silence.ends_at, "new pool"),)
    assert {n.held for n in view.next} == {"while it is silenced"}
    assert view.asked is not None
    assert view.asked.due is None
    sam = Reader("Sam Okafor", may_respond=True)
    assert draw(world, sam, silences=[silence]).waits[0].muted[0].by == "you"
    assert alerts_reading(world.incidents["INC-1"], ()) == "1 alert firing, silenced"


def test_a_phase_that_was_left_out_has_no_time(policy: Policy, utc_now: datetime) -> None:
    world = World(policy, Surroundings(directory=DIRECTORY, tuning=TUNING), utc_now)
    world.receive(firing("ApiDown", "backend", utc_now, summary=OUTAGE))
    act(world, "INC-1", inputs.Acknowledged(by=READER, via="the room"))
    world.receive(cleared("ApiDown", "backend", utc_now, utc_now))
    phases = {phase.word: phase for phase in draw(world).phases}
    assert phases["Acknowledged"].at == utc_now
    assert phases["Fixing"].at is None


def test_a_bold_part_and_the_rest_make_the_whole_sentence(world: World) -> None:
    repeat = draw(world, RAE).next[0]
    assert (repeat.act, repeat.rest) == ("pages Lena Brandt again", " unless they acknowledge")


def test_the_play_shows_margin_numbers_argv_and_conditions(world: World) -> None:
    play = draw(world).play
    assert play is not None
    assert play.name == "The API is completely down"
    first = play.steps[0]
    assert first.commands[0].argv == ("kubectl", "get", "pods", "-n", "neurocred-prod")
    assert (first.commands[0].word, first.commands[0].changes) == ("Reads only", False)
    assert first.href == f"/runbook#L{first.line}"
    restart = next(step for step in play.steps if "Restart" in step.title)
    assert restart.reads == "“if needed”: a person decides"
    assert play.symptoms[0].reading == "reported"


def test_a_symptom_is_reported_while_an_alert_of_it_fires(world: World) -> None:
    def readings() -> list[tuple[str, datetime | None]]:
        play = draw(world).play
        assert play is not None
        return [(symptom.reading, symptom.at) for symptom in play.symptoms]

    began = world.at - timedelta(minutes=10)
    assert readings() == [("reported", began), ("not reported", None), ("not reported", None)]
    at = world.at
    world.receive(firing("HealthCheckFailing", "backend", at))
    assert readings()[1] == ("reported", at)
    world.advance(at + timedelta(minutes=1))
    world.receive(cleared("HealthCheckFailing", "backend", at, world.at))
    assert readings()[:2] == [("reported", began), ("cleared", world.at)]


def test_what_is_proven_of_the_checklist_is_ticked_with_its_time(world: World) -> None:
    act(world, "INC-1", inputs.Acknowledged(by=READER, via="the room"))
    stage = draw(world).stage
    assert stage is not None
    began = world.at - timedelta(minutes=10)
    assert [(item.text, item.done_at) for item in stage.items] == [
        ("Acknowledge the incident", world.at),
        ("Assess its severity", began),
        ("Notify the team", began),
        ("Open a ticket for it", None),
    ]


def test_the_checklist_follows_the_phase(world: World) -> None:
    titles = []
    for phase in (Phase.INVESTIGATING, Phase.FIXING):
        act(world, "INC-1", inputs.PhaseMoved(by=READER, phase=phase))
        stage = draw(world).stage
        assert stage is not None
        titles.append(stage.title)
    assert titles == ["Third: investigation", "Fourth: resolution"]


def test_the_timeline_is_newest_first_and_says_you(world: World) -> None:
    act(world, "INC-1", inputs.NoteWritten(by=READER, text="Looking."))
    entry = draw(world).entries[0]
    assert (entry.who, entry.words) == ("You", "Looking.")
    assert draw(world, RAE).entries[0].who == READER


def test_an_entry_keeps_its_key_while_others_arrive(world: World) -> None:
    before = {e.key: e.text for e in draw(world).entries}
    act(world, "INC-1", inputs.NoteWritten(by=READER, text="Looking."))
    after = {e.key: e.text for e in draw(world).entries}
    assert before.items() <= after.items()


def test_one_kind_can_be_shown_alone(world: World) -> None:
    act(world, "INC-1", inputs.NoteWritten(by=READER, text="Looking."))
    assert [e.words for e in draw(world, kind="people").entries] == ["Looking."]
    assert draw(world, kind="<nonsense>").kind == ""


def test_a_long_timeline_shows_the_newest_hundred(world: World) -> None:
    for number in range(150):
        act(world, "INC-1", inputs.NoteWritten(by=READER, text=f"Note {number}"))
    view = draw(world)
    assert len(view.entries) == 100
    assert view.entries[0].words == "Note 149"
    assert view.entries_hidden > 50
    assert draw(world, everything=True).entries_hidden == 0


def test_people_say_whether_they_were_reached(world: World) -> None:
    act(world, "INC-1", inputs.Acknowledged(by="Sam Okafor", via="link", person="sam"))
    people = {p.name: p for p in draw(world).people}
    assert people["Sam Okafor"].state == "Acknowledged"
    assert people[READER].state == "Sent by Slack, no answer yet"
    assert people["Lena Brandt"].state == "In the app only, no answer yet"
    assert people["CTO"].state == "Not paged."
    assert people["CTO"].cite is not None
    assert people["CTO"].cite.quote == "CTO: a critical security breach"


def test_a_breach_reaches_who_was_not_paged_before(world: World) -> None:
    act(world, "INC-1", inputs.SecurityBreachDeclared(by=READER))
    people = {p.name: p for p in draw(world).people}
    assert people["CTO"].state == "Nobody holds this role"


def test_whom_a_milder_severity_lets_go_is_no_longer_asked(world: World) -> None:
    act(world, "INC-1", inputs.SeverityChosen(by=READER, level="P2", because="one region"))
    people = {p.name: p for p in draw(world).people}
    assert people["Sam Okafor"].state == "No longer asked"
    assert people[READER].state == "Sent by Slack, no answer yet"


def test_a_failed_delivery_says_so(policy: Policy, utc_now: datetime) -> None:
    world = World(
        policy, Surroundings(directory=DIRECTORY, tuning=TUNING), utc_now, courier=lambda _: False
    )
    world.receive(firing("ApiDown", "backend", utc_now, summary=OUTAGE))
    people = {p.name: p for p in draw(world).people}
    assert (people["Sam Okafor"].tone, people["Sam Okafor"].state) == (
        "bad",
        "Not reached: every contact failed",
    )


def test_the_link_page_knows_whose_page_it_is(world: World) -> None:
    state = world.incidents["INC-1"]
    cite = Citer([RUNBOOK])
    asked = acknowledging(state, "priya", world.policy, cite, world.at)
    assert asked is not None
    assert (asked.stand, asked.paged) == ("asked", "just now")
    assert asked.next is not None
    assert asked.next.sentence == "pages you again unless you acknowledge"
    act(world, "INC-1", inputs.Acknowledged(by="Sam Okafor", via="link", person="sam"))
    world.advance(world.at + timedelta(seconds=1))
    act(world, "INC-1", inputs.Acknowledged(by=READER, via="link", person="priya"))
    state = world.incidents["INC-1"]
    stands = {
        person: view.stand
        for person in ("priya", "sam", "lena")
        if (view := acknowledging(state, person, world.policy, cite, world.at))
    }
    assert stands == {"priya": "yours", "sam": "yours", "lena": "asked"}
    assert acknowledging(state, "nobody", world.policy, cite, world.at) is None


def test_an_undeclared_level_gets_a_hollow_mark(policy: Policy) -> None:
    assert mark_of(policy, "").label == "?"
    assert mark_of(policy, "SEV1").css == "p3"
    assert mark_of(policy, "SEV1").wide
    assert mark_of(policy, "p0").label == "P0"
    assert len(mark_of(policy, "x" * 99).label) == 10


def test_lines_of_a_second_document_have_anchors_of_their_own() -> None:
    cite = Citer(["runbook.md", "alerts/Disk Full.md"], "abc")
    assert cite.anchor("runbook.md", 7) == "L7"
    assert cite.anchor("alerts/Disk Full.md", 7) == "alerts-disk-full-md-L7"
