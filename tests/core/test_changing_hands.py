"""Roles change hands while incidents are open: somebody who holds the role is asked, whoever began."""

from __future__ import annotations

from msgspec.structs import replace

from tests.core.world import DIRECTORY, PEOPLE, at, signal, world
from tocsin.core.inputs import (
    Acknowledged,
    NoteWritten,
    PhaseMoved,
    ReopenedByPerson,
    ResolvedByPerson,
    SeverityChosen,
)
from tocsin.core.narrate import narrate
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Matcher, Silence, Tuning, role_key
from tocsin.core.timers import timers_of

INC = "INC-1"
ON_CALL = "On-Call Engineer"


def holds(w, role: str, *people: str) -> None:
    roles = {**DIRECTORY.roles, role_key(role): people}
    w.surroundings = replace(w.surroundings, directory=replace(DIRECTORY, roles=roles))


def asked(w) -> list[str]:
    """Return who is asked now and has not acknowledged."""
    pages = w.incidents[INC].pages.values()
    return sorted(p.person for p in pages if not p.stopped and p.acknowledged_at is None)


def lines(w) -> list[str]:
    return [entry.line.text for entry in narrate(w.journal[INC])]


def opened(severity="P1"):
    w = world(tuning=Tuning(repeat_every_s=300, stability_s=900))
    w.receive(signal(severity=severity))
    w.advance(at(1))
    return w


def test_whoever_holds_the_role_by_now_is_asked_at_the_next_turn():
    w = opened()
    holds(w, ON_CALL, "cleo")
    w.advance(at(6))
    assert asked(w) == ["cleo"]
    assert [line for line in lines(w) if "e-mail" not in line][-2:] == [
        "Ona is not asked any more: others hold the role of on-call engineer by now",
        "Paged Cleo (on-call engineer): the role is theirs by now",
    ]


def test_it_is_asked_once_however_often_something_happens():
    w = opened()
    holds(w, ON_CALL, "cleo")
    for _ in range(3):
        w.act(INC, NoteWritten("tom", "looking"))
    assert [s.because for s in w.sent if s.kind == "page"] == ["severity", "handed_over"]


def test_whoever_acknowledged_keeps_it():
    w = opened()
    w.act(INC, Acknowledged("ona", "the room"))
    holds(w, ON_CALL, "cleo")
    w.act(INC, NoteWritten("ona", "on it"))
    assert "cleo" not in w.incidents[INC].pages


def test_a_second_holder_is_no_change_of_hands():
    w = opened()
    holds(w, ON_CALL, "ona", "cleo")
    w.act(INC, NoteWritten("tom", "looking"))
    assert asked(w) == ["ona"]


def test_a_role_that_nobody_holds_any_more_is_not_taken_from_anybody():
    w = opened()
    holds(w, ON_CALL)
    w.act(INC, NoteWritten("tom", "looking"))
    assert asked(w) == ["ona"]
    assert any(name.startswith("repeat/") for name in timers_of(w.incidents[INC]))


def test_a_milder_grade_does_not_let_the_role_go_with_its_former_holder():
    w = opened("P0")
    holds(w, ON_CALL, "cleo")
    w.act(INC, SeverityChosen("tom", "P1", "less"))
    assert asked(w) == ["cleo"]


def test_while_it_is_held_nobody_is_asked_and_afterwards_they_are():
    w = opened()
    w.act(INC, PhaseMoved("tom", Phase.MONITORING))
    holds(w, "Team Lead", "cleo")
    w.act(INC, NoteWritten("tom", "watching"))
    assert "cleo" not in w.incidents[INC].pages
    w.act(INC, PhaseMoved("tom", Phase.FIXING))
    w.advance(at(61))
    assert "cleo" in w.incidents[INC].pages


def test_an_incident_is_not_reopened_beside_another_of_its_service():
    w = opened()
    w.act(INC, ResolvedByPerson("ona"))
    w.receive(signal("DiskFull", severity="P1"))
    said = w.act(INC, ReopenedByPerson("tom"))
    assert said == (
        "INC-2 is open for backend, and its alerts go there. Work on it there; INC-1 can be"
        " reopened once INC-2 is resolved."
    )
    w.act("INC-2", ResolvedByPerson("tom"))
    assert w.act(INC, ReopenedByPerson("tom")) == ""
    assert w.incidents[INC].is_open


def test_a_watch_does_not_end_in_quiet_while_something_silenced_fires():
    w = opened()
    w.receive(signal(severity="P1", ends=at(1)))
    silence = Silence("s1", (Matcher("service", "backend"),), at(0), at(600), "tom")
    w.surroundings = replace(w.surroundings, silences=(silence,))
    w.receive(signal("DiskFull", severity="P1"))
    w.advance(at(40))
    assert w.incidents[INC].phase is Phase.MONITORING
    w.receive(signal("DiskFull", severity="P1", ends=at(40)))
    w.advance(at(54))
    assert w.incidents[INC].is_open
    w.advance(at(56))
    assert w.incidents[INC].phase is Phase.RESOLVED


def test_whoever_was_reached_ahead_of_time_and_let_go_is_reached_at_their_time():
    unreachable = {"ona": PEOPLE["ona"]}
    w = world(
        tuning=Tuning(repeat_every_s=0),
        courier=lambda effect: getattr(effect, "person", "") not in unreachable,
    )
    w.receive(signal(severity="P1"))
    assert "tom" in w.incidents[INC].pages
    w.act(INC, SeverityChosen("eva", "P0", "worse"))
    w.act(INC, SeverityChosen("eva", "P1", "better"))
    assert w.incidents[INC].pages["tom"].stopped
    w.advance(at(61))
    assert not w.incidents[INC].pages["tom"].stopped
