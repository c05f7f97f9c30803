"""What one runbook made of recorded inputs, counted; and what changes from one runbook to another."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.durations import say_duration
from tocsin.base.source import Source
from tocsin.core import events as ev
from tocsin.core.events import Because
from tocsin.core.policy import Urgency

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

NIGHT_FROM_H = 22
NIGHT_TO_H = 7
"""A night page comes at 22:00 or later, or before 7:00, by the clocks of the report's time zone."""


class Paged(msgspec.Struct):
    """How one person was reached in one incident: at first, and how often in all."""

    at: datetime
    role: str
    because: str
    source: Source
    times: int = 1


class Case(msgspec.Struct):
    """One incident. ``level`` is its last severity, ``graded`` the line that decided it."""

    incident: str
    service: str
    title: str
    opened_at: datetime
    level: str = ""
    graded: Source | None = None
    reason: str = ""
    pages: dict[str, Paged] = msgspec.field(default_factory=dict)
    resolved_at: datetime | None = None

    @property
    def key(self) -> tuple[str, datetime]:
        """Return what makes it the same incident under another runbook."""
        return self.service, self.opened_at


class Account:
    """Counts the events of one replay.

    ``pages`` counts first pages and ``repeats`` those that came again, by person; ``hours`` and
    ``nights`` count both. ``told`` counts messages to channels, ``left`` those that a person had to
    send, ``unheld`` pages to roles that nobody holds.
    """

    def __init__(self, zone: tzinfo) -> None:
        """Begin with nothing. ``zone`` says what is night, and which hour it is."""
        self.cases: dict[tuple[str, datetime], Case] = {}
        self.pages: Counter[str] = Counter()
        self.repeats: Counter[str] = Counter()
        self.nights: Counter[str] = Counter()
        self.hours: Counter[int] = Counter()
        self.notices: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.unheld: Counter[str] = Counter()
        self.escalations: Counter[str] = Counter()
        self.reopened = 0
        self._zone = zone
        self._open: dict[str, Case] = {}

    @property
    def levels(self) -> Counter[str]:
        """Return how many incidents ended with each severity."""
        return Counter(case.level for case in self.cases.values())

    @property
    def total_pages(self) -> int:
        """Return how often anybody was paged, repeats included."""
        return self.pages.total() + self.repeats.total()

    def take(self, at: datetime, incident: str, event: ev.IncidentEvent) -> None:  # noqa: C901 - a case each
        """Count one event."""
        match event:
            case ev.IncidentOpened():
                case = Case(incident, event.service, event.title, at)
                self.cases[case.key] = self._open[incident] = case
            case ev.SeverityGraded():
                case = self._open[incident]
                case.level, case.graded = event.level, event.source
                case.reason = event.because.value
            case ev.PageAsked():
                self._page(at, self._open[incident], event)
            case ev.Escalated(rung=rung) if rung.after_s:
                for role in rung.roles:
                    self.escalations[role] += 1
            case ev.NoticeAsked():
                self.told[event.target or event.channel] += 1
            case ev.NoticeLeftToPerson():
                self.left[event.target or event.channel] += 1
            case ev.RoleUnheld(role=role):
                self.unheld[role] += 1
            case ev.IncidentResolved():
                self._open[incident].resolved_at = at
            case ev.IncidentReopened():
                self.reopened += 1
                self._open[incident].resolved_at = None

    def _page(self, at: datetime, case: Case, event: ev.PageAsked) -> None:
        if event.urgency is not Urgency.PAGE:
            self.notices[event.name] += 1
            return
        hour = at.astimezone(self._zone).hour
        self.hours[hour] += 1
        if hour >= NIGHT_FROM_H or hour < NIGHT_TO_H:
            self.nights[event.name] += 1
        (self.repeats if event.because is Because.REPEAT else self.pages)[event.name] += 1
        known = case.pages.get(event.name)
        if known is None:
            case.pages[event.name] = Paged(at, event.role, event.because.value, event.source)
        else:
            known.times += 1


# -- Two accounts ----------------------------------------------------------------------------------


class Row(msgspec.Struct, frozen=True):
    """One figure under the old runbook and under the new one."""

    name: str
    old: int
    new: int

    @property
    def change(self) -> int:
        """Return how much more it is."""
        return self.new - self.old


class Example(msgspec.Struct, frozen=True):
    """One incident that goes otherwise. ``kind`` is "severity", "page", "opened" or "gone".

    The sentences say how it goes; a source is None where nothing decided it.
    """

    kind: str
    at: datetime
    incident: str
    service: str
    title: str
    old: str
    new: str
    old_source: Source | None = None
    new_source: Source | None = None


class Comparison(msgspec.Struct, frozen=True):
    """What changes. Rows stand in the order in which they are shown; examples in that of time."""

    totals: tuple[Row, ...]
    levels: tuple[Row, ...]
    people: tuple[Row, ...]
    nights: tuple[Row, ...]
    hours: tuple[Row, ...]
    escalations: tuple[Row, ...]
    notices: tuple[Row, ...]
    unheld: tuple[Row, ...]
    examples: tuple[Example, ...]
    regraded: int
    changed: int

    @property
    def is_same(self) -> bool:
        """Say whether nothing that is counted differs."""
        rows = (*self.totals, *self.levels, *self.people, *self.escalations, *self.notices)
        return not self.examples and not any(row.change for row in rows)


