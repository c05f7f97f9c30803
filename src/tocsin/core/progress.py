"""How far the runbook has been followed: what is done of its checklists, which symptoms were seen.

An item counts as done only where the journal proves it and the item asks for nothing more: "Notify
the team" is proven by a page that went out, "Notify the team and legal" is not. Everything that
only a person can know stays open.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from tocsin.core import events as ev
from tocsin.core.events import GradedBecause
from tocsin.core.phases import Phase
from tocsin.core.severity import symptoms_of
from tocsin.core.similarity import concepts, signal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tocsin.base.source import Source
    from tocsin.core.policy import Play, Policy
    from tocsin.core.state import IncidentState

    Journal = Sequence[tuple[datetime, ev.Event]]
    _Place = tuple[str, int]

# Of a storm, the first alerts tell which symptoms it has; a room is drawn in milliseconds.
_ALERTS_COMPARED_MAX = 500


class Seen(msgspec.Struct, frozen=True):
    """A symptom that something named at ``since``; ``cleared_at`` is when its last alert ended."""

    since: datetime
    cleared_at: datetime | None = None


class _Act(msgspec.Struct, frozen=True):
    """What an item says when it asks for one act: one word of each group, and ``also`` at most."""

    groups: tuple[frozenset[str], ...]
    also: frozenset[str]

    def is_asked_by(self, said: frozenset[str], named: frozenset[str] = frozenset()) -> bool:
        """Say whether the concepts of an item ask for this act and for nothing beyond it.

        ``named`` are the concepts of whom or what the act reached.
        """
        if not all(group & said for group in self.groups):
            return False
        return said <= named.union(self.also, *self.groups)


def _words(text: str) -> frozenset[str]:
    return frozenset(concepts(text))


_INCIDENT = "incident alerts page issue"
_ACKNOWLEDGE = _Act((_words("acknowledge acknowledgement claim ownership"),), _words(_INCIDENT))
_ASSESS = _Act(
    (_words("severity"),),
    _words(
        f"{_INCIDENT} assess assessment determine assign classify set grade evaluate decide"
        " establish level"
    ),
)
_NOTIFY = _Act(
    (_words("notify inform tell contact page"),), _words("team incident people responders via")
)
_MONITOR = _Act(
    (_words("monitor watch observe stability"),),
    _words("stability until remains stays system service incident fix"),
)
_VERIFY = _Act(
    (_words("verify confirm check ensure"), _words("resolution resolved recovery recovered fix")),
    _words("incident issue service works"),
)
_DOCUMENT = _Act((_words("document record"), _words("incident timeline")), frozenset())


def done_items(policy: Policy, state: IncidentState, recorded: Journal) -> dict[Source, datetime]:
    """Return the items of the process that are proven to be done, and since when.

    ``recorded`` is the journal of the incident, oldest first. A root cause found and a post-mortem
    written are never proven: a person does these. Reopening undoes what has to be done again.
    """
    facts = _Facts(policy, state, recorded)
    found = {}
    for checklist in policy.checklists:
        for item in checklist.items:
            at = facts.done_at(_words(item.text) - _levels(policy))
            if at is not None:
                found[item.source] = at
    return found


def symptoms_seen(policy: Policy, play: Play, recorded: Journal) -> dict[Source, Seen]:
    """Return the symptoms of a play that the incident shows, by what its alerts and people said.

    A symptom is cleared when every alert that named it is resolved; what people report has no end.
    """
    lasting: dict[_Place, datetime] = {}
    alerts: dict[_Place, dict[str, datetime]] = {}
    for at, fingerprint, text in _statements(recorded):
        for source in symptoms_of(policy, play, text):
            if fingerprint:
                alerts.setdefault(_place(source), {}).setdefault(fingerprint, at)
            else:
                lasting.setdefault(_place(source), at)
    # An alert that changed its words later is in the journal only with its first ones.
    for at, event in recorded:
        if isinstance(event, ev.PlayChosen) and event.play == play.name:
            for place in {_place(source) for source in event.symptoms} - alerts.keys():
                lasting.setdefault(place, at)
    cleared = _cleared(recorded)
    found = {}
    for symptom in play.symptoms:
        place = _place(symptom.source)
        by_alert = alerts.get(place, {})
        if place in lasting:
            found[symptom.source] = Seen(min([lasting[place], *by_alert.values()]))
        elif by_alert:
            all_over = all(name in cleared for name in by_alert)
            ended = max(cleared[name] for name in by_alert) if all_over else None
            found[symptom.source] = Seen(min(by_alert.values()), ended)
    return found


class _Facts:
    """What the journal proves of one incident."""

    def __init__(self, policy: Policy, state: IncidentState, recorded: Journal) -> None:
        self.acknowledged_at = state.acknowledged_at
        self.resolved_at = state.resolved_at
        # A default is what stands there while nobody and nothing has judged.
        self.graded_at = next(
            (
                at
                for at, event in recorded
                if isinstance(event, ev.SeverityGraded)
                and event.because is not GradedBecause.DEFAULT
            ),
            None,
        )
        quiet = state.alert_counts.total > 0 and state.alert_counts.firing == 0
        cleared = [at for at, event in recorded if isinstance(event, ev.AlertCleared)]
        self.cleared_at = cleared[-1] if quiet and cleared else None
        self.monitored_at = _monitored_at(recorded)
        self.reached = tuple(_reached(policy, recorded))

    def done_at(self, said: frozenset[str]) -> datetime | None:
        """Return since when an item with these concepts is done, or None."""
        simple = (
            (_ACKNOWLEDGE, self.acknowledged_at),
            (_ASSESS, self.graded_at),
            (_VERIFY, self.cleared_at),
            (_MONITOR, self.monitored_at),
            (_DOCUMENT, self.resolved_at),
        )
        for act, at in simple:
            if act.is_asked_by(said):
                return at
        return next((at for at, named in self.reached if _NOTIFY.is_asked_by(said, named)), None)


def _monitored_at(recorded: Journal) -> datetime | None:
    """Return when the last watch began, unless the incident went back to work since."""
    began = None
    for at, event in recorded:
        match event:
            case ev.MonitoringBegan():
                began = at
            case ev.IncidentReopened():
                began = None
            case ev.PhaseChanged(phase=phase) if phase.order < Phase.MONITORING.order:
                began = None
    return began


def _reached(policy: Policy, recorded: Journal) -> Iterator[tuple[datetime, frozenset[str]]]:
    """Yield what left for people of ours and did not fail, with the concepts of whom it reached."""
    outside = {_place(rule.source) for rule in policy.communications if rule.external}
    failed = {e.delivery for _, e in recorded if isinstance(e, ev.PageFailed | ev.NoticeFailed)}
    for at, event in recorded:
        match event:
            case ev.PageAsked(contact=contact) if contact and event.delivery not in failed:
                yield at, _words(f"{event.role} {contact.kind}")
            case ev.NoticeAsked() if event.delivery not in failed:
                if _place(event.source) not in outside:
                    yield at, _words(f"{event.target} {event.channel} channel")


def _statements(recorded: Journal) -> Iterator[tuple[datetime, str, str]]:
    """Yield what was said about an incident: when, by which alert ("" for people), which words."""
    compared = 0
    for at, event in recorded:
        match event:
            case ev.AlertJoined(signal=signal):
                compared += 1
                if compared <= _ALERTS_COMPARED_MAX:
                    text = signal_text(signal.title, signal.labels, signal.annotations)
                    yield at, signal.fingerprint, text
            case ev.ReportJoined():
                yield at, "", f"{event.title}. {event.text}"
            case ev.DeclarationJoined():
                yield at, "", event.title
            case ev.IncidentOpened() if event.by:
                yield at, "", event.title


def _cleared(recorded: Journal) -> dict[str, datetime]:
    """Return the alerts that are over, and since when."""
    cleared: dict[str, datetime] = {}
    for at, event in recorded:
        match event:
            case ev.AlertCleared(fingerprint=fingerprint):
                cleared[fingerprint] = at
            case ev.AlertRefired(fingerprint=fingerprint):
                cleared.pop(fingerprint, None)
    return cleared


def _place(source: Source) -> _Place:
    return source.file, source.line


def _levels(policy: Policy) -> frozenset[str]:
    """Return the concepts of the declared levels: "assess severity (P0-P3)" asks for no more."""
    return _words(" ".join(severity.level for severity in policy.severities))
