"""What prose cannot say: front matter, and small ``tocsin`` blocks of ``key: value`` lines.

Nobody has to write any. What is written is strict: a key or a value that is not known is an error
with its place, because somebody relies on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tocsin.core.policy import LineStatus
from tocsin.runbook.document import Block, Document, Fence
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.notes import Notes

LANGUAGE = "tocsin"
OF_PLAYS = ("alerts", "severity", "approval")
OF_STEPS = ("query", "undo", "approval")
KEYS = tuple(dict.fromkeys((*OF_PLAYS, *OF_STEPS)))
_ENTRY = re.compile(
    r"^(?P<indent>\s*)(?P<key>[A-Za-z][\w.-]*)\s*(?P<joint>[:=])(?:\s+(?P<value>.*?)|\s*)\s*$"
)
_ITEM = re.compile(r"^\s*-\s+(?P<value>.*?)\s*$")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_QUOTED = re.compile(r"""^(?P<quote>["'])(?P<text>.*)(?P=quote)\s*(?:#.*)?$""")


class Entry(msgspec.Struct, frozen=True):
    """One key with its values, at least one, and where the key stands (both from 1)."""

    key: str
    values: tuple[str, ...]
    line: int
    column: int
    depth: int = 0

    @property
    def value(self) -> str:
        """Return the first value."""
        return self.values[0]


def is_annotation(block: Block) -> bool:
    """Say whether a block is a ``tocsin`` annotation."""
    return isinstance(block, Fence) and block.language == LANGUAGE


def read_annotation(fence: Fence, notes: Notes) -> tuple[Entry, ...]:
    """Return the entries of a block with known keys; everything else becomes an error."""
    notes.mark_block(fence, LineStatus.AUTOMATED, "annotation")
    numbered = list(enumerate(fence.content.split("\n"), start=fence.body_line))
    return _checked(_entries(numbered, notes), notes)


def read_front_matter(document: Document, notes: Notes) -> tuple[Entry, ...]:
    """Return what front matter says to Tocsin: ``alerts``, ``severity``, and all below ``tocsin:``.

    Other keys belong to other programs and are left alone.
    """
    entries = _front_entries(document)
    own = [e for e in entries if e.depth == 0 and e.key in ("alerts", "alert", "severity")]
    below = False
    nested: list[Entry] = []
    for entry in entries:
        if entry.depth == 0:
            below = entry.key == LANGUAGE
        elif below:
            nested.append(entry)
    found = [msgspec.structs.replace(e, key="alerts") if e.key == "alert" else e for e in own]
    for entry in (*found, *nested):
        notes.mark(entry.line, LineStatus.AUTOMATED, "annotation")
    return (*(e for e in found if e.values), *_checked(tuple(nested), notes, OF_PLAYS))


def front_alerts(document: Document) -> tuple[str, ...]:
    """Return the alerts that front matter names, in its order."""
    named = (e.values for e in _front_entries(document) if e.key in ("alerts", "alert"))
    return tuple(dict.fromkeys(value for values in named for value in values))


def _front_entries(document: Document) -> tuple[Entry, ...]:
    lines = document.lines[1 : max(1, document.front_matter - 1)]
    return _entries(list(enumerate(lines, start=2)), None)


def _entries(numbered: Sequence[tuple[int, str]], notes: Notes | None) -> tuple[Entry, ...]:
    """Read lines of keys and values. Without ``notes`` what does not read is left out in silence."""
    found: list[Entry] = []
    for line, text in numbered:
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        item = _ITEM.match(text)
        if item is not None and found:
            last = found[-1]
            found[-1] = msgspec.structs.replace(last, values=(*last.values, _plain(item["value"])))
            continue
        entry = _ENTRY.match(text)
        if entry is None:
            if notes is not None:
                notes.find(
                    "T153",
                    line,
                    text.strip(),
                    "This is no \u201ckey: value\u201d.",
                    f"Known keys: {', '.join(KEYS)}.",
                )
            continue
        depth = 1 if entry["indent"] else 0
        column = len(entry["indent"]) + 1
        if notes is not None:
            column = notes.column(line, entry["key"])
        values = _values(entry["value"] or "")
        found.append(Entry(entry["key"], values, line, column, depth))
    return tuple(found)


def _values(text: str) -> tuple[str, ...]:
    if text.startswith("[") and text.rstrip().endswith("]"):
        return tuple(v for piece in text.strip()[1:-1].split(",") if (v := _plain(piece)))
    value = _plain(text)
    return (value,) if value else ()


def _plain(text: str) -> str:
    quoted = _QUOTED.match(text.strip())
    return quoted["text"] if quoted else _COMMENT.sub("", text).strip()


def _checked(
    entries: tuple[Entry, ...], notes: Notes, known: Sequence[str] = KEYS
) -> tuple[Entry, ...]:
    kept: list[Entry] = []
    for entry in entries:
        if entry.key not in known:
            hint = did_you_mean(entry.key, known)
            notes.find(
                "T153",
                entry.line,
                entry.column,
                f"\u201c{entry.key}\u201d is no key of an annotation here.",
                hint or f"Known keys: {', '.join(known)}.",
            )
        elif not entry.values:
            notes.find(
                "T153",
                entry.line,
                entry.column,
                f"\u201c{entry.key}\u201d has no value.",
                "Write one after the colon, or leave the line out.",
            )
        else:
            kept.append(entry)
    return tuple(kept)
