"""The runbook, line by line: what becomes of each line, what there is to say about it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup

from tocsin.base.durations import say_duration
from tocsin.core.policy import Clock, Level, LineStatus, StepKind, Urgency
from tocsin.core.timers import say_roles
from tocsin.web.pages import saying
from tocsin.web.pages.views.markdown import inline, whole_words
from tocsin.web.pages.views.parts import Cite, Citer, Mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tocsin.core.policy import EscalationRule, Finding, Play, Policy
    from tocsin.runbook import Compiled

_STATUSES = {
    LineStatus.AUTOMATED: ("a", "Automated"),
    LineStatus.HUMAN: ("h", "Human"),
    LineStatus.REFERENCE: ("r", "Reference"),
    LineStatus.TEMPLATE: ("t", "Template"),
    LineStatus.UNSUPPORTED: ("u", "Unsupported"),
}
_LEVELS = {Level.ERROR: "e", Level.WARNING: "w", Level.INFO: "i"}
_NEWLINE = re.compile(r"\r\n?|\n")  # as the compiler counts lines
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"^(\s*)([-*+]|\d+[.)])\s+(.*)$")
_TASK = re.compile(r"^\[([ xX])\]\s+")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_REVISION_CHARACTERS = 12

# A note stands beside its line, in a margin of this many characters a line; where the next note is
# too near, the document makes room instead of printing one over the other.
_NOTE_CHARACTERS = 27
_NOTE_LINE_PX = 19
_LINE_PX = 24
_GAP_PX = 13


class Note(msgspec.Struct, frozen=True):
    """One finding as the margin says it."""

    code: str
    message: str
    remedy: str
    where: str = ""


class LineView(msgspec.Struct, frozen=True):
    """One line of the document. ``kind`` is the class it is drawn with; ``css`` its ledger mark."""

    number: int
    anchor: str
    kind: str
    css: str
    word: str
    prefix: str
    bullet: str
    html: Markup
    findings: tuple[Note, ...] = ()
    level: str = ""
    flow: bool = False


class DocumentView(msgspec.Struct, frozen=True):
    """One document of the runbook."""

    name: str
    lines: tuple[LineView, ...]


class Count(msgspec.Struct, frozen=True):
    """How many lines have a status."""

    css: str
    word: str
    count: int


class Contents(msgspec.Struct, frozen=True):
    """One heading in the contents, with how many findings lie below it."""

    anchor: str
    text: str
    findings: int


class Cell(msgspec.Struct, frozen=True):
    """One rule in the ladder: whom it reaches, after how long."""

    text: str
    cite: Cite | None
    after: str = ""


class Ladder(msgspec.Struct, frozen=True):
    """The ladder of one severity."""

    mark: Mark
    now: tuple[Cell, ...]
    later: tuple[Cell, ...]
    later_tone: str


class Channel(msgspec.Struct, frozen=True):
    """A channel that is told, and when."""

    name: str
    when: str
    tone: str
    cite: Cite | None


class PlaySummary(msgspec.Struct, frozen=True):
    """A play in one line."""

    name: str
    cite: Cite | None
    reading: str


class BookView(msgspec.Struct, frozen=True):
    """The whole page. ``hour`` says how long an hour lasts where times are shortened, else ""."""

    title: str
    sentence: str
    revision: str
    hour: str
    older: bool
    refused: tuple[Note, ...]
    marks: tuple[Count, ...]
    toc: tuple[Contents, ...]
    documents: tuple[DocumentView, ...]
    ladder: tuple[Ladder, ...]
    told: tuple[Channel, ...]
    plays: tuple[PlaySummary, ...]
    finding_count: int
    first_finding: str


def book_view(
    compiled: Compiled,
    findings: Sequence[Finding],
    refused: Compiled | None,
    cite: Citer,
    *,
    older: bool = False,
) -> BookView:
    """Return the page of a runbook. ``findings`` include what the settings leave open."""
    policy = compiled.policy
    counts = Counter(entry.status for entry in compiled.ledger)
    documents = tuple(
        _document(name, text, compiled, findings, cite) for name, text in compiled.documents.items()
    )
    noted = [line for document in documents for line in document.lines if line.findings]
    return BookView(
        title=PurePosixPath(documents[0].name).name if len(documents) == 1 else policy.title,
        sentence=_sentence(counts),
        revision=policy.revision[:_REVISION_CHARACTERS],
        hour=_hour(policy),
        older=older,
        refused=tuple(
            Note(f.code, f"{f.message.rstrip('.')}.", f.remedy, str(f.source))
            for f in (refused.findings if refused else ())
            if f.level is Level.ERROR
        ),
        marks=tuple(Count(css, word, counts[status]) for status, (css, word) in _STATUSES.items()),
        toc=_toc(documents),
        documents=documents,
        ladder=tuple(_ladder(policy, severity.level, cite) for severity in policy.severities),
        told=_told(policy, cite),
        plays=tuple(PlaySummary(p.name, cite(p.source), _say_play(p)) for p in policy.plays),
        finding_count=sum(len(line.findings) for line in noted),
        first_finding=noted[0].anchor if noted else "",
    )


def _hour(policy: Policy) -> str:
    """Return how long the document's hour lasts under a policy that ``shortened`` made."""
    _, shortened, divisor = policy.revision.partition("/")
    return say_duration(timedelta(hours=1) / float(divisor)) if shortened else ""


