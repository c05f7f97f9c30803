"""Who is paged when: each severity over 48 hours, exactly, in virtual time."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.core.world import (
    DIRECTORY,
    PEOPLE,
    POLICY,
    SURROUNDINGS,
    at,
    line,
    pages,
    person,
    signal,
    told,
    world,
)
from tocsin.core.events import PageDelivered, PageFailed, PersonUnreachable
from tocsin.core.inputs import (
    Acknowledged,
    AlertLapsed,
    DeliveryReported,
    IncidentDeclared,
    PhaseMoved,
    ReopenedByPerson,
    ResolvedByPerson,
    SecurityBreachDeclared,
    SeverityChosen,
    SignalReceived,
    SilencesChanged,
    TimerFired,
)
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Contact, Directory, Matcher, Silence, Surroundings, Tuning
from tocsin.core.timers import timers_of, upcoming
from tocsin.sim.world import World

DAY = 24 * 60
ON_CALL, LEAD, MANAGER, CTO = "On-Call Engineer", "Team Lead", "Engineering Manager", "CTO"
INC = "INC-1"

NOBODY_ACKNOWLEDGES = {
    "P0": [
        (0, ON_CALL, "severity", 192),
        (0, LEAD, "severity", 192),
        (0, MANAGER, "severity", 192),
    ],
    "P1": [(0, ON_CALL, "severity", 185), (60, LEAD, "not_resolved", 193)],
    "P2": [(0, ON_CALL, "severity", 185), (240, ON_CALL, "not_resolved", 194)],
    "P3": [(DAY, ON_CALL, "not_resolved", 195)],
}


@pytest.mark.parametrize("severity", NOBODY_ACKNOWLEDGES)
def test_nobody_acknowledges_for_two_days(severity):
    w = world()
    w.receive(signal(severity=severity))
    w.advance(at(2 * DAY))
    assert pages(w) == NOBODY_ACKNOWLEDGES[severity]


@pytest.mark.parametrize("severity", NOBODY_ACKNOWLEDGES)
def test_acknowledgement_does_not_stop_the_timers_that_wait_for_resolution(severity):
    w = world()
    w.receive(signal(severity=severity))
    w.advance(at(2))
    assert w.act(INC, Acknowledged("Ona", "app")) == ""
    w.advance(at(2 * DAY))
    assert pages(w) == NOBODY_ACKNOWLEDGES[severity]


@pytest.mark.parametrize("severity", NOBODY_ACKNOWLEDGES)
def test_resolution_stops_every_timer(severity):
    w = world(tuning=Tuning(repeat_every_s=300))
    w.receive(signal(severity=severity))
    w.act(INC, ResolvedByPerson("Ona"))
    before = list(w.sent)
    w.advance(at(2 * DAY))
    assert w.sent == before
    assert timers_of(w.incidents[INC]) == {}


def test_a_p3_is_a_notice_at_the_start_and_a_page_after_a_day():
    w = world()
    w.receive(signal(severity="P3"))
    w.advance(at(2 * DAY))
    assert told(w, "notice") == [(0, ON_CALL, "severity", 185)]
    assert pages(w) == [(DAY, ON_CALL, "not_resolved", 195)]


def test_the_cto_is_paged_only_for_a_security_breach():
    w = world()
    w.receive(signal(severity="P0"))
    assert CTO not in [role for _, role, _, _ in pages(w)]
    w.advance(at(10))
    w.act(INC, SecurityBreachDeclared("Ona"))
    assert pages(w)[-1] == (10, CTO, "condition", 188)
    assert len(pages(w)) == 4


@pytest.mark.parametrize(
    "labels", [{"security_breach": "true"}, {"category": "security_breach"}, {"security": "breach"}]
)
def test_a_signal_labelled_as_a_breach_pages_the_cto_at_once(labels):
    w = world()
    w.receive(signal("SecretsRead", **labels))
    assert w.incidents[INC].severity == "P0"
    assert {role for _, role, _, _ in pages(w)} == {ON_CALL, LEAD, MANAGER, CTO}


def test_text_about_a_breach_alone_does_not_page_the_cto():
    w = world()
    w.receive(signal("Breach", summary="possible security breach of the vault"))
    assert w.incidents[INC].severity == "P0"
    assert CTO not in [role for _, role, _, _ in pages(w)]


def test_a_declared_breach_is_graded_by_its_criterion():
    w = world()
    incident = w.declare("auth", IncidentDeclared("Tokens leaked", "Ona", security_breach=True))
    state = w.incidents[incident]
    assert (state.severity, state.grade.source.line) == ("P0", 8)
    assert [r for _, r, _, _ in pages(w)] == [CTO, ON_CALL, LEAD, MANAGER]


def test_unacknowledged_pages_repeat_until_acknowledged():
    w = world(tuning=Tuning(repeat_every_s=300))
    w.receive(signal(severity="P2"))
    w.advance(at(12))
    w.act(INC, Acknowledged("Ona", "app"))
    w.advance(at(200))
    assert [(m, b) for m, _, b, _ in pages(w)] == [(0, "severity"), (5, "repeat"), (10, "repeat")]


def test_each_person_is_paged_again_until_they_acknowledge_themselves():
    w = world(tuning=Tuning(repeat_every_s=300))
    w.receive(signal(severity="P0"))
    w.act(INC, Acknowledged("Ona", "link", "ona"))
    w.advance(at(5))
    assert {role for m, role, _, _ in pages(w) if m == 5} == {LEAD, MANAGER}


def test_a_page_after_the_acknowledgement_asks_anew():
    w = world(tuning=Tuning(repeat_every_s=300))
    w.receive(signal(severity="P2"))
    w.act(INC, Acknowledged("Ona", "app"))
    w.advance(at(246))
    assert [(m, b) for m, _, b, _ in pages(w)] == [
        (0, "severity"),
        (240, "not_resolved"),
        (245, "repeat"),
    ]


class TestRegrading:
    def test_overdue_rungs_fire_now_counted_from_the_start(self):
        w = world()
        w.receive(signal(severity="P2"))
        w.advance(at(90))
        w.act(INC, SeverityChosen("Ona", "P1", "customers call"))
        assert pages(w) == [(0, ON_CALL, "severity", 185), (90, LEAD, "not_resolved", 193)]

    def test_rungs_that_are_not_due_yet_keep_their_distance_from_the_start(self):
        w = world()
        w.receive(signal(severity="P2"))
        w.advance(at(30))
        w.act(INC, SeverityChosen("Ona", "P1", "customers call"))
        w.advance(at(2 * DAY))
        assert pages(w) == [(0, ON_CALL, "severity", 185), (60, LEAD, "not_resolved", 193)]

    def test_up_to_the_worst_pages_only_who_was_not_paged_for_it(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.advance(at(30))
        w.act(INC, SeverityChosen("Ona", "P0", "all of it"))
        w.advance(at(2 * DAY))
        assert pages(w) == [
            (0, ON_CALL, "severity", 185),
            (30, LEAD, "severity", 192),
            (30, MANAGER, "severity", 192),
        ]

    def test_down_from_the_worst_takes_the_milder_ladder(self):
        w = world()
        w.receive(signal(severity="P0"))
        w.advance(at(10))
        w.act(INC, SeverityChosen("Ona", "P2", "one region only"))
        w.advance(at(2 * DAY))
        assert pages(w)[3:] == [(240, ON_CALL, "not_resolved", 194)]

    def test_a_notice_becomes_a_page_when_it_gets_worse(self):
        w = world()
        w.receive(signal(severity="P3"))
        w.advance(at(7))
        w.act(INC, SeverityChosen("Ona", "P2", "worse than it looked"))
        assert pages(w) == [(7, ON_CALL, "severity", 185)]

    def test_a_milder_severity_lets_go_of_whom_it_does_not_reach(self):
        w = world(tuning=Tuning(repeat_every_s=300))
        w.receive(signal(severity="P0"))
        w.advance(at(2))
        w.act(INC, SeverityChosen("Ona", "P1", "one region only"))
        w.advance(at(5))
        again = {role for _, role, because, _ in pages(w) if because == "repeat"}
        assert again == {ON_CALL}, "the lead is paged at 60 minutes, as P1 has it"
        assert w.incidents[INC].pages["eva"].stopped
        w.advance(at(60))
        assert (60, LEAD, "not_resolved", 193) in pages(w)

    def test_who_holds_two_roles_is_kept_while_either_would_have_been_paged(self):
        roles = {**DIRECTORY.roles, "team lead": ("ona",)}
        both = Directory(people=PEOPLE, roles=roles)
        w = world(directory=both, tuning=Tuning(repeat_every_s=300))
        w.receive(signal(severity="P1"))
        w.advance(at(61))
        w.act(INC, SeverityChosen("Tom", "P2", "one region only"))
        assert not w.incidents[INC].pages["ona"].stopped
        assert "repeat/ona" in timers_of(w.incidents[INC])

    def test_a_page_is_not_repeated_when_the_severity_only_tells(self):
        w = world(tuning=Tuning(repeat_every_s=300))
        w.receive(signal(severity="P1"))
        w.advance(at(2))
        w.act(INC, SeverityChosen("Ona", "P3", "nobody noticed"))
        w.advance(at(300))
        assert pages(w) == [(0, ON_CALL, "severity", 185)]

    def test_a_person_wins_over_later_signals(self):
        w = world()
        w.receive(signal(severity="P2"))
        w.act(INC, SeverityChosen("Ona", "P3", "test system"))
        w.receive(signal("Other", severity="P0"))
        assert w.incidents[INC].severity == "P3"

    def test_a_worse_signal_regrades_where_no_person_did(self):
        w = world()
        w.receive(signal(severity="P2"))
        w.receive(signal("Other", severity="P0"))
        assert w.incidents[INC].severity == "P0"

    def test_a_level_that_is_not_declared_is_refused_in_words(self):
        w = world()
        w.receive(signal(severity="P2"))
        refusal = w.act(INC, SeverityChosen("Ona", "SEV1", "x"))
        assert refusal == "SEV1 is not a level of this runbook. It declares P0, P1, P2, P3."

    def test_whom_a_milder_severity_let_go_is_paged_when_it_is_worse_again(self):
        w = world()
        w.receive(signal(severity="P0"))
        w.advance(at(10))
        w.act(INC, SeverityChosen("Ona", "P2", "one region only"))
        w.advance(at(20))
        w.act(INC, SeverityChosen("Ona", "P0", "all of it after all"))
        assert pages(w)[3:] == [(20, LEAD, "severity", 192), (20, MANAGER, "severity", 192)]

    def test_rules_on_the_same_line_of_two_files_are_two_rungs(self):
        elsewhere = replace(line(192), file="security.md")
        rules = tuple(
            replace(r, source=elsewhere) if r.condition else r for r in POLICY.escalations
        )
        w = World(replace(POLICY, escalations=rules), SURROUNDINGS, at(0))
        w.receive(signal(severity="P0"))
        w.act(INC, SecurityBreachDeclared("Ona"))
        assert CTO in [role for _, role, _, _ in pages(w)]


class TestReopening:
    def test_a_reopened_incident_starts_again(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.advance(at(30))
        w.act(INC, ResolvedByPerson("Ona"))
        w.advance(at(100))
        w.act(INC, ReopenedByPerson("Tom", "still broken"))
        w.advance(at(2 * DAY))
        assert pages(w) == [
            (0, ON_CALL, "severity", 185),
            (100, ON_CALL, "severity", 185),
            (160, LEAD, "not_resolved", 193),
        ]

    def test_alerts_join_the_reopened_incident(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.act(INC, ResolvedByPerson("Ona"))
        w.act(INC, ReopenedByPerson("Tom"))
        w.receive(signal("Another", severity="P2"))
        assert list(w.incidents) == [INC]

    def test_an_open_incident_cannot_be_reopened(self):
        w = world()
        w.receive(signal(severity="P1"))
        assert "nothing to reopen" in w.act(INC, ReopenedByPerson("Tom"))


class TestMonitoring:
    def test_all_alerts_resolved_leads_to_monitoring_and_then_resolved(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.advance(at(10))
        w.receive(signal(severity="P1", ends=at(10)))
        assert w.incidents[INC].phase is Phase.MONITORING
        w.advance(at(24.9))
        assert w.incidents[INC].phase is Phase.MONITORING
        [resolves] = [u for u in upcoming(w.incidents[INC]) if u.name == "stability"]
        assert (resolves.due_at, resolves.source.line) == (at(25), 56)
        w.advance(at(25))
        assert w.incidents[INC].phase is Phase.RESOLVED
        assert w.desks["backend"].incident is None

    def test_one_of_two_alerts_resolved_is_not_enough(self):
        w = world()
        w.receive(signal("A", severity="P1"))
        w.receive(signal("B", severity="P1"))
        w.receive(signal("A", ends=at(0)))
        assert w.incidents[INC].phase is Phase.TRIGGERED

    def test_a_refire_in_the_window_reopens_the_same_incident_and_its_clocks(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.receive(signal(severity="P1", ends=at(0)))
        w.advance(at(5))
        w.receive(signal(severity="P1", starts=at(5)))
        w.advance(at(2 * DAY))
        assert list(w.incidents) == [INC]
        assert pages(w) == [
            (0, ON_CALL, "severity", 185),
            (5, ON_CALL, "severity", 185),
            (65, LEAD, "not_resolved", 193),
        ]

    def test_rungs_due_while_monitoring_wait_visibly(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.advance(at(50))
        w.act(INC, PhaseMoved("Ona", Phase.MONITORING))
        w.advance(at(90))
        assert [role for _, role, _, _ in pages(w)] == [ON_CALL]
        waiting = next(u for u in upcoming(w.incidents[INC]) if u.name.startswith("rung/"))
        assert waiting.due_at == at(60)
        assert waiting.waits_for == "Waits while the incident is being monitored"
        w.act(INC, PhaseMoved("Ona", Phase.FIXING))
        assert pages(w)[-1] == (90, LEAD, "not_resolved", 193)

    def test_a_declared_incident_that_a_person_monitors_resolves_when_it_stays_quiet(self):
        w = world()
        incident = w.declare("docs", IncidentDeclared("Pages are blank", "Ona", "P1"))
        w.advance(at(10))
        w.act(incident, PhaseMoved("Ona", Phase.MONITORING))
        w.advance(at(25))
        assert w.incidents[incident].phase is Phase.RESOLVED
        assert [role for _, role, _, _ in pages(w)] == [ON_CALL]

    def test_expired_is_not_resolved(self):
        w = world()
        w.receive(signal(severity="P1", ends=at(4)))
        w.advance(at(20))
        w.tell_desk("backend", AlertLapsed("fp-BackendDown", at(4)))
        w.advance(at(2 * DAY))
        state = w.incidents[INC]
        assert state.alerts["fp-BackendDown"].stale
        assert state.phase is Phase.TRIGGERED

    def test_after_resolution_the_next_alert_opens_a_new_incident(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.receive(signal(severity="P1", ends=at(0)))
        w.advance(at(20))
        w.receive(signal(severity="P1", starts=at(20)))
        assert list(w.incidents) == [INC, "INC-2"]


class TestDeduplication:
    def test_an_alert_that_fires_anew_after_its_incident_was_resolved_opens_another(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.act(INC, ResolvedByPerson("Ona"))
        w.advance(at(5))
        w.receive(signal(severity="P1"))
        assert list(w.incidents) == [INC], "sent again with its old start: still the one resolved"
        w.receive(signal(severity="P1", starts=at(5)))
        assert list(w.incidents) == [INC, "INC-2"]

    def test_the_same_alert_again_changes_nothing(self):
        w = world()
        w.receive(signal(severity="P1"))
        before = (dict(w.journal), list(w.sent))
        w.advance(at(1))
        w.receive(signal(severity="P1"))
        assert (dict(w.journal), list(w.sent)) == before

    def test_late_alerts_join_the_open_incident_of_their_service(self):
        w = world()
        w.receive(signal("A", severity="P1"))
        w.receive(signal("B", severity="P1"))
        w.receive(signal("C", severity="P1", service="other"))
        assert set(w.incidents[INC].alerts) == {"fp-A", "fp-B"}
        assert set(w.incidents["INC-2"].alerts) == {"fp-C"}

    def test_another_sender_cannot_resolve_it(self):
        w = world()
        w.receive(signal(severity="P1", key="one"))
        w.receive(signal(severity="P1", key="two", ends=at(0)))
        assert w.incidents[INC].alerts["fp-BackendDown"].firing

    def test_a_resolved_alert_that_never_fired_opens_nothing(self):
        w = world()
        w.receive(signal(severity="P1", ends=at(0)))
        assert w.incidents == {}

    def test_two_senders_that_disagree_about_the_start_tell_of_one_alert(self):
        first, second = signal(severity="P1"), signal(severity="P1", starts=at(0.2))
        w = world()
        w.receive(first)
        w.act(INC, SeverityChosen("Ona", "P3", "test system"))
        before = dict(w.journal)
        for sent in (second, first, second):
            w.receive(sent)
        assert w.journal == before
        w.advance(at(1))
        w.act(INC, ResolvedByPerson("Ona"))
        for sent in (second, first, second):
            w.receive(sent)
        assert list(w.incidents) == [INC]

    def test_what_fired_when_it_came_fires_although_it_had_to_wait_for_us(self):
        w = world()
        w.advance(at(20))
        late = SignalReceived(signal(severity="P1", ends=at(4)), received_at=at(0))
        w.tell_desk("backend", late)
        assert pages(w) == [(20, ON_CALL, "severity", 185)]

    def test_a_service_of_any_length_has_one_desk(self):
        w = world()
        w.receive(signal("A", severity="P2", service="x" * 5000))
        w.receive(signal("B", severity="P2", service="x" * 5001))
        assert [i.service for i in w.incidents.values()] == ["x" * 200]


class TestSilences:
    def silenced(self, until=60):
        w = world()
        matcher = Matcher("service", "back.*", is_regex=True)
        silence = Silence("s1", (matcher,), at(0), at(until))
        w.surroundings = Surroundings(
            directory=w.surroundings.directory, tuning=w.surroundings.tuning, silences=(silence,)
        )
        return w

    def test_a_silenced_alert_opens_nothing_and_is_kept(self):
        w = self.silenced()
        w.receive(signal(severity="P0"))
        assert w.sent == []
        assert w.desks["backend"].alerts["fp-BackendDown"].muted_by == "s1"

    def test_what_still_fires_when_the_silence_ends_is_handled_then(self):
        w = self.silenced()
        w.receive(signal(severity="P2"))
        w.advance(at(60))
        w.tell_desk("backend", SilencesChanged(("fp-BackendDown",)))
        assert pages(w) == [(60, ON_CALL, "severity", 185)]

    def test_escalation_waits_while_every_firing_alert_is_silenced(self):
        w = world()
        w.receive(signal(severity="P1"))
        silenced = self.silenced(until=100)
        w.surroundings = silenced.surroundings
        w.tell_desk("backend", SilencesChanged(("fp-BackendDown",)))
        w.advance(at(100))
        assert [role for _, role, _, _ in pages(w)] == [ON_CALL]
        w.tell_desk("backend", SilencesChanged(("fp-BackendDown",)))
        assert pages(w)[-1] == (100, LEAD, "not_resolved", 193)

    def silence(self, w, *silences, fingerprint="fp-BackendDown"):
        w.surroundings = replace(w.surroundings, silences=silences)
        w.tell_desk("backend", SilencesChanged((fingerprint,)))

    def test_a_silenced_refire_that_is_heard_again_in_the_window_reopens(self):
        w = world()
        w.receive(signal(severity="P1"))
        w.receive(signal(severity="P1", ends=at(0)))
        w.advance(at(2))
        self.silence(w, Silence("s1", (Matcher("service", "backend"),), at(2), at(5)))
        w.receive(signal(severity="P1", starts=at(2)))
        assert w.incidents[INC].phase is Phase.MONITORING
        w.advance(at(5))
        self.silence(w)
        w.advance(at(60))
        assert [(m, role) for m, role, _, _ in pages(w)] == [(0, ON_CALL), (5, ON_CALL)]
        assert w.incidents[INC].is_open

    def test_what_still_fires_after_its_incident_and_its_silence_opens_another(self):
        w = world()
        w.receive(signal(severity="P1"))
        self.silence(w, Silence("s1", (Matcher("service", "backend"),), at(0), at(60)))
        w.act(INC, ResolvedByPerson("Ona"))
        w.advance(at(60))
        self.silence(w)
        assert list(w.incidents) == [INC, "INC-2"]

    def test_a_silenced_alert_that_joins_grades_nothing_until_it_is_heard(self):
        w = world()
        w.receive(signal(severity="P2"))
        other = Silence("s1", (Matcher("alertname", "Other"),), at(0), at(5))
        w.surroundings = replace(w.surroundings, silences=(other,))
        w.receive(signal("Other", severity="P0"))
        assert pages(w) == [(0, ON_CALL, "severity", 185)]
        w.advance(at(5))
        self.silence(w, fingerprint="fp-Other")
        assert [(m, role) for m, role, _, _ in pages(w)][1:] == [(5, LEAD), (5, MANAGER)]

    def test_what_a_person_declared_is_not_held_by_silenced_alerts(self):
        w = self.silenced()
        w.declare("backend", IncidentDeclared("All is slow", "Ona", "P1"))
        w.receive(signal(severity="P2"))
        w.advance(at(61))
        assert pages(w) == [(0, ON_CALL, "severity", 185), (60, LEAD, "not_resolved", 193)]

    def test_a_report_is_heard_through_a_silence(self):
        w = self.silenced()
        w.receive(replace(signal("I see errors", severity="P2"), source="report"))
        assert pages(w) == [(0, ON_CALL, "severity", 185)]


class TestChannels:
    def test_a_p0_tells_everybody_the_runbook_names_once(self):
        w = world()
        w.receive(signal(severity="P0"))
        assert told(w) == [
            (0, "slack #incidents", "opened", 171),
            (0, "email team", "opened", 173),
            (0, "email users", "opened", 179),
        ]

    @pytest.mark.parametrize(
        ("severity", "lines"), [("P1", [171, 173]), ("P2", [171]), ("P3", [171])]
    )
    def test_notices_follow_the_severity_filters(self, severity, lines):
        w = world()
        w.receive(signal(severity=severity))
        w.advance(at(2 * DAY))
        assert [line for _, _, _, line in told(w)] == lines

    def test_whoever_was_told_hears_the_end(self):
        w = world()
        w.receive(signal(severity="P2"))
        w.act(INC, ResolvedByPerson("Ona"))
        assert [(to, because) for _, to, because, _ in told(w)] == [
            ("slack #incidents", "opened"),
            ("slack #incidents", "person"),
        ]

    def test_customers_hear_that_it_began_and_ended_and_nothing_of_ours(self):
        messages = []

        def courier(effect):
            if effect.contact.address == "users@example.org":
                messages.append(effect.message)
            return True

        w = world(courier=courier)
        w.receive(signal(severity="P0", summary="postgres-7 lost the ledger"))
        w.act(INC, SeverityChosen("Ona", "P1", "Tom broke it"))
        w.act(INC, ResolvedByPerson("Ona", "Tom's deploy undone"))
        assert [(m.topic, m.external) for m in messages] == [("opened", True), ("resolved", True)]
        said = " ".join(line for m in messages for line in (m.headline, m.service, *m.lines))
        for ours in ("postgres", "backend", "P0", "Tom", "Ona", "runbook"):
            assert ours not in said

    def test_a_plain_address_in_the_runbook_is_written_to(self):
        assert DIRECTORY.audience("ops@example.org") == (Contact("email", "ops@example.org"),)
        assert DIRECTORY.audience("@ops") == ()

    def test_what_is_not_connected_is_asked_of_a_person(self):
        w = world()
        w.receive(signal(severity="P2"))
        left = [e for _, e in w.journal[INC] if type(e).__name__ == "NoticeLeftToPerson"]
        assert [(e.channel, e.source.line) for e in left] == [("status_page", 172)]


class TestReachability:
    def directory(self, **people):
        return Directory(
            people={**PEOPLE, **people},
            roles=dict(world().surroundings.directory.roles),
            audiences={},
            channels={},
        )

    def test_a_failed_contact_falls_back_to_the_next(self):
        ona = person("ona", "slack:U1", "email:ona@example.org")
        w = world(directory=self.directory(ona=ona), courier=lambda e: e.contact.kind != "slack")
        w.receive(signal(severity="P2"))
        vias = [s.via for s in w.sent if s.kind == "page"]
        assert vias == ["slack", "email"]

    def test_an_unreachable_responder_brings_the_next_rung_forward(self):
        w = world(courier=lambda e: getattr(e, "person", "") != "ona")
        w.receive(signal(severity="P1"))
        assert pages(w) == [(0, ON_CALL, "severity", 185), (0, LEAD, "undeliverable", 193)]

    def test_a_role_without_a_person_is_paged_in_the_app_and_said_so(self):
        empty = Directory()
        w = world(directory=empty)
        w.receive(signal(severity="P2"))
        assert [(s.to, s.via) for s in w.sent if s.kind == "page"] == [(ON_CALL, "app")]
        kinds = [type(e).__name__ for _, e in w.journal[INC]]
        assert "RoleUnheld" in kinds

    def test_one_person_in_two_roles_is_paged_once(self):
        base = world().surroundings.directory
        both = Directory(people=PEOPLE, roles={**base.roles, "team lead": ("ona",)})
        w = world(directory=both)
        w.receive(signal(severity="P0"))
        assert [s.to for s in w.sent if s.kind == "page"] == [ON_CALL, MANAGER]

    def test_a_failure_that_a_repeat_overtook_still_falls_back(self):
        ways = person("ona", "slack:U1", "email:ona@example.org")
        w = world(
            directory=replace(DIRECTORY, people={**PEOPLE, "ona": ways}),
            tuning=Tuning(repeat_every_s=60),
            courier=lambda effect: effect.contact.kind != "slack" or None,
        )
        w.receive(signal(severity="P2"))
        w.advance(at(1))
        assert [s.via for s in w.sent if s.kind == "page"] == ["slack", "slack"]
        first, second = w.incidents[INC].asked
        for delivery in (first, second):
            w.act(INC, DeliveryReported(delivery, False, "no answer"))
        assert [s.via for s in w.sent if s.kind == "page"] == ["slack", "slack", "email"]
        failed = [e.delivery for _, e in w.journal[INC] if isinstance(e, PageFailed)]
        assert failed == [first, second]

    def test_every_page_to_one_person_is_reported(self):
        both = replace(DIRECTORY, roles={**DIRECTORY.roles, "cto": ("ona",)})
        w = world(directory=both)
        w.receive(signal(severity="P0", security_breach="true"))
        taken = [e for _, e in w.journal[INC] if isinstance(e, PageDelivered)]
        assert len(taken) == len(pages(w)) == 4

    def test_somebody_out_of_reach_is_said_once_and_not_with_every_repeat(self):
        w = world(tuning=Tuning(repeat_every_s=300), courier=lambda _: False)
        w.receive(signal(severity="P2"))
        w.advance(at(60))
        lost = [e for _, e in w.journal[INC] if isinstance(e, PersonUnreachable)]
        assert len(lost) == 1
        assert w.incidents[INC].pages["ona"].unreachable


class TestStaleTimers:
    def test_a_timer_set_for_another_instant_decides_nothing(self):
        w = world()
        w.receive(signal(severity="P1"))
        before = w.incidents[INC]
        name = next(iter(timers_of(before)))
        w.advance(at(61))
        now = w.incidents[INC]
        for due in (at(0), at(60), at(10_000)):
            w.act(INC, TimerFired(name, due))
        assert w.incidents[INC] == now

    def test_a_timer_before_its_time_decides_nothing(self):
        w = world()
        w.receive(signal(severity="P1"))
        name, due = next(iter(timers_of(w.incidents[INC]).items()))
        w.act(INC, TimerFired(name, due))
        assert pages(w) == [(0, ON_CALL, "severity", 185)]
