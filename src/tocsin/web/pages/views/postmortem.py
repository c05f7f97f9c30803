"""The post-mortem draft as a paper: its Markdown drawn, its headings tied to the template's lines."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

from tocsin.base.durations import say_duration
from tocsin.core.events import PageDelivered
from tocsin.reports.postmortem import BLANK
from tocsin.web.pages import saying
from tocsin.web.pages.views.parts import Cite, Citer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from tocsin.base.source import Source
    from tocsin.core.events import Event
    from tocsin.core.policy import Policy
    from tocsin.core.state import IncidentState

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_TAGS = {"p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "br", "hr", "table",
         "thead", "tbody", "tr", "th", "td"}  # fmt: skip
_BLANK_HTML = f"<em>{BLANK.strip('*')}</em>"
_BLANK_MARK = '<span class="todo-mark">a person fills this in</span>'
_TASK = re.compile(r"<li>(<p>)?\[ \] ")
_CITED = re.compile(r"\((L\d{1,6}(?:, L\d{1,6})*)\)")
_NUMBERED = re.compile(r"^\d+\.\s+")


class Part(msgspec.Struct, frozen=True):
    """One heading with what stands below it. ``tag`` is "h2" or "h3"; no heading before the first."""

    tag: str
    heading: str
    cite: Cite | None
    line: int
    html: Markup


class Paper(msgspec.Struct, frozen=True):
    """The whole draft; ``sections`` begin with an h2 each."""

    id: str
    title: str
    opened_at: datetime
    is_open: bool
    events: int
    blanks: int
    stats: tuple[tuple[str, str], ...]
    sections: tuple[tuple[Part, ...], ...]


def paper(
    state: IncidentState,
    markdown: str,
    events: Sequence[Event],
    policy: Policy,
    cite: Citer,
    at: datetime,
) -> Paper:
    """Return a draft to be read on screen. ``events`` is the whole journal of the incident."""
    lines = _lines_of(policy)
    sections: list[list[Part]] = []
    for tag, heading, body in _split(saying.sayable(markdown)):
        heading = _NUMBERED.sub("", heading)
        source = lines.get(heading.casefold())
        part = Part(tag, heading, cite(source), source.line if source else 0, _draw(body))
        if tag == "h3" and sections:
            sections[-1].append(part)
        else:
            sections.append([part])
    return Paper(
        id=state.id,
        title=state.title,
        opened_at=state.opened_at or at,
        is_open=state.is_open,
        events=len(events),
        blanks=markdown.count(BLANK),
        stats=_stats(state, events, at),
        sections=tuple(tuple(section) for section in sections),
    )


def _lines_of(policy: Policy) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for section in policy.postmortem.sections if policy.postmortem else ():
        for text, source in (
            (section.title, section.source),
            *((prompt.text, prompt.source) for prompt in section.prompts),
        ):
            if source.line:
                found.setdefault(text.casefold(), source)
    return found


def _split(markdown: str) -> list[tuple[str, str, str]]:
    """Return (tag, heading, Markdown below it); the title and the line of facts are left out."""
    tokens = _MARKDOWN.parse(markdown)
    lines = markdown.splitlines()
    heads: list[tuple[int, int, str, str]] = []
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.map and token.level == 0:
            heads.append((token.map[0], token.map[1], token.tag, _words(inline)))
    found = []
    for (_, below, tag, heading), after in zip(
        heads, [*(h[0] for h in heads[1:]), len(lines)], strict=True
    ):
        if tag != "h1":
            body = "\n".join(lines[below:after])
            found.append(("h2" if tag == "h2" else "h3", heading, body))
    return found


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _draw(body: str) -> Markup:
    html = nh3.clean(_MARKDOWN.render(body), tags=_TAGS, attributes={})
    html = html.replace(_BLANK_HTML, _BLANK_MARK)
    html = _TASK.sub(r'<li class="task">\1', html)
    html = _CITED.sub(_link_lines, html)
    return Markup(html)  # noqa: S704 - sanitised above


def _link_lines(match: re.Match[str]) -> str:
    return " ".join(
        f'<a class="cite" href="/runbook#{line}">{line}</a>' for line in match[1].split(", ")
    )


def _stats(
    state: IncidentState, events: Sequence[Event], at: datetime
) -> tuple[tuple[str, str], ...]:
    opened = state.opened_at or at
    # From the journal: a reopened incident has forgotten whom it reached the first time.
    reached = {event.name for event in events if isinstance(event, PageDelivered)}
    found = []
    if state.acknowledged_at is not None:
        started = state.started_at or opened
        found.append(("Acknowledged in", say_duration(state.acknowledged_at - started)))
    if state.resolved_at is not None and not state.is_open:
        found.append(("Resolved in", say_duration(state.resolved_at - opened)))
    else:
        found.append(("Open for", say_duration(at - opened)))
    found.append(("People reached", str(len(reached))))
    found.append(("Alerts", f"{state.alert_counts.total:,}"))
    signals = state.alert_counts.signals + state.reports
    found.append(("Signals", f"{signals:,}"))
    return tuple(found)
