"""An incident counts its alerts as it goes, and shows each input only the alert it is about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.world import POLICY, START, SURROUNDINGS, at, signal, world
from tocsin.core import events as ev
from tocsin.core.desk import decide_desk
from tocsin.core.evolve import alert_of, evolve, fold, fold_desk
from tocsin.core.incident import decide, new_incident
from tocsin.core.inputs import AlertTold, SignalReceived
from tocsin.core.state import AlertCounts, DeskState, IncidentAlert, count_alerts

INC = "INC-1"
FIRING = IncidentAlert("A", "prometheus", firing=True)
TOLD = st.builds(
    lambda name, firing, muted, stale: AlertTold(
        signal(name), "backend", firing=firing, muted_by=muted, stale=stale, revision="r1"
    ),
    st.sampled_from("ABCD"),
    st.booleans(),
    st.sampled_from([None, "s1", "s2"]),
    st.booleans(),
)


def test_muted_and_stale_count_only_among_what_fires() -> None:
    ended = replace(FIRING, firing=False, muted_by="s1", stale=True, signals=3)
    muted = replace(FIRING, muted_by="s1")
    stale = replace(FIRING, stale=True)
    counts = count_alerts([FIRING, ended, muted, stale])
    assert counts == AlertCounts(total=4, firing=3, muted=1, stale=1, signals=6)
    assert counts.ended == 1


def test_an_alert_that_changes_is_counted_once() -> None:
    counts = count_alerts([FIRING])
    assert counts.after(FIRING, replace(FIRING, muted_by="s1")) == AlertCounts(1, 1, 1, 0, 1)
    assert counts.after(FIRING, replace(FIRING, firing=False)) == AlertCounts(1, 0, 0, 0, 1)


@given(st.lists(TOLD, max_size=40))
def test_with_one_alert_at_a_time_the_incident_decides_as_with_all_of_them(told) -> None:
    whole, bare = new_incident(INC), new_incident(INC)
    rows: dict[str, IncidentAlert] = {}
    recorded = []
    for minute, received in enumerate(told):
        now = at(minute)
        name = received.signal.fingerprint
        bare = replace(bare, alerts={name: rows[name]} if name in rows else {})
        decision = decide(POLICY, bare, received, SURROUNDINGS, now)
        assert decision == decide(POLICY, whole, received, SURROUNDINGS, now)
        for event in decision.events:
            recorded.append((now, event))
            whole, bare = evolve(whole, event, now), evolve(bare, event, now)
            if alert_of(event) is not None:
                rows[name] = bare.alerts[name]
    assert whole.alerts == rows
    assert whole.alert_counts == bare.alert_counts == count_alerts(rows.values())
    assert replace(whole, alerts={}) == replace(bare, alerts={})
    if recorded:
        assert fold(recorded) == whole


def test_the_fold_of_a_desk_is_its_state_with_all_alerts() -> None:
    state, recorded = DeskState("backend"), []
    for name in ("A", "B", "A"):
        received = SignalReceived(signal(name, ends=START if recorded else None))
        given = replace(SURROUNDINGS, fresh_incident_id=INC)
        for event in decide_desk("r1", state, received, given, at(1)).events:
            state = fold_desk([event], state)
            recorded.append(event)
    assert any(isinstance(event, ev.DeskOpened) for event in recorded)
    assert fold_desk(recorded, DeskState("backend")) == state


def test_a_world_counts_what_its_journal_adds_up_to() -> None:
    w = world()
    for name in ("A", "B", "C"):
        w.receive(signal(name, severity="P1"))
    w.receive(signal("B", ends=START, severity="P1"))
    assert w.incidents[INC].alert_counts == AlertCounts(total=3, firing=2, signals=3)
    assert fold(w.journal[INC]) == w.incidents[INC]


def test_what_is_over_opens_no_incident() -> None:
    # The desk may speak of an incident that was pruned.
    for told in (
        AlertTold(signal("A"), "backend", firing=False, revision="r1"),
        AlertTold(signal("A"), "backend", firing=True, stale=True, revision="r1"),
    ):
        assert decide(POLICY, new_incident(INC), told, SURROUNDINGS, START).events == ()
