"""The stages of the process as checklists, and where incidents are detected."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tocsin.core.policy import Checklist, ChecklistItem, LineStatus
from tocsin.runbook.commands import read_fence
from tocsin.runbook.document import Block, Fence, Listing, Section, rows_of
from tocsin.runbook.fenced import entries_of
from tocsin.runbook.messages import is_message
from tocsin.runbook.notes import Notes

_DETECTION = re.compile(r"detect|how (?:we|you) (?:find out|know|hear)|where .*come from", re.I)
# Who speaks the API of Alertmanager, and so is heard as it stands.
_SPEAKS_ALERTS = re.compile(r"prometheus|alert ?manager|\bthanos\b|\bvmalert\b", re.I)
_REPORTED = re.compile(
    r"\b(?:users?|customers?|clients?|staff|employees?|people|somebody|someone|anybody|anyone"
    r"|colleagues?|teams?|internal|external|support|manual)\b.*\b(?:report|complain|feedback)"
    r"|\b(?:report\w*|complain\w*|feedback)\s+(?:by|from|of)\s+(?:our\s+|the\s+|an?\s+)?"
    r"(?:users?|customers?|clients?|staff|employees?|people|colleagues?|support|teams?)\b",
    re.I,
)
_ALERTS = re.compile(r"\balert|\balarm|\bmonitoring\b(?!.*\bdashboard)", re.I)
_UNHEARD = re.compile(
    r"\b(?:sentry|datadog|new ?relic|grafana|pager ?duty|opsgenie|zabbix|nagios|icinga|checkmk"
    r"|cloud ?watch|stackdriver|azure monitor|splunk|elastic\w*|kibana|dynatrace|app ?dynamics"
    r"|honeycomb|bugsnag|rollbar|raygun|pingdom|uptime ?robot|statuscake|better ?stack|site24x7"
    r"|health[- ]?checks?|uptime checks?|synthetic\w*(?: (?:tests?|checks?|monitoring))?"
    r"|(?:automated|integration|smoke|acceptance|regression|e2e|end[- ]to[- ]end) (?:tests?|checks?)"
    r"|probes?)\b",
    re.I,
)
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_NAME = re.compile(r"[A-Z][\w.+-]{2,}(?: [A-Z][\w.+-]+)?")
_SOURCES = re.compile(r"source|signal|alert|come|from|hear|channel", re.I)
# What Tocsin carries for a checklist item. An item that matches none of these is a person's.
_CARRIED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), rule)
    for pattern, rule in (
        (r"acknowledg|\btake the page", "the acknowledgement, asked for by the page"),
        (
            r"(?:assess|determin|set|decid|classif|grade|judge)\w*\b.*\b(?:severity|priority|level|grade|how bad)",
            "the grade, by the criteria",
        ),
        (
            r"(?:notif|inform|tell|alert|page)\w*\b.*\b(?:team|people|stakeholder|everyone|responder)",
            "notices, by the communication rules",
        ),
        (
            r"(?:monitor|watch)\w*\b.*\b(?:stab|recover|again|recur|return)|stability",
            "the stability watch",
        ),
        (r"(?:document|record|log|note)\w*\b.*\b(?:incident|timeline|event)", "the timeline"),
        (r"post-?mortem|incident report|write-?up", "the post-mortem draft"),
        (
            r"(?:verif|confirm|validat|check)\w*\b.*\b(?:resol|fix|recover)",
            "the alerts, which must all have ended",
        ),
    )
)


class Process:
    """What the process sections of one document ask for."""

    def __init__(self) -> None:
        self.checklists: list[Checklist] = []
        self.sources: list[ChecklistItem] = []


def read_process(section: Section, process: Process, notes: Notes) -> None:
    """Read one process section: its subsections are the stages, or its own list is."""
    _stage(section, process, notes)
    for inner in section.sections:
        read_stage(inner, process, notes)


def read_stage(section: Section, process: Process, notes: Notes) -> None:
    """Read one stage with everything below it as one checklist."""
    _stage(section, process, notes)
    for inner in section.sections:
        read_stage(inner, process, notes)


def _stage(section: Section, process: Process, notes: Notes) -> None:
    title = section.title.plain
    items: list[ChecklistItem] = []
    for group in section.groups():
        detects = _DETECTION.search(title) is not None or _DETECTION.search(group.label) is not None
        lists_sources = detects and (not group.label or _SOURCES.search(group.label) is not None)
        for block in group.blocks:
            read = _items(block, notes, lists_sources=lists_sources)
            items.extend(read)
            if lists_sources:
                process.sources.extend(read)
    if items:
        process.checklists.append(Checklist(title, notes.source(section.line), tuple(items)))


def _items(block: Block, notes: Notes, *, lists_sources: bool) -> list[ChecklistItem]:
    if isinstance(block, Fence):
        return _fenced(block, notes)
    if not isinstance(block, Listing):
        return []
    items: list[ChecklistItem] = []
    for item, _ in rows_of((block,)):
        for inner in item.blocks:
            if isinstance(inner, Fence):
                _loose_commands(inner, notes)
        if not item.text.plain:
            continue
        items.append(ChecklistItem(item.text.plain, notes.source(item.text.line)))
        if lists_sources:
            notes.mark_item(item, *_heard(item.text.plain))
            continue
        carried = next((rule for pattern, rule in _CARRIED if pattern.search(item.text.plain)), "")
        if carried:
            notes.mark_item(item, LineStatus.AUTOMATED, f"checklist item, carried by {carried}")
        else:
            notes.mark_item(item, LineStatus.HUMAN, "checklist item for a person")
    return items


def _fenced(block: Fence, notes: Notes) -> list[ChecklistItem]:
    """Read a checklist that stands in a block of text; any other block holds commands or a form."""
    entries = () if is_message(block) else entries_of(block)
    for entry in entries:
        notes.mark(entry.line, LineStatus.HUMAN, "checklist item for a person")
    if not entries:
        _loose_commands(block, notes)
    notes.mark_block(block, LineStatus.REFERENCE, "text around a checklist")
    return [ChecklistItem(entry.text, notes.source(entry.line)) for entry in entries]


def _loose_commands(block: Fence, notes: Notes) -> None:
    if read_fence(block, notes) is None:
        notes.mark_block(block, LineStatus.TEMPLATE, "text to fill in")
        return
    notes.mark_block(block, LineStatus.REFERENCE, "commands outside a scenario")
    notes.find(
        "T163",
        block.line,
        1,
        "These commands belong to no scenario; they are shown, not offered as steps.",
        "Move them under a scenario that says when they help.",
    )


def _heard(source: str) -> tuple[LineStatus, str]:
    """Return what becomes of a detection source: only some have a receiver yet."""
    unheard = tuple(dict.fromkeys(_without_receiver(source)))
    but = f"; {', '.join(unheard)}: no receiver yet" if unheard else ""
    if _SPEAKS_ALERTS.search(source):
        return LineStatus.AUTOMATED, f"detection source: its alerts are received{but}"
    if _REPORTED.search(source):
        return LineStatus.AUTOMATED, f"detection source: reports are received{but}"
    if unheard:
        rule = "has no receiver of its own yet; it can be sent to the Alertmanager API"
        return LineStatus.UNSUPPORTED, f"detection source: {rule}"
    if _ALERTS.search(source):
        return LineStatus.AUTOMATED, "detection source: alerts are received"
    return LineStatus.HUMAN, "detection source: a person sees it and declares the incident"


def _without_receiver(source: str) -> Iterator[str]:
    for found in _UNHEARD.finditer(source):
        yield found[0]
    # "Monitoring alerts (Foo, Prometheus)": who is named in brackets is a system, known or not.
    for inside in _IN_BRACKETS.findall(source):
        for name in re.split(r"\s*(?:[,/;&]|\band\b|\bor\b)\s*", inside):
            if _NAME.fullmatch(name) and not (_SPEAKS_ALERTS.search(name) or _UNHEARD.search(name)):
                yield name
