"""Any sequence of inputs leaves an incident that keeps its promises."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from tests.core.world import DIRECTORY, POLICY, START, signal
from tocsin.core import events as ev
from tocsin.core.evolve import fold
from tocsin.core.inputs import (
    Acknowledged,
    AlertLapsed,
    IncidentDeclared,
    NoteWritten,
    PhaseMoved,
    ReopenedByPerson,
    ResolvedByPerson,
    SecurityBreachDeclared,
    SeverityChosen,
    SilencesChanged,
    TimerFired,
)
from tocsin.core.phases import Phase
from tocsin.core.policy import Urgency
from tocsin.core.surroundings import Matcher, Silence, Surroundings, Tuning
from tocsin.core.timers import pending_rungs, rung_due, timers_of, upcoming
from tocsin.sim.world import World

LEVELS = ["P0", "P1", "P2", "P3"]
ALERTS = st.sampled_from(["A", "B", "C"])
SERVICES = st.sampled_from(["backend", "docs"])
PEOPLE = st.sampled_from(["ona", "tom", "eva", "cleo"])
CONTACTS = st.sampled_from(["always", "never", "not ona"])


class Incidents(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.channel = "always"
        self.world = World(
            POLICY,
            Surroundings(directory=DIRECTORY, tuning=Tuning(repeat_every_s=600, stability_s=900)),
            START,
            courier=self.delivers,
        )

    def delivers(self, effect) -> bool:
        if self.channel == "not ona":
            return getattr(effect, "person", "") != "ona"
        return self.channel == "always"

    @property
    def some(self):
        return sorted(self.world.incidents)

    @rule(channel=CONTACTS)
    def channels_change(self, channel):
        self.channel = channel

    @rule(
        name=ALERTS,
        service=SERVICES,
        level=st.sampled_from([*LEVELS, ""]),
        breach=st.booleans(),
    )
    def alert_fires(self, name, service, level, breach):
        labels = {"severity": level} if level else {}
        if breach:
            labels["security_breach"] = "true"
        fires = signal(name, service=service, fingerprint=f"{service}/{name}", **labels)
        self.world.receive(replace(fires, starts_at=self.world.at))

    @rule(name=ALERTS, service=SERVICES)
    def alert_resolves(self, name, service):
        self.world.receive(
            signal(name, service=service, fingerprint=f"{service}/{name}", ends=self.world.at)
        )

    @rule(name=ALERTS, service=SERVICES)
    def alert_lapses(self, name, service):
        self.world.tell_desk(service, AlertLapsed(f"{service}/{name}", self.world.at))

    @rule(service=SERVICES, minutes=st.integers(1, 300))
    def silence_begins(self, service, minutes):
        at = self.world.at
        silence = Silence("s", (Matcher("service", service),), at, at + timedelta(minutes=minutes))
        self.world.surroundings = replace(self.world.surroundings, silences=(silence,))
        self.look_again()

    @rule()
    def silences_end(self):
        self.world.surroundings = replace(self.world.surroundings, silences=())
        self.look_again()

    def look_again(self):
        for service, desk in list(self.world.desks.items()):
            self.world.tell_desk(service, SilencesChanged(tuple(desk.alerts)))

    @rule(service=SERVICES, level=st.sampled_from([*LEVELS, None]), breach=st.booleans())
    def declared(self, service, level, breach):
        self.world.declare(service, IncidentDeclared("All is lost", "Ona", level, breach))

    @precondition(lambda self: self.some)
    @rule(data=st.data(), minutes=st.integers(0, 1600))
    def time_passes(self, data, minutes):
        self.world.advance(self.world.at + timedelta(minutes=minutes))

    @precondition(lambda self: self.some)
    @rule(data=st.data())
    def a_person_acts(self, data):
        incident = data.draw(st.sampled_from(self.some))
        act = data.draw(
            st.one_of(
                st.builds(Acknowledged, PEOPLE, st.just("link"), st.none() | PEOPLE),
                st.builds(PhaseMoved, PEOPLE, st.sampled_from(Phase)),
                st.builds(SeverityChosen, PEOPLE, st.sampled_from([*LEVELS, "P9"]), st.just("so")),
                st.builds(SecurityBreachDeclared, PEOPLE),
                st.builds(NoteWritten, PEOPLE, st.text(max_size=5)),
                st.builds(ResolvedByPerson, PEOPLE),
                st.builds(ReopenedByPerson, PEOPLE),
            )
        )
        self.world.act(incident, act)

    @precondition(lambda self: self.some)
    @rule(data=st.data(), offset_s=st.integers(-90_000, 90_000))
    def a_stale_timer_fires(self, data, offset_s):
        incident = data.draw(st.sampled_from(self.some))
        before = self.world.incidents[incident]
        names = [*timers_of(before), "rung/L193/3600s/page", "repeat/ona", "stability"]
        name = data.draw(st.sampled_from(names))
        due = self.world.at + timedelta(seconds=offset_s, microseconds=1)
        self.world.act(incident, TimerFired(name, due))
        assert self.world.incidents[incident] == before, "a stale timer decided something"

    # -- What always holds -------------------------------------------------------------------------

    @invariant()
    def nobody_is_left_without_a_responder(self):
        """An open incident has asked somebody, or says why it waits or whom it cannot reach."""
        for incident, state in self.world.incidents.items():
            if not state.is_open or state.holds:
                continue
            assert state.pages or any(
                isinstance(e, ev.RoleUnheld) for _, e in self.world.journal[incident]
            ), f"{incident} is open and nobody was asked"
            asked = [p for p in state.pages.values() if p.urgency is Urgency.PAGE]
            later = [r for r in pending_rungs(state) if r.urgency is Urgency.PAGE]
            assert asked or later, f"{incident} never pages anybody"

    @invariant()
    def no_timer_outlives_its_reason(self):
        for state in self.world.incidents.values():
            timers = timers_of(state)
            if not state.is_open:
                assert timers == {}
                assert upcoming(state) == ()
            for name, page in state.pages.items():
                if page.acknowledged_at is not None:
                    assert f"repeat/{name}" not in timers
            waiting = {f"rung/{rung.name}" for rung in pending_rungs(state)}
            assert {name for name in timers if name.startswith("rung/")} <= waiting
            for page in state.pages.values():
                assert not (page.stopped and page.repeat_at)

    @invariant()
    def nothing_due_is_left_unfired(self):
        for state in self.world.incidents.values():
            if state.is_open and not state.holds:
                overdue = [r for r in pending_rungs(state) if rung_due(state, r) <= self.world.at]
                assert overdue == []

    @invariant()
    def replay_equals_state(self):
        for incident, state in self.world.incidents.items():
            assert fold(self.world.journal[incident]) == state

    @invariant()
    def every_delivery_has_its_own_key(self):
        for journal in self.world.journal.values():
            keys = [e.delivery for _, e in journal if isinstance(e, (ev.PageAsked, ev.NoticeAsked))]
            assert len(keys) == len(set(keys))

    @invariant()
    def the_cto_is_paged_for_breaches_only(self):
        for state in self.world.incidents.values():
            assert "cleo" not in state.pages or state.security_breach


TestIncidents = Incidents.TestCase
TestIncidents.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
