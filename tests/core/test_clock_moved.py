"""What was due in ten minutes stays due in ten minutes, wherever the database's clock goes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.world import START, at, signal, world
from tocsin.core.evolve import fold
from tocsin.core.inputs import Acknowledged, ClockMoved, ResolvedByPerson
from tocsin.core.narrate import narrate
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Tuning
from tocsin.core.timers import timers_of

INC = "INC-1"
HOUR_S = 3600.0


def opened(**tuning):
    w = world(tuning=Tuning(**{"repeat_every_s": 300, "stability_s": 900, **tuning}))
    w.receive(signal(severity="P1"))
    w.advance(at(2))
    return w


def set_back(w, by_s: float) -> None:
    """Set the clock of the world back and tell everything open, as the timekeeper does."""
    w.at -= timedelta(seconds=by_s)
    w.act(INC, ClockMoved(by_s))


@pytest.mark.parametrize("by_s", [10.0, HOUR_S, 86_400.0, 0.25])
def test_every_timer_keeps_its_distance(by_s):
    w = opened()
    before = {name: due - w.at for name, due in timers_of(w.incidents[INC]).items()}
    set_back(w, by_s)
    after = {name: due - w.at for name, due in timers_of(w.incidents[INC]).items()}
    assert before == after
    assert {"rung", "repeat"} <= {name.split("/")[0] for name in before}


def test_nothing_is_sent_because_of_it_and_nothing_is_sent_twice():
    w = opened()
    sent = len(w.sent)
    set_back(w, HOUR_S)
    assert len(w.sent) == sent
    w.advance(w.at + timedelta(minutes=70))
    leads = [s for s in w.sent if s.to == "Team Lead" and s.kind == "page"]
    # Two minutes had passed of its hour.
    assert leads[0].at == START + timedelta(minutes=2) - timedelta(hours=1) + timedelta(minutes=58)
    assert [s.because for s in leads].count("not_resolved") == 1


def test_the_quiet_watch_keeps_what_is_left_of_it():
    w = opened()
    w.receive(signal(severity="P1", ends=at(1)))
    assert w.incidents[INC].phase is Phase.MONITORING
    set_back(w, HOUR_S)
    w.advance(w.at + timedelta(seconds=899))
    assert w.incidents[INC].is_open
    w.advance(w.at + timedelta(seconds=1))
    assert w.incidents[INC].phase is Phase.RESOLVED


def test_what_happened_stays_written_as_it_was_told():
    w = opened()
    w.act(INC, Acknowledged("ona", "the room"))
    before = w.incidents[INC]
    set_back(w, HOUR_S)
    after = w.incidents[INC]
    assert (after.opened_at, after.acknowledged_at, after.phase_at) == (
        before.opened_at,
        before.acknowledged_at,
        before.phase_at,
    )
    assert fold(w.journal[INC]) == after


def test_the_timeline_says_why():
    w = opened()
    set_back(w, HOUR_S)
    assert narrate(w.journal[INC])[-1].line.text == (
        "The database's clock went back by 1 h. What is still to come keeps its distance"
    )


def test_an_incident_that_is_over_does_not_mind():
    w = opened()
    w.act(INC, ResolvedByPerson("ona"))
    before = w.incidents[INC], len(w.journal[INC])
    set_back(w, HOUR_S)
    assert (w.incidents[INC], len(w.journal[INC])) == before


def test_an_alert_that_fires_anew_after_its_incident_is_no_old_one_whatever_the_clock_did():
    w = opened()
    w.act(INC, ResolvedByPerson("ona"))
    w.at -= timedelta(hours=1)
    w.receive(signal(severity="P1", starts=at(5)))
    assert list(w.incidents) == [INC, "INC-2"]


def test_another_server_that_saw_it_later_is_no_news_after_the_incident_either():
    w = opened()
    w.receive(signal(severity="P1", starts=at(0.5)))
    w.act(INC, ResolvedByPerson("ona"))
    w.receive(signal(severity="P1"))
    w.receive(signal(severity="P1", starts=at(0.5)))
    assert list(w.incidents) == [INC]