def compare(old: Account, new: Account) -> Comparison:
    """Return what changes from one account of the same inputs to another."""
    examples = _examples(old, new)
    levels = sorted({*old.levels, *new.levels})
    return Comparison(
        totals=(
            Row("incidents", len(old.cases), len(new.cases)),
            Row("reopened", old.reopened, new.reopened),
            Row("pages", old.total_pages, new.total_pages),
            Row("of these repeats", old.repeats.total(), new.repeats.total()),
            Row("night pages", old.nights.total(), new.nights.total()),
            Row("escalations", old.escalations.total(), new.escalations.total()),
            Row("notices to people", old.notices.total(), new.notices.total()),
            Row("notices to channels", old.told.total(), new.told.total()),
            Row("notices left to a person", old.left.total(), new.left.total()),
        ),
        levels=tuple(Row(level, old.levels[level], new.levels[level]) for level in levels),
        people=_rows(old.pages + old.repeats, new.pages + new.repeats),
        nights=_rows(old.nights, new.nights),
        hours=tuple(Row(f"{hour:02d}", old.hours[hour], new.hours[hour]) for hour in range(24)),
        escalations=_rows(old.escalations, new.escalations),
        notices=_rows(old.told, new.told),
        unheld=_rows(old.unheld, new.unheld),
        examples=tuple(examples),
        regraded=sum(example.kind == "severity" for example in examples),
        changed=len({(example.service, example.at) for example in examples}),
    )


def headline(comparison: Comparison) -> str:
    """Return in a sentence what changes most for people."""
    if comparison.is_same:
        return "Nothing changes: both runbooks make the same of it."
    said = []
    incidents = comparison.totals[0].change
    if incidents:
        said.append(
            f"{_counted(abs(incidents), 'incident')} {'more' if incidents > 0 else 'fewer'}"
        )
    if comparison.regraded:
        verb = "changes" if comparison.regraded == 1 else "change"
        said.append(f"{_counted(comparison.regraded, 'incident')} {verb} severity")
    by_change = sorted(comparison.people, key=lambda row: -abs(row.change))
    for row in by_change[:2]:
        if row.change:
            more = "more" if row.change > 0 else "less"
            said.append(f"{row.name} is paged {_times(abs(row.change))} {more}")
    night = comparison.totals[4].change
    if night:
        said.append(f"{_counted(abs(night), 'night page')} {'more' if night > 0 else 'fewer'}")
    sentence = ", ".join(said) or "The same people are paged as often, but not all at the same time"
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _examples(old: Account, new: Account) -> list[Example]:
    found: list[Example] = []
    for key in sorted({*old.cases, *new.cases}, key=lambda key: (key[1], key[0])):
        before, after = old.cases.get(key), new.cases.get(key)
        if before is None or after is None:
            found.append(_one_sided(before, after))
        else:
            found += _differences(before, after)
    return found


def _one_sided(before: Case | None, after: Case | None) -> Example:
    case = before or after
    assert case is not None
    kind = "gone" if after is None else "opened"
    here, nowhere = f"opens as {case.level}", "is part of another incident, or of none"
    return Example(
        kind,
        case.opened_at,
        case.incident,
        case.service,
        case.title,
        here if before is not None else nowhere,
        here if after is not None else nowhere,
        case.graded if before is not None else None,
        case.graded if after is not None else None,
    )


def _differences(before: Case, after: Case) -> list[Example]:
    found = []

    def example(kind: str, old: str, new: str, *sources: Source | None) -> None:
        about = (before.opened_at, before.incident, before.service, before.title)
        found.append(Example(kind, *about, old, new, *sources))

    if before.level != after.level:
        old, new = before.level or "not graded", after.level or "not graded"
        example("severity", old, new, before.graded, after.graded)
    for name in dict.fromkeys((*before.pages, *after.pages)):
        old_page, new_page = before.pages.get(name), after.pages.get(name)
        if old_page is None or new_page is None or old_page.at != new_page.at:
            example(
                "page",
                _say(before, name, old_page),
                _say(after, name, new_page),
                old_page.source if old_page else None,
                new_page.source if new_page else None,
            )
    return found


def _say(case: Case, name: str, page: Paged | None) -> str:
    if page is None:
        return f"{name} is not paged"
    after = page.at - case.opened_at
    if after < timedelta(minutes=1):
        return f"{name} is paged at once"
    return f"{name} is paged after {say_duration(after)}"


def _rows(old: Counter[str], new: Counter[str]) -> tuple[Row, ...]:
    names = sorted({*old, *new}, key=lambda name: (-max(old[name], new[name]), name))
    return tuple(Row(name, old[name], new[name]) for name in names)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