def _sentence(counts: Mapping[LineStatus, int]) -> str:
    parts = [f"{counts.get(LineStatus.AUTOMATED, 0)} carried by Tocsin"]
    if counts.get(LineStatus.HUMAN):
        parts.append(f"{counts[LineStatus.HUMAN]} asked of a person")
    if counts.get(LineStatus.UNSUPPORTED):
        parts.append(f"{counts[LineStatus.UNSUPPORTED]} it cannot honour")
    return f"Every line has an answer: {', '.join(parts)}."


def _document(
    name: str, text: str, compiled: Compiled, findings: Sequence[Finding], cite: Citer
) -> DocumentView:
    statuses = {entry.line: entry.status for entry in compiled.ledger if entry.file == name}
    noted: dict[int, list[Finding]] = {}
    for finding in findings:
        if finding.source.file == name:
            noted.setdefault(finding.source.line, []).append(finding)
    lines: list[LineView] = []
    fence = ""
    css, word = _STATUSES[LineStatus.REFERENCE]
    for number, raw in enumerate(_NEWLINE.split(text.removesuffix("\n")), start=1):
        status = statuses.get(number)
        if status is not None:
            css, word = _STATUSES[status]
        kind, prefix, bullet, html = _shape(raw, in_fence=bool(fence))
        opening = _FENCE.match(raw)
        if opening and not fence:
            fence = opening[1]
        elif opening and raw.strip().startswith(fence) and raw.strip(" `~") == "":
            fence = ""
        notes = noted.get(number, [])
        lines.append(
            LineView(
                number=number,
                anchor=cite.anchor(name, number),
                kind=kind,
                css=css,
                word=word,
                prefix=prefix,
                bullet=bullet,
                html=html,
                findings=tuple(Note(f.code, f"{f.message.rstrip('.')}.", f.remedy) for f in notes),
                level=min((_LEVELS[f.level] for f in notes), key="ewi".index, default=""),
            )
        )
    return DocumentView(name, tuple(_with_room(lines)))


def _shape(raw: str, *, in_fence: bool) -> tuple[str, str, str, Markup]:
    """Return how a line is drawn: its class, its Markdown prefix, its bullet, its text."""
    empty = Markup("")
    if _FENCE.match(raw):
        return "fence", "", "", Markup("{}").format(raw)
    if in_fence:
        return ("code", "", "", whole_words(raw)) if raw.strip() else ("code in", "", "", empty)
    if not raw.strip():
        return "gap", "", "", empty
    if heading := _HEADING.match(raw):
        return f"h{min(len(heading[1]), 3)}", heading[1], "", inline(heading[2])
    if item := _ITEM.match(raw):
        bullet = "•" if item[2] in "-*+" else item[2]
        words = item[3]
        if task := _TASK.match(words):
            bullet, words = "☐" if task[1] == " " else "☑", words[task.end() :]
        return "li2" if len(item[1].expandtabs(4)) > 1 else "li", "", bullet, inline(words)
    if raw.lstrip().startswith("|"):
        return "code", "", "", Markup("{}").format(raw)
    return "", "", "", inline(raw.strip())


