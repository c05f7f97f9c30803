"""Wrappers that Markdown does not know: admonitions, folded details. What they hold is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FENCE = re.compile(r"^\s{0,3}(?:>\s?)*(?P<marks>`{3,}|~{3,})")
_INDENTED_NOTE = re.compile(r"^(?P<indent> {0,3})(?:!!!|\?\?\?\+?)\s+\w[\w-]*")
_COLONS = re.compile(r"^\s{0,3}:{3,}(?P<opens>\s*\{?[\w-].*)?\s*$")
_DETAILS = re.compile(r"^\s*</?details[^>]*>\s*$", re.IGNORECASE)
_SUMMARY = re.compile(
    r"^\s*(?:<details[^>]*>\s*)?<summary>\s*(?:<[bh]\w*>)?(?P<words>[^<>]+)(?:</[bh]\w*>)?\s*</summary>\s*$",
    re.IGNORECASE,
)
_MARK = re.compile(r"^(?P<before>\s*>\s*)\[!\w+\][+-]?\s*(?P<title>.*)$")
_INDENT = 4


def unwrapped(lines: Sequence[str]) -> list[str]:
    """Return as many lines as given, without the wrappers: their own lines are blank.

    What ``!!! note`` and ``:::`` admonitions hold becomes a quotation, as it is in ``> [!WARNING]``,
    whose mark goes; a ``<summary>`` becomes a bold label. Code blocks stay as they are.
    """
    result: list[str] = []
    fence = ""
    indent, in_colons = 0, False
    for line in lines:
        if indent and line.strip() and len(line) - len(line.lstrip()) < indent:
            indent = 0
        quote = "> " if indent or in_colons else ""
        held = line[indent:] if indent else line
        marks = _FENCE.match(held)
        if fence:
            # Only bare marks, at least as many, close a block.
            if marks and marks["marks"].startswith(fence) and held.strip("> \t") == marks["marks"]:
                fence = ""
            result.append(quote + held)
        elif marks:
            fence = marks["marks"]
            result.append(quote + held)
        elif note := _INDENTED_NOTE.match(held):
            indent = len(note["indent"]) + _INDENT
            result.append("")
        elif colons := _COLONS.match(held):
            in_colons = colons["opens"] is not None
            result.append("")
        else:
            result.append(quote + _without_wrapper(held))
    return result


def is_wrapper(line: str) -> bool:
    """Say whether a line only wraps others."""
    wraps = (_INDENTED_NOTE, _COLONS, _DETAILS)
    return any(pattern.match(line) for pattern in wraps)


def _without_wrapper(line: str) -> str:
    if _DETAILS.match(line):
        return ""
    if summary := _SUMMARY.match(line):
        return f"**{summary['words'].strip().rstrip(':')}:**"
    if mark := _MARK.match(line):
        return f"{mark['before']}{mark['title']}"
    return line
