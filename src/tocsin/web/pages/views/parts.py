"""Parts that several pages show: severity marks, citations, faces, what comes next."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from tocsin.core.events import GradedBecause, Hold
from tocsin.core.phases import Phase
from tocsin.core.policy import Urgency
from tocsin.web.pages import saying

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.base.source import Source
    from tocsin.core.policy import Policy
    from tocsin.core.state import Grade, IncidentAlert, IncidentState, Page
    from tocsin.core.timers import Upcoming
    from tocsin.web.pages.reader import Reader

_MARK_CHARACTERS = 3
_MARK_CHARACTERS_MAX = 10
_HELD = {Hold.MONITORING: "while it is watched", Hold.SILENCED: "while it is silenced"}
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


class Cite(msgspec.Struct, frozen=True):
    """A link to a runbook line: ``label`` "L82", ``title`` file:line, ``quote`` its words."""

    label: str
    href: str
    title: str
    quote: str = ""


class Mark(msgspec.Struct, frozen=True):
    """A severity mark. ``css`` says the shape by rank; ``label`` is the document's own word."""

    css: str
    label: str
    wide: bool = False


class Face(msgspec.Struct, frozen=True):
    """A person on screen. ``name`` is "you" for the reader."""

    letters: str
    name: str
    you: bool = False


class Next(msgspec.Struct, frozen=True):
    """What happens next, as a sentence that begins with its verb.

    ``act`` is the part that is bold, ``rest`` what follows it. ``gone_s`` of ``whole_s`` seconds
    have passed. ``held`` says in two words why it waits beyond ``due_at``, "" if it does not;
    ``own`` says that it reaches the reader.
    """

    name: str
    due_at: datetime
    act: str
    rest: str
    icon: str
    cite: Cite | None
    held: str
    quiet: bool
    own: bool
    gone_s: int
    whole_s: int

    @property
    def sentence(self) -> str:
        """Return the whole sentence, beginning with its verb in small letters."""
        return self.act + self.rest


class Reason(msgspec.Struct, frozen=True):
    """Why an incident has its severity: ``lead`` (the level), ``text``, the words that matched."""

    lead: str
    text: str
    cite: Cite | None = None
    words: tuple[str, ...] = ()


class Citer:
    """Makes citations that lead to the right revision and the right document of a runbook."""

    def __init__(self, files: Iterable[str] = (), revision: str = "") -> None:
        """Cite ``files`` (the first one has plain anchors) of a revision; "" is the current one."""
        self._first = next(iter(files), "")
        self._query = f"?revision={quote(revision, safe='')}" if revision else ""

    def anchor(self, file: str, line: int) -> str:
        """Return the anchor of a line; lines of further documents begin with the document's name."""
        if file == self._first or not self._first:
            return f"L{line}"
        return f"{_NOT_SLUG.sub('-', file.lower()).strip('-')}-L{line}"

    def __call__(self, source: Source | None) -> Cite | None:
        """Return the citation of a source, or None for none."""
        if source is None:
            return None
        return Cite(
            label=f"L{source.line}",
            href=f"/runbook{self._query}#{self.anchor(source.file, source.line)}",
            title=str(source),
            quote=source.quote,
        )


def mark_of(policy: Policy | None, level: str) -> Mark:
    """Return the mark of a level; one that the policy does not declare is hollow."""
    declared = policy.severity(level) if policy else None
    label = (declared.level if declared else level) or "?"
    return Mark(
        css=f"p{min(declared.rank, 3)}" if declared else "p3",
        label=label[:_MARK_CHARACTERS_MAX],
        wide=len(label) > _MARK_CHARACTERS,
    )


def face_of(name: str, reader: Reader) -> Face:
    """Return how a person appears to the reader."""
    you = reader.is_(name)
    return Face(saying.initials(name), "you" if you else name, you)


def phase_word(phase: Phase) -> str:
    """Return a phase as the screen writes it."""
    return saying.capital(phase.value)


def needs(state: IncidentState, reader: Reader) -> tuple[Page, ...]:
    """Return the pages that wait for the reader: their own, or everybody's while nobody has it."""
    if not state.is_open:
        return ()
    waiting = tuple(
        page
        for page in state.pages.values()
        if page.acknowledged_at is None and page.urgency is Urgency.PAGE
    )
    if state.acknowledged_at is None:
        return waiting
    return tuple(page for page in waiting if reader.is_(page.name))


