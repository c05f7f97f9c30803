"""Severity levels and the criteria that deserve them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tocsin.base.durations import find_duration
from tocsin.core.policy import Criterion, LineStatus, Severity
from tocsin.runbook.document import (
    Block,
    Document,
    Inline,
    Listing,
    Paragraph,
    Row,
    Section,
    Table,
    rows_of,
)
from tocsin.runbook.headings import Meaning, meaning_of
from tocsin.runbook.levels import (
    Declared,
    Scheme,
    declared_in,
    declared_in_cell,
    name_in,
    scheme_of,
)
from tocsin.runbook.notes import Notes

_PROMISE = re.compile(
    r"\brespon[sd]|resolution|\bsla\b|timeline|escalat|notif|communicat|update|\bowner|deadline"
    r"|initial action|on-?call|target|\bmttr|\bmtta|time\b|contact|action|who\b",
    re.IGNORECASE,
)
_LEVEL_COLUMN = re.compile(r"severity|level|priority|class|grade|sev\b|\bp\b", re.IGNORECASE)
_NAME_COLUMN = re.compile(r"^\W*(?:name|title|label|called)\W*$", re.IGNORECASE)
_DESCRIBED = re.compile(
    r"defin|descri|criteri|impact|example|meaning|what|symptom|when|scope|effect", re.IGNORECASE
)
_ABOUT_LEVELS = re.compile(r"severit|priorit|incident", re.IGNORECASE)
_NOT_OF_INCIDENTS = re.compile(r"\b(?:service|data|asset|vendor|customer|user)s?\b", re.IGNORECASE)
_OF_DEFINITION = re.compile(
    r"^(?:definition|description|criteri(?:a|on)|meaning|impact|examples?|symptoms?|scope)\s*:\s*",
    re.IGNORECASE,
)
_PROMISED_TAIL = re.compile(
    r"\s*(?:\u2192|->|=>)\s*[^\u2192]*(?:respon[sd]\w*|resol\w+|business day|\bsla\b)[^\u2192]*$",
    re.IGNORECASE,
)
_OF_WORK = re.compile(
    r"action|to-?dos?\b|task|roadmap|backlog|improve|follow|plan|timeline|history|past|next|goal|metric"
    r"|ticket|template|example|question",
    re.IGNORECASE,
)
CLIMBS = re.compile(
    r"\bescalat|\bwho to (?:call|page|notify|tell)|\bpag(?:e|es|ed|ing)\b|\bnotif(?:y|ies|ied)\b",
    re.IGNORECASE,
)
"""What a column or a label of a level says when it is about whom to reach."""
_PIECES = re.compile(r"<br\s*/?>|;\s+", re.IGNORECASE)


class Found(msgspec.Struct):
    """One declaration while it is being read."""

    declared: Declared
    line: int
    criteria: list[Criterion] = []


class Severities(msgspec.Struct, frozen=True):
    """What one document declares."""

    scheme: Scheme = Scheme()
    levels: tuple[Severity, ...] = ()
    section: Section | None = None


def read_severities(document: Document, notes: Notes) -> Severities:
    """Read the section that declares levels. Contradictions become findings.

    Of several, the one whose heading speaks of severity counts, and a numbered scheme before one
    of words; without any such heading, a bold label or a table that says what each level means.
    """
    best: tuple[int, Section, list[Found]] | None = None
    for section in _candidates(document):
        found = _declarations(section, notes)
        if len({f.declared.key for f in found}) < 2:
            continue
        weight = _weight(section, found)
        if best is None or weight > best[0]:
            best = (weight, section, found)
    if best is not None:
        return _settle(best[1], best[2], notes)
    for read in (_below_a_label, _unannounced):
        for section in document.root.walk():
            if meaning_of(section.title.plain) is not None and read is _unannounced:
                continue
            found = read(section, notes)
            if len({f.declared.key for f in found}) >= 2:
                return _settle(section, found, notes)
    return Severities()


def _candidates(document: Document) -> list[Section]:
    about = [
        section
        for section in document.root.walk()
        if section.level
        and section is not document.title_section
        and meaning_of(section.title.plain) is Meaning.SEVERITY
    ]
    title = document.title_section
    if title is not None and meaning_of(title.title.plain) is Meaning.SEVERITY:
        about.append(title)
    return about


def _weight(section: Section, found: Sequence[Found]) -> int:
    title = section.title.plain
    weight = 2 if _ABOUT_LEVELS.search(title) else 0
    weight -= 4 if _NOT_OF_INCIDENTS.search(title) else 0
    return weight + (1 if found[0].declared.family != "word" else 0)


def _below_a_label(section: Section, notes: Notes) -> list[Found]:
    """Read what stands under ``**Severity levels:**`` in a section about something else."""
    for group in section.groups():
        if group.label and meaning_of(group.label) is Meaning.SEVERITY:
            held = msgspec.structs.replace(section, blocks=group.blocks, sections=())
            if found := _listed(held, notes):
                return found
    return []


def _unannounced(section: Section, notes: Notes) -> list[Found]:
    """Read a table or a list that gives each level once, and beside it what it means."""
    for block in section.blocks:
        if isinstance(block, Listing) and _defines_each(block, section.title.plain):
            return _items(block, notes)
        if not isinstance(block, Table) or len(block.header) < 2:
            continue
        first = block.header[0].plain
        if not _LEVEL_COLUMN.search(first) or _NOT_OF_INCIDENTS.search(first):
            continue
        if not any(_DESCRIBED.search(cell.plain) for cell in block.header[1:]):
            continue
        cells = [row.cells[0].plain for row in block.rows if row.cells]
        levels = [declared_in_cell(cell, first) for cell in cells]
        keys = [level.key for level in levels if level is not None]
        if len(keys) == len(cells) and len(set(keys)) == len(keys) >= 2:
            return _rows(block, notes)
    return []


def _defines_each(listing: Listing, title: str) -> bool:
    """Say whether every item is one numbered level and what it means, not what to do or by when."""
    if _OF_WORK.search(title):
        return False
    keys: list[str] = []
    for item in listing.items:
        declared = declared_in(item.text.before_colon)
        said = item.text.after_colon
        if declared is None or declared.family in ("word", "level", "tier") or not said:
            return False
        if _PROMISE.search(said) or find_duration(said) is not None:
            return False
        keys.append(declared.key)
    return len(set(keys)) == len(keys) >= 2


def _declarations(section: Section, notes: Notes) -> list[Found]:
    return _headed(section, notes) or _listed(section, notes) or _labelled(section, notes)


def _headed(section: Section, notes: Notes) -> list[Found]:
    """Read ``### P0 - Critical`` headings, wherever they stand below the section."""
    found: list[Found] = []
    for inner in section.sections:
        declared = declared_in(inner.title.plain)
        if declared is None:
            found.extend(_declarations(inner, notes))
            continue
        level = Found(declared, inner.line)
        found.append(level)
        for group in inner.groups():
            _criteria_under(group.label, group.blocks, level, notes)
        for deeper in inner.sections:
            _criteria_under(deeper.title.plain, deeper.blocks, level, notes)
    return found


