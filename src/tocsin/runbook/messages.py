"""Blocks of text that people copy and fill in: messages, reports, forms."""

from __future__ import annotations

import re

from tocsin.runbook.document import Fence

TEXT_LANGUAGES = frozenset(
    ("", "text", "txt", "markdown", "md", "plaintext", "plain", "yaml", "html")
)
_BLANK = re.compile(
    r"\[[A-Z][A-Za-z0-9 ./:#,'-]{1,60}\](?!\()|\[[a-z][a-z ./-]{2,40}\](?!\()|<[A-Za-z][A-Za-z0-9 _:.-]{1,40}>"
    r"|\{[A-Za-z][A-Za-z0-9 _/-]{1,40}\}|\{\{[^{}]{1,40}\}\}|_{4,}|\bYYYY-MM-DD\b|\bHH:MM\b|\bXX+\b"
)
_FORM = re.compile(
    r"^\W*(?:subject|to|from|title|status|severity|impact|summary|duration|next update|start(?:ed)?(?: time)?"
    r"|date|time|incident(?: id)?|owner|eta|dear|hi|hello|body|message|current status|issue)\b[^:\n]{0,25}:",
    re.IGNORECASE,
)


def is_message(fence: Fence) -> bool:
    """Say whether a block is a text with blanks to fill in, or a form such as ``Status: ...``."""
    if fence.language not in TEXT_LANGUAGES:
        return False
    rows = [row for row in fence.content.split("\n")[:200] if row.strip()]
    blanks = sum(_BLANK.search(row[:500]) is not None for row in rows)
    fields = sum(_FORM.match(row[:500]) is not None for row in rows)
    return blanks >= 2 or fields >= 2 or bool(blanks and fields)