def settled_by_another(state: IncidentState, page: Page) -> bool:
    """Say whether a page ended because somebody else took the whole incident.

    One act for the whole incident settles every page at the same instant.
    """
    return (
        page.acknowledged_at is not None
        and page.acknowledged_at == state.acknowledged_at
        and state.acknowledged_by.casefold() != page.name.casefold()
    )


def next_of(
    state: IncidentState, coming: Upcoming, cite: Citer, reader: Reader, at: datetime
) -> Next:
    """Return one upcoming thing as the screens show it."""
    page = state.pages.get(coming.name.removeprefix("repeat/"))
    own = coming.name.startswith("repeat/") and page is not None and reader.is_(page.name)
    sentence = "pages you again unless you acknowledge" if own else coming.sentence
    act, rest = sentence, ""
    for joint in (" unless ", ": "):
        head, found, tail = sentence.partition(joint)
        if found:
            act, rest = head, found + tail
            break
    quiet = coming.name == "stability"
    began = state.phase_at.get(Phase.MONITORING) if quiet else state.started_at
    began = min(began or at, at)
    icon = "circle-check" if quiet else "hourglass" if coming.waits_for else "bell-ring"
    return Next(
        name=coming.name,
        due_at=coming.due_at,
        act=act,
        rest=rest,
        icon=icon,
        cite=cite(coming.source),
        held=_HELD[state.holds[0]] if coming.waits_for and state.holds else "",
        quiet=quiet,
        own=own,
        gone_s=max(0, int((at - began).total_seconds())),
        whole_s=max(1, int((coming.due_at - began).total_seconds())),
    )


def soonest(upcoming: Sequence[Next]) -> Next | None:
    """Return what happens first, to the reader if to anybody; what is held comes last."""
    return min(upcoming, key=lambda n: (bool(n.held), n.due_at, not n.own), default=None)


def reason_of(grade: Grade | None, cite: Citer, reader: Reader) -> Reason:
    """Return why an incident is as bad as it is, in the words of whoever or whatever said so."""
    if grade is None:
        return Reason("Not graded", " yet: nothing has said how bad it is")
    cited = cite(grade.source)
    match grade.because:
        case GradedBecause.LABEL:
            return Reason(
                grade.level, f" because the sender says {saying.listed(grade.words)}", cited
            )
        case GradedBecause.PERSON:
            by = "you" if reader.is_(grade.by) else grade.by
            said = "say" if by == "you" else "says"
            reason = f": {grade.reason}" if grade.reason else ""
            return Reason(grade.level, f" because {by} {said} so{reason}", cited)
        case GradedBecause.DEFAULT:
            text = ", the default: nothing in the runbook matches"
            return Reason(grade.level, text, cited)
        case GradedBecause.SECURITY_BREACH:
            return Reason(grade.level, " because it is a security breach", cited)
        case GradedBecause.SCENARIO | GradedBecause.CRITERION:
            words = f" because “{grade.source.quote}”" if grade.source else " by its words"
            return Reason(grade.level, words, cited, grade.words)


def alerts_reading(state: IncidentState, alerts: Iterable[IncidentAlert]) -> str:
    """Return one line about the alerts: how many fire, and which.

    ``alerts`` are its first ones, those that fire in front; they need not be all.
    """
    counts = state.alert_counts
    if counts.firing:
        firing = [alert for alert in alerts if alert.firing]
        names = list(dict.fromkeys(alert.title for alert in firing if alert.title != state.title))
        muted = ", silenced" if counts.muted == counts.firing else ""
        head = f"{saying.counted(counts.firing, 'alert')} firing{muted}"
        if not names:
            return head
        if len(firing) < counts.firing:
            return f"{head}: {', '.join(names[:2])} and more"
        more = f" and {len(names) - 2} more" if len(names) > 3 else ""
        return f"{head}: {', '.join(names[:2]) if more else saying.listed(names)}{more}"
    if counts.total:
        return "Every alert is resolved"
    if state.reports:
        return saying.counted(state.reports, "report") + " by users"
    return ""
