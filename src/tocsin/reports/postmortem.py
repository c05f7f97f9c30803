"""The post-mortem drafts itself, in the runbook's own template, from what the journal holds.

Every heading and prompt of the template appears in its order. What the journal knows is filled in;
what only a person knows is a marked blank. Text from signals and people is escaped: it is read as
words, never as Markdown or HTML.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.base.durations import say_duration
from tocsin.base.source import Source
from tocsin.core import events as ev
from tocsin.core.events import GradedBecause
from tocsin.core.messages import say_grade
from tocsin.core.narrate import narrate
from tocsin.core.policy import Postmortem, PostmortemPrompt, PostmortemSection
from tocsin.core.similarity import concepts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tocsin.core.policy import Policy
    from tocsin.core.state import IncidentState

_TITLES_MAX = 20
BLANK = "*A person fills this in.*"

_NOWHERE = Source("", 0)
_HALF = re.compile("[\ud800-\udfff]")  # Half of a surrogate pair cannot be written as UTF-8.
_SPECIAL = re.compile(r"([\\`*_\[\]#|~])")
_CAUSE_WORDS = frozenset(
    concepts("cause because due revision deploy deployment commit rollback bug")
)


def _default(title: str, *prompts: str) -> PostmortemSection:
    return PostmortemSection(title, _NOWHERE, tuple(PostmortemPrompt(p, _NOWHERE) for p in prompts))


DEFAULT_TEMPLATE = Postmortem(
    sections=(
        _default("Summary", "What happened", "When it happened", "Impact"),
        _default("Timeline", "Detection", "Acknowledgement", "Resolution", "Key events"),
        _default("Cause", "Root cause", "Contributing factors"),
        _default("Response", "Steps taken", "What worked", "What did not work"),
        _default("Prevention", "Action items"),
    )
)


def draft(
    policy: Policy,
    state: IncidentState,
    recorded: Sequence[tuple[datetime, ev.Event]],
    at: datetime,
) -> str:
    """Return the post-mortem of an incident as Markdown.

    ``recorded`` is its whole journal, oldest first; ``at`` is when the draft is made. It can be
    made while the incident is open: then it says so.
    """
    return "\n".join(_Draft(policy, state, recorded, at).lines()) + "\n"


class _Draft:
    def __init__(
        self,
        policy: Policy,
        state: IncidentState,
        recorded: Sequence[tuple[datetime, ev.Event]],
        at: datetime,
    ) -> None:
        self.policy = policy
        self.state = state
        self.recorded = recorded
        self.at = at
        self.template = policy.postmortem or DEFAULT_TEMPLATE
        self.answered: set[str] = set()

    def lines(self) -> list[str]:
        state = self.state
        lines = [f"# Post-mortem: {_plain(state.title)}", ""]
        lines += [
            f"{state.id}, {state.severity}, {_plain(state.service)}. Draft of {_when(self.at)}, written from {len(self.recorded)} recorded events.",
            "",
        ]
        if state.is_open:
            lines += ["**The incident is still open: this draft is not complete.**", ""]
        for number, section in enumerate(self.template.sections, 1):
            lines += [f"## {number}. {_plain(section.title)}", ""]
            if not section.prompts:
                lines += [*self.answer(section.title), ""]
            for prompt in section.prompts:
                lines += [f"### {_plain(prompt.text)}", "", *self.answer(prompt.text), ""]
            if "timeline" in section.title.casefold():
                lines += self.times_not_asked_for(section)
        if "actions" not in self.answered:
            lines += ["## Action items", "", *self.actions(), ""]
        return lines[:-1]

    def answer(self, prompt: str) -> list[str]:
        text = prompt.casefold().replace("\u2019", "'")
        for name, pattern, answer in _ANSWERS:
            if re.search(pattern, text):
                self.answered.add(name)
                return answer(self) or [BLANK]
        return [BLANK]

    def times_not_asked_for(self, section: PostmortemSection) -> list[str]:
        """Three times belong into every timeline, whatever the template asks for."""
        asked = " ".join(p.text for p in section.prompts).casefold()
        lines = []
        for word, title, answer in (
            ("detect", "Detection time", self.detection()),
            ("ack", "Acknowledgement time", self.acknowledgement()),
            ("resol", "Resolution time", self.resolution()),
        ):
            if word not in asked:
                lines += [f"### {title}", "", *(answer or [BLANK]), ""]
        return lines

    def moment(self, at: datetime) -> str:
        """Return the time of day, with the date where it is not that of the opening."""
        opened_at = self.state.opened_at
        same_day = opened_at is not None and opened_at.date() == at.date()
        return f"{at:%H:%M:%S}" if same_day else f"{at:%Y-%m-%d %H:%M:%S}"

    # -- Answers -----------------------------------------------------------------------------------

    def what(self) -> list[str]:
        state = self.state
        joined = (e.signal.title for _, e in self.recorded if isinstance(e, ev.AlertJoined))
        titles = list(dict.fromkeys(joined))
        alerts = ", ".join(_plain(title) for title in titles[:_TITLES_MAX])
        if len(titles) > _TITLES_MAX:
            alerts += f", and {len(titles) - _TITLES_MAX} more kinds"
        lines = [
            f"{_plain(state.title)}, on {_plain(state.service)}. {_plain(say_grade(state.grade))}."
        ]
        if alerts:
            lines.append(f"Alerts: {alerts}.")
        if state.reports:
            lines.append(
                f"Reported by {state.reports} {'person' if state.reports == 1 else 'people'}."
            )
        if state.play:
            lines.append(f"It followed the scenario {_plain(state.play)} of the runbook.")
        return [" ".join(lines)]

    def when(self) -> list[str]:
        state = self.state
        if state.opened_at is None:
            return []
        if state.resolved_at is None:
            return [f"From {_when(state.opened_at)}; not resolved yet."]
        took = say_duration(state.resolved_at - state.opened_at)
        return [f"From {_when(state.opened_at)} to {_when(state.resolved_at)}: {took}."]

    def impact(self) -> list[str]:
        grade = self.state.grade
        lines = []
        if grade is not None and grade.because is GradedBecause.PERSON:
            lines.append(f"{_plain(say_grade(grade))}.")
        elif grade is not None and grade.source is not None and grade.source.quote:
            lines.append(f"Graded {grade.level}: “{_plain(grade.source.quote)}”.")
        if self.state.security_breach:
            lines.append("It was declared a security breach.")
        return [*lines, "", f"Who was affected, and how many: {BLANK}"]

    def detection(self) -> list[str]:
        state = self.state
        if state.opened_at is None:
            return []
        first = next((e for _, e in self.recorded if isinstance(e, ev.AlertJoined)), None)
        if first is None:
            opened = next((e for _, e in self.recorded if isinstance(e, ev.IncidentOpened)), None)
            by = f", declared by {_plain(opened.by)}" if opened and opened.by else ""
            return [f"{_when(state.opened_at)}{by}."]
        began = min(first.signal.starts_at, state.opened_at)
        after = say_duration(state.opened_at - began)
        return [
            f"{_when(state.opened_at)}, by {_plain(first.signal.title)} from "
            f"{_plain(first.signal.source)}, {after} after it began to fire."
        ]

    def acknowledgement(self) -> list[str]:
        for at, event in self.recorded:
            if isinstance(event, ev.IncidentAcknowledged):
                assert self.state.opened_at is not None  # nothing is acknowledged before it opens
                after = say_duration(at - self.state.opened_at)
                return [f"{_when(at)}, by {_plain(event.by)}, {after} after detection."]
        return ["Nobody acknowledged it."]

    def resolution(self) -> list[str]:
        state = self.state
        if state.resolved_at is None or state.opened_at is None:
            return ["Not resolved yet."]
        ended = [e for _, e in self.recorded if isinstance(e, ev.IncidentResolved)]
        how = f"by {_plain(ended[-1].by)}" if ended and ended[-1].by else "after a quiet watch"
        took = say_duration(state.resolved_at - state.opened_at)
        return [f"{_when(state.resolved_at)}, {how}, {took} after detection."]

    def key_events(self) -> list[str]:
        lines = []
        for entry in narrate(self.recorded):
            words = f": “{_plain(entry.line.words)}”" if entry.line.words else ""
            sources = [entry.line.source, *entry.line.also] if entry.line.source else []
            cite = f" ({', '.join(f'L{source.line}' for source in sources)})" if sources else ""
            lines.append(f"- {self.moment(entry.at)} {_plain(entry.line.text)}{words}{cite}")
        return lines

    def cause(self) -> list[str]:
        notes = [
            f"- {_plain(event.by)}, {self.moment(at)}: “{_plain(event.text)}”"
            for at, event in self.recorded
            if isinstance(event, ev.NoteAdded) and _CAUSE_WORDS & concepts(event.text).keys()
        ]
        return (
            ["As noted at the time:", "", *notes, "", f"Confirmed cause: {BLANK}"] if notes else []
        )

    def steps(self) -> list[str]:
        return [
            f"- {self.moment(entry.at)} {_plain(entry.line.text)}"
            + (f": “{_plain(entry.line.words)}”" if entry.line.words else "")
            for entry in narrate(self.recorded)
            if entry.line.kind == "people"
        ]

    def worked(self) -> list[str]:
        lines = []
        pages = [e for _, e in self.recorded if isinstance(e, ev.PageDelivered)]
        if pages:
            names = ", ".join(dict.fromkeys(_plain(p.name) for p in pages))
            lines.append(f"- Pages reached {names}.")
        if self.state.acknowledged_at is not None and self.state.started_at is not None:
            took = say_duration(self.state.acknowledged_at - self.state.started_at)
            lines.append(f"- It was acknowledged in {took}.")
        if self.state.play:
            lines.append(f"- The runbook had a play for it: {_plain(self.state.play)}.")
        return [*lines, f"- {BLANK}"]

    def failed(self) -> list[str]:
        telling = (
            ev.PageFailed, ev.PersonUnreachable, ev.RoleUnheld, ev.NoticeFailed,
            ev.NoticeLeftToPerson, ev.AlertWentStale, ev.IncidentReopened,
        )  # fmt: skip
        told = narrate([(at, e) for at, e in self.recorded if isinstance(e, telling)])
        lines = [f"- {_plain(entry.line.text)}." for entry in told]
        late = [e.rung for _, e in self.recorded if isinstance(e, ev.Escalated) and e.rung.after_s]
        lines += [
            f"- It took longer than {say_duration(timedelta(seconds=rung.after_s))}, so the "
            f"{_plain(', '.join(rung.roles))} was reached (L{rung.source.line})."
            for rung in late
        ]
        return [*dict.fromkeys(lines), f"- {BLANK}"]

    def actions(self) -> list[str]:
        items = [
            f"- [ ] {_plain(item.text)} (L{item.source.line})"
            for item in self.template.action_items
        ]
        return [*items, "- [ ] " + BLANK]


_ANSWERS: tuple[tuple[str, str, Callable[[_Draft], list[str]]], ...] = (
    ("actions", r"action items?|follow.?ups?", _Draft.actions),
    ("worked not", r"(did ?n.t|did not|not) (work|go)|went (wrong|badly)", _Draft.failed),
    ("worked", r"what worked|went well", _Draft.worked),
    ("what", r"what happened|summary|overview", _Draft.what),
    ("impact", r"impact|affected", _Draft.impact),
    ("detection", r"detect", _Draft.detection),
    ("acknowledgement", r"acknowledg|response time", _Draft.acknowledgement),
    ("resolution", r"resol(ution|ved) (time|at)|time (to|of) resol|^resolution$", _Draft.resolution),
    ("events", r"key events|events|timeline", _Draft.key_events),
    ("when", r"^when|date|duration|start|end", _Draft.when),
    ("cause", r"(root|primary|trigger).*cause|^cause|root cause", _Draft.cause),
    ("steps", r"steps|actions (were )?taken|remediation|mitigation", _Draft.steps),
)  # fmt: skip


def _plain(text: str) -> str:
    """Return text that reads as itself in Markdown and in HTML, on one line."""
    one_line = _HALF.sub("\ufffd", " ".join(text.split()))
    safe = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", safe)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
