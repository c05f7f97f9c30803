"""Which words of a line a finding means: what it quotes, or else the word at which it points."""

from __future__ import annotations

import re

from tocsin.core.policy import Finding

_QUOTED = re.compile(r"\u201c([^\u201d]+)\u201d|`([^`]+)`")
_TOKEN = re.compile(r"[^\s|]+")
_TRAILING = ".,;:!?)]}'\""
_LINE_MAX = 4096


def span_of(finding: Finding, line: str) -> tuple[int, int]:
    """Return where the words begin and end in the line, from 0; an empty line gives an empty span.

    The start is that of the finding's own column, except where it points at the beginning of a line
    and quotes words that stand further on.
    """
    start = min(max(0, finding.column - 1), len(line))
    if finding.end_column > finding.column:
        return start, min(finding.end_column - 1, len(line))
    text = line[start : start + _LINE_MAX].casefold()
    quoted = [
        (a or b).rstrip("\u2026").strip().casefold() for a, b in _QUOTED.findall(finding.message)
    ]
    here = [words for words in quoted if words and text.startswith(words)]
    if here:
        return start, start + len(max(here, key=len))
    rest = text.rstrip()
    if len(rest) > 1 and any(words.startswith(rest) for words in quoted):
        return start, start + len(rest)
    if not line[:start].strip():
        return _of_whole_line(line, quoted)
    token = _TOKEN.match(line, start)
    if token is None:
        return start, min(start + 1, len(line))
    word = token[0].rstrip(_TRAILING) or token[0]
    return start, start + len(word)


def _of_whole_line(line: str, quoted: list[str]) -> tuple[int, int]:
    folded = line[:_LINE_MAX].casefold()
    for words in quoted:
        at = folded.find(words) if words else -1
        # Folding may lengthen a letter; then the place in the folded line is not that in the line.
        if at >= 0 and len(folded) == len(line[:_LINE_MAX]):
            return at, at + len(words)
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    return min(start, end), end