def _listed(section: Section, notes: Notes) -> list[Found]:
    """Read tables, lists and paragraphs that begin with a level."""
    found: list[Found] = []
    for block in section.blocks:
        if isinstance(block, Table):
            found.extend(_rows(block, notes))
        elif isinstance(block, Listing):
            found.extend(_items(block, notes))
        elif isinstance(block, Paragraph) and block.text.lead and not block.text.is_label:
            found.extend(_led(block.text, (), notes))
    return found


def _labelled(section: Section, notes: Notes) -> list[Found]:
    """Read ``**P0 - Critical**`` lines with a list under each."""
    found: list[Found] = []
    for group in section.groups():
        declared = declared_in(group.label) if group.label else None
        if declared is not None:
            level = Found(declared, group.line)
            _criteria_under("", group.blocks, level, notes)
            found.append(level)
    return found


def _criteria_under(label: str, blocks: tuple[Block, ...], level: Found, notes: Notes) -> None:
    promise = bool(label) and _PROMISE.search(label) is not None
    for block in blocks:
        if isinstance(block, Listing):
            for item, _ in rows_of((block,)):
                if CLIMBS.search(item.text.before_colon or label):
                    continue
                if promise or (item.text.before_colon and _PROMISE.search(item.text.before_colon)):
                    notes.mark_item(item, LineStatus.REFERENCE, "promise in a severity level")
                    _promise(item.text, notes)
                    continue
                _criterion(item.text.plain, item.text.line, level, notes)
                notes.mark_item(item, LineStatus.AUTOMATED, "severity criterion")
        elif isinstance(block, Paragraph) and CLIMBS.search(block.text.lead or label):
            continue
        elif isinstance(block, Paragraph) and not promise:
            words = block.text.rest if block.text.lead else block.text.plain
            if block.text.lead and _PROMISE.search(block.text.lead):
                _promise(block.text, notes)
                notes.mark_block(block, LineStatus.REFERENCE, "promise in a severity level")
            elif words:
                _criterion(words, block.line, level, notes)
                notes.mark(
                    block.line,
                    LineStatus.AUTOMATED,
                    "severity criterion",
                    end=block.end,
                    again=True,
                )


def _promise(text: Inline, notes: Notes) -> None:
    notes.find(
        "T136",
        text.line,
        text.before_colon,
        f"\u201c{text.plain}\u201d is a promise, not a criterion; nothing is timed by it.",
        "Put the time into the escalation criteria if somebody should be paged by then.",
    )


def _criterion(words: str, line: int, level: Found, notes: Notes) -> None:
    words = _PROMISED_TAIL.sub("", _OF_DEFINITION.sub("", words.strip()))
    if words:
        level.criteria.append(Criterion(words, notes.source(line)))


