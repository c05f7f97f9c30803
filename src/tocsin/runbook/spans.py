"""Which words of a line a finding means: what it quotes, or else the word at which it points."""

from __future__ import annotations

import re
from itertools import islice

from tocsin.core.policy import Finding

_QUOTED = re.compile(r"\u201c([^\u201d]+)\u201d|`([^`]+)`")
_TOKEN = re.compile(r"[^\s|]+")
_TRAILING = ".,;:!?)]}'\""
_LINE_MAX = 4096
_WORDS_MAX = 12


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
        # Folded, a letter may be longer than it is.
        return start, min(start + len(max(here, key=len)), len(line))
    rest = text.rstrip()
    if len(rest) > 1 and any(words.startswith(rest) for words in quoted):
        return start, min(start + len(rest), len(line))
    if not line[:start].strip():
        return _of_whole_line(line, quoted)
    token = _TOKEN.match(line, start)
    if token is None:
        return start, min(start + 1, len(line))
    word = token[0].rstrip(_TRAILING) or token[0]
    return start, _grown(line, start, start + len(word), finding.message.casefold())


def _grown(line: str, start: int, end: int, said: str) -> int:
    """Return where the words end that the message says as well, word by word from the first."""
    if line[start:end].casefold() not in said:
        return end
    for token in islice(_TOKEN.finditer(line, end), _WORDS_MAX):
        further = token.start() + len(token[0].rstrip(_TRAILING))
        if further <= end or "|" in line[end : token.start()]:
            break
        if line[start:further].casefold() not in said:
            break
        end = further
    return end


def _of_whole_line(line: str, quoted: list[str]) -> tuple[int, int]:
    folded = line[:_LINE_MAX].casefold()
    for words in quoted:
        at = folded.find(words) if words else -1
        # Folding may lengthen a letter; then the place in the folded line is not that in the line.
        if at >= 0 and len(folded) == len(line[:_LINE_MAX]):
            return at, at + len(words)
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    return min(start, end), end