def _with_room(lines: Sequence[LineView]) -> list[LineView]:
    found = list(lines)
    below_px = _LINE_PX * 20
    for index in range(len(found) - 1, -1, -1):
        line = found[index]
        below_px += _GAP_PX if line.kind in ("gap", "code in") else _LINE_PX
        if line.findings:
            rows = sum(
                -(-len(f"{n.code} {n.message} {n.remedy}") // _NOTE_CHARACTERS)
                for n in line.findings
            )
            if rows * _NOTE_LINE_PX > below_px:
                found[index] = msgspec.structs.replace(line, flow=True)
            below_px = 0
    return found


def _toc(documents: Sequence[DocumentView]) -> tuple[Contents, ...]:
    found: list[Contents] = []
    for document in documents:
        kinds = {line.kind for line in document.lines}
        wanted = "h2" if "h2" in kinds else "h1"
        for line in document.lines:
            if line.kind == wanted:
                found.append(Contents(line.anchor, line.html.striptags(), len(line.findings)))
            elif found and line.findings:
                last = found[-1]
                found[-1] = msgspec.structs.replace(
                    last, findings=last.findings + len(line.findings)
                )
    return tuple(found)


def _ladder(policy: Policy, level: str, cite: Citer) -> Ladder:
    rules = [
        rule
        for rule in policy.escalations
        if level in rule.severity
        or (not rule.severity and policy.severities and policy.severities[0].level == level)
    ]
    now = [r for r in rules if r.condition is None and r.after_s == 0]
    later = sorted((r for r in rules if r not in now), key=lambda r: r.after_s)
    dead_end = any(r.reaches_nobody_new for r in later)
    only_events = bool(later) and all(r.condition for r in later)
    return Ladder(
        mark=mark_of(policy, level),
        now=tuple(Cell(_reached(r), cite(r.source)) for r in now),
        later=tuple(_later(r, cite) for r in later),
        later_tone="warn" if dead_end else "quiet" if only_events or not later else "",
    )


def _reached(rule: EscalationRule) -> str:
    who = saying.capital(say_roles(rule.to))
    return who if rule.urgency is Urgency.PAGE else f"{who}, told"


def _later(rule: EscalationRule, cite: Citer) -> Cell:
    if rule.condition is not None:
        return Cell(f"{_reached(rule)} if a {rule.condition.replace('_', ' ')}", cite(rule.source))
    text = "Nobody new" if rule.reaches_nobody_new else _reached(rule)
    if rule.clock is Clock.UNACKNOWLEDGED:
        text += ", unless acknowledged"
    return Cell(text, cite(rule.source), say_duration(timedelta(seconds=rule.after_s)))


def _told(policy: Policy, cite: Citer) -> tuple[Channel, ...]:
    every = {severity.level for severity in policy.severities}
    found = []
    for rule in policy.communications:
        tone = "quiet"
        if rule.unknown_filter:
            when, tone = f"“{rule.unknown_filter}” is no level", "warn"
        elif set(rule.severity) >= every:
            when = "all"
        else:
            when = ", ".join(rule.severity) or "never"
        if rule.cadence_s:
            when += f", every {say_duration(timedelta(seconds=rule.cadence_s))}"
        name = saying.channel(rule.channel)
        if rule.target:
            joint = " to " if rule.channel == "email" else " "
            name = f"{name}{joint}{rule.target}"
        if rule.external:
            name += ", public"
        if rule.approval:
            name += ", after approval"
        found.append(Channel(name, when, tone, cite(rule.source)))
    return tuple(found)


def _say_play(play: Play) -> str:
    kinds = Counter(step.kind for step in play.steps)
    words = (
        (StepKind.DIAGNOSTIC, "read only", "read only"),
        (StepKind.ACTION, "changes something", "change something"),
        (StepKind.CHECK, "is a check", "are checks"),
        (StepKind.HUMAN, "is for a person", "are for a person"),
    )
    parts = [
        f"{kinds[kind]} {one if kinds[kind] == 1 else more}"
        for kind, one, more in words
        if kinds[kind]
    ]
    return (
        f"{saying.counted(len(play.steps), 'step')}: {', '.join(parts)}." if parts else "No steps."
    )
