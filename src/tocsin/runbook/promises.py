"""What severity levels promise about telling people: by which channel, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from tocsin.core.policy import Communication, LineStatus
from tocsin.runbook.cadence import bare_cadence
from tocsin.runbook.channels import channel_of, channels_in, target_of
from tocsin.runbook.communication import is_public, needs_approval
from tocsin.runbook.document import Block, Inline, Listing, Paragraph, Section, Table, rows_of
from tocsin.runbook.levels import Scheme, declared_in
from tocsin.runbook.notes import Notes

_HOW_OFTEN = re.compile(
    r"\b(?:updates?|communication) (?:frequency|cadence|interval|rhythm)|\bhow often\b"
    r"|\bupdates?(?: every)?\W*$|\b(?:update|status) cadence|^\W*(?:cadence|comms cadence)\W*$",
    re.IGNORECASE,
)
_WHOM = re.compile(
    r"^\W*(?:notif\w*|communicat\w*|comms|channels?|announce\w*|inform|external comm\w*|status ?page)"
    r"(?: (?:channels?|via|method|plan|by))?\W*$",
    re.IGNORECASE,
)
_NOBODY = re.compile(r"^\W*(?:none|no\b|n/?a\b|-+|\u2013|\u2014)", re.IGNORECASE)
_REFUSALS = ("T136",)


class _Promise(msgspec.Struct):
    """What one level promises: filled in piece by piece, from lines or from the cells of a row."""

    level: str
    channels: list[tuple[str, str, int]] = []
    cadence: tuple[int, int] | None = None


def read_promises(section: Section, scheme: Scheme, notes: Notes) -> tuple[Communication, ...]:
    """Read the promises in a section of severity levels, in document order."""
    rules: list[Communication] = []
    for promise in _promises(section, scheme, notes):
        rules.extend(_rules(promise, notes))
    return tuple(rules)


def _promises(section: Section, scheme: Scheme, notes: Notes) -> Iterator[_Promise]:
    for block in section.blocks:
        if isinstance(block, Table):
            yield from _rows(block, scheme)
        elif isinstance(block, Listing):
            for item in block.items:
                yield from _under(item.text.before_colon, item.blocks, scheme, notes)
    for group in section.groups():
        yield from _under(group.label, group.blocks, scheme, notes)
    for inner in section.sections:
        if declared_in(inner.title.plain) is None:
            yield from _promises(inner, scheme, notes)
            continue
        blocks = tuple(block for deeper in inner.walk() for block in deeper.blocks)
        yield from _under(inner.title.plain, blocks, scheme, notes)


def _under(
    title: str, blocks: tuple[Block, ...], scheme: Scheme, notes: Notes
) -> Iterator[_Promise]:
    level = _level(title, scheme)
    if level is None:
        return
    promise = _Promise(level)
    holder = Section(Inline("", "", 1, 1), 9, blocks, ())
    for group in holder.groups():
        for block in group.blocks:
            for text in _texts(block):
                lead = text.before_colon or group.label
                _take(
                    promise, lead, text.after_colon if text.before_colon else text.plain, text.line
                )
    yield promise


def _texts(block: Block) -> Iterator[Inline]:
    if isinstance(block, Paragraph):
        yield block.text
    elif isinstance(block, Listing):
        for item, _ in rows_of((block,)):
            yield item.text


def _rows(table: Table, scheme: Scheme) -> Iterator[_Promise]:
    header = [cell.plain for cell in table.header]
    heads = {i: level for i, h in enumerate(header) if (level := _level(h, scheme))}
    if len(heads) >= 2:
        yield from _columns(table, heads)
        return
    for row in table.rows:
        levels = [level for cell in row.cells if (level := _level(cell.plain, scheme))]
        if not levels:
            continue
        promise = _Promise(levels[0])
        for title, cell in zip(header, row.cells, strict=False):
            _take(promise, title, cell.plain, row.line)
        yield promise


def _columns(table: Table, heads: dict[int, str]) -> Iterator[_Promise]:
    """Read a table whose columns are levels: a row tells of each how often, or by what."""
    for at, level in heads.items():
        promise = _Promise(level)
        for row in table.rows:
            if at < len(row.cells):
                _take(promise, row.cells[0].plain, row.cells[at].plain, row.line)
        yield promise


def _level(words: str, scheme: Scheme) -> str | None:
    declared = declared_in(words)
    keys = {level.key: level.level for level in scheme.levels}
    return keys.get(declared.key) if declared else None


def _take(promise: _Promise, title: str, words: str, line: int) -> None:
    if _NOBODY.match(words):
        return
    if _HOW_OFTEN.search(title) and (every := bare_cadence(words)) is not None:
        promise.cadence = (every, line)
    elif _WHOM.search(title):
        about = words if channel_of(words) else f"{title} {words}"
        for channel in channels_in(about):
            promise.channels.append((channel, words, line))
        if promise.cadence is None and (every := bare_cadence(words)) is not None:
            promise.cadence = (every, line)


def _rules(promise: _Promise, notes: Notes) -> Iterator[Communication]:
    every, at = promise.cadence or (None, 0)
    for channel, words, line in promise.channels or ([("other", "", at)] if at else []):
        for used in {line, at} - {0}:
            notes.mark(
                used,
                LineStatus.HUMAN,
                "whom a level tells, and how often",
                again=_is_free(notes, used),
            )
            notes.withdraw(_REFUSALS, used)
        yield Communication(
            channel=channel,
            target=target_of(words, channel),
            severity=(promise.level,),
            source=notes.source(line),
            cadence_s=every,
            external=is_public(channel, target_of(words, channel), None),
            approval=needs_approval(words),
        )


def _is_free(notes: Notes, line: int) -> bool:
    """Say whether a line says nothing else that counts: the row of a level declares the level."""
    return notes.status(line) is not LineStatus.AUTOMATED