def _rows(table: Table, notes: Notes) -> list[Found]:
    header = [cell.plain for cell in table.header]
    if found := _columns(table, header, notes):
        return found
    column = next((i for i, h in enumerate(header) if _LEVEL_COLUMN.search(h)), 0)
    name_column = next((i for i, h in enumerate(header) if _NAME_COLUMN.match(h)), -1)
    rows = table.rows
    if header and declared_in(header[0], whole=True) is not None:
        # A table without a header of its own: its first row is a level too.
        rows = (Row(table.header, table.line), *rows)
        header, column, name_column = [""] * len(header), 0, -1
    for row in rows:
        cell = row.cells[column].plain if column < len(row.cells) else ""
        declared = declared_in_cell(cell, header[column] if header else "")
        if declared is None:
            continue
        if not declared.name and 0 <= name_column < len(row.cells):
            named = row.cells[name_column].plain
            declared = msgspec.structs.replace(declared, name=named)
        level = Found(declared, row.line)
        for i, content in enumerate(row.cells):
            title = header[i] if i < len(header) else ""
            if i not in (column, name_column) and not _PROMISE.search(title):
                _cell(content.plain, row.line, level, notes)
        found.append(level)
        notes.mark(row.line, LineStatus.AUTOMATED, "severity level with its criteria")
    if found:
        notes.mark(table.line, LineStatus.REFERENCE, "table header", end=table.line + 1)
    return found


def _cell(words: str, line: int, level: Found, notes: Notes) -> None:
    """Read a cell as criteria, after the name with which it may open: "Critical - all down"."""
    if not level.declared.name and level.declared.family != "word":
        name, words = name_in(words)
        level.declared = msgspec.structs.replace(level.declared, name=name)
    for piece in _PIECES.split(words):
        _criterion(piece, line, level, notes)


def _columns(table: Table, header: list[str], notes: Notes) -> list[Found]:
    """Read a table whose columns are the levels and whose rows say what about them."""
    found: dict[int, Found] = {}
    for i, title in enumerate(header[1:], start=1):
        declared = declared_in(title, whole=True)
        if declared is not None:
            found[i] = Found(declared, table.line)
    if len(found) < 2 or len(found) < len(header) - 2:
        return []
    for row in table.rows:
        about = row.cells[0].plain if row.cells else ""
        if _PROMISE.search(about) or not about:
            notes.mark(row.line, LineStatus.REFERENCE, "promise in a severity level")
            continue
        for i, level in found.items():
            if i < len(row.cells):
                _cell(row.cells[i].plain, row.line, level, notes)
        notes.mark(row.line, LineStatus.AUTOMATED, "severity criterion")
    return list(found.values())


def _items(listing: Listing, notes: Notes) -> list[Found]:
    found: list[Found] = []
    for item in listing.items:
        found.extend(_led(item.text, item.blocks, notes))
    return found


def _led(text: Inline, blocks: tuple[Block, ...], notes: Notes) -> list[Found]:
    lead = text.before_colon
    declared = declared_in_cell(lead, "severity") if lead else declared_in(text.plain, whole=True)
    if declared is None:
        return []
    level = Found(declared, text.line)
    if lead:
        for piece in _PIECES.split(text.after_colon):
            _criterion(piece, text.line, level, notes)
    _criteria_under("", blocks, level, notes)
    notes.mark(text.line, LineStatus.AUTOMATED, "severity level", end=text.end)
    return [level]


def _settle(section: Section, found: list[Found], notes: Notes) -> Severities:
    scheme = scheme_of([f.declared for f in found])
    merged: dict[str, Found] = {}
    for level in found:
        if level.declared.family != found[0].declared.family:
            _second_scheme(level, notes)
            continue
        first = merged.setdefault(level.declared.key, level)
        if first is level:
            notes.mark(level.line, LineStatus.AUTOMATED, "severity level")
            continue
        _repeated(first, level, notes)
        notes.mark(level.line, LineStatus.AUTOMATED, "severity level")
        first.criteria.extend(level.criteria)
    levels = tuple(
        Severity(
            level=declared.level,
            name=declared.name,
            rank=rank,
            source=notes.source(merged[declared.key].line),
            criteria=tuple(merged[declared.key].criteria),
        )
        for rank, declared in enumerate(scheme.levels)
    )
    return Severities(scheme, levels, section)


def _repeated(first: Found, again: Found, notes: Notes) -> None:
    a, b = first.declared.name.casefold(), again.declared.name.casefold()
    if a and b and a != b:
        notes.find(
            "T101",
            again.line,
            again.declared.level,
            f"{again.declared.level} is \u201c{first.declared.name}\u201d on line {first.line}"
            f" and \u201c{again.declared.name}\u201d here.",
            "Declare each level once; give one of the two another level.",
        )


def _second_scheme(level: Found, notes: Notes) -> None:
    notes.mark(level.line, LineStatus.UNSUPPORTED, "level of a second severity scheme", again=True)
    notes.find(
        "T103",
        level.line,
        level.declared.level,
        f"{level.declared.level} belongs to another scheme than the first level declared here.",
        "Keep one scheme in a document.",
    )
