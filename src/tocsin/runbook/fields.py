"""Fields that a document fills in about itself: ``**Alert:** ...``, ``**Severity:** ...``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tocsin.runbook.document import Block, Listing, Paragraph, Table

_FIELD = re.compile(
    r"^\s*(?:[-*+]\s+)?(?:\*\*|__)(?P<name>[^*_:|]{1,40}?)\s*:?\s*(?:\*\*|__)\s*:?\s*(?P<value>.*)$"
)
_ALERT = re.compile(
    r"^(?:alert(?:s|ing rules?| names?| rules?|\(s\))?|alert ?manager alerts?|prometheus alerts?"
    r"|(?:triggered|fired) by|triggering alerts?)$",
    re.IGNORECASE,
)
_LEVEL = re.compile(
    r"^(?:(?:default |typical |alert |incident )?(?:severity|priority)(?: level)?)$", re.I
)
_FIRES = re.compile(
    r"^(?:(?:alert |trigger(?:ing)? )?(?:condition|threshold|expression)|fires when|trigger|triggered when"
    r"|detection rule)$",
    re.IGNORECASE,
)
_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"^[A-Za-z_][\w.:-]{2,}$")
_HUMPS = re.compile(
    r"^[A-Za-z]*[a-z0-9][A-Z][A-Za-z0-9]*$|^[A-Z]+[a-z]+[A-Z]\w*$|^[a-z]+(?:[_-][a-z0-9]+)+$"
)
_AFTER_NAME = re.compile(r"^[\s`,/&]*(?:[-\u2013\u2014:(]\s*)?")


class Field(NamedTuple):
    """A name, what is filled in, and on which line. Back-ticks of the value are kept."""

    name: str
    value: str
    line: int


class AlertField(NamedTuple):
    """What an alert field says: names of alerts, and words about when they fire."""

    names: tuple[str, ...]
    words: str
    line: int


def fields_of(blocks: Sequence[Block]) -> Iterator[Field]:
    """Yield bold names with values, from paragraphs of one or several, lists and small tables."""
    for block in blocks:
        if isinstance(block, Paragraph):
            yield from _in_lines(block.text.raw, block.line)
        elif isinstance(block, Listing):
            for item in block.items:
                yield from _in_lines(item.text.raw, item.text.line)
        elif isinstance(block, Table) and len(block.header) == 2:
            rows = [(row.cells, row.line) for row in block.rows if len(row.cells) == 2]
            # A table of fields has no header of its own; one that names columns is no field.
            if "`" in block.header[1].raw or is_alert_name(block.header[1].plain):
                rows.insert(0, (block.header, block.line))
            for cells, line in rows:
                yield Field(cells[0].plain.rstrip(": "), cells[1].raw, line)


def alert_field(field: Field) -> AlertField | None:
    """Return what a field says about alerts, or None for any other field."""
    if not _ALERT.match(field.name.strip()):
        return None
    quoted = tuple(name for name in _CODE.findall(field.value) if _NAME.match(name))
    if quoted:
        last = field.value.rfind(f"`{quoted[-1]}`") + len(quoted[-1]) + 2
        words = _AFTER_NAME.sub("", field.value[last:], count=1)
        return AlertField(quoted, words.strip().rstrip(")").strip(), field.line)
    bare = [part.strip() for part in re.split(r"[,;/]|\band\b", field.value) if part.strip()]
    if bare and all(is_alert_name(part) for part in bare):
        return AlertField(tuple(bare), "", field.line)
    first = field.value.split(" ")[0].rstrip(":,")
    if is_alert_name(first):
        words = _AFTER_NAME.sub("", field.value[len(first) :], count=1)
        return AlertField((first,), words.strip(), field.line)
    return AlertField((), field.value.strip(), field.line) if field.value.strip() else None


def is_level_field(field: Field) -> bool:
    """Say whether a field names the severity of what it stands in."""
    return _LEVEL.match(field.name.strip()) is not None


def is_condition_field(field: Field) -> bool:
    """Say whether a field tells when an alert fires."""
    return bool(field.value) and _FIRES.match(field.name.strip()) is not None


def is_alert_name(word: str) -> bool:
    """Say whether one word is written as alerts are named: ``HighErrorRate``, ``disk_full``."""
    return _HUMPS.match(word) is not None


def _in_lines(raw: str, line: int) -> Iterator[Field]:
    for offset, text in enumerate(raw.split("\n")):
        found = _FIELD.match(text)
        if found is not None:
            yield Field(found["name"].strip(), found["value"].strip(), line + offset)
