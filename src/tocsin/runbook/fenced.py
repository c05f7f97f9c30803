"""Lists that a document keeps inside a code block: checklists and numbered steps without commands."""

from __future__ import annotations

import re
from typing import NamedTuple

from tocsin.runbook.document import Fence

_PROSE_LANGUAGES = frozenset(("", "text", "txt", "markdown", "md", "plaintext", "plain"))
_ENTRY = re.compile(
    r"^(?P<indent>\s*)(?:(?P<box>\[[ xX]\])\s*(?:\d+[.)]\s*)?|(?:[-*+\u2022\u2610]|\d+[.)])\s+"
    r"(?:\[[ xX]\]\s*)?|step\s+\d+\s*[:.)-]\s*)(?P<text>\S.*)$",
    re.IGNORECASE,
)
_LISTED_SHARE_MIN = 0.6


class Entry(NamedTuple):
    """One entry. ``depth`` is 0 for the outermost ones."""

    text: str
    line: int
    depth: int


def entries_of(fence: Fence) -> tuple[Entry, ...]:
    """Return the entries of a text block that is mostly a list, or nothing for any other block."""
    if fence.language not in _PROSE_LANGUAGES:
        return ()
    rows = [
        (number, text)
        for number, text in enumerate(fence.content.split("\n"), start=fence.body_line)
        if text.strip()
    ]
    found = [(number, match) for number, text in rows if (match := _ENTRY.match(text))]
    if len(found) < 2 or len(found) < _LISTED_SHARE_MIN * len(rows):
        return ()
    least = min(len(match["indent"].expandtabs()) for _, match in found)
    return tuple(
        Entry(
            match["text"].strip(),
            number,
            0 if len(match["indent"].expandtabs()) <= least else 1,
        )
        for number, match in found
    )
