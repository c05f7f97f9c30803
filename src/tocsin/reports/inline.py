"""One line of a Markdown document as HTML: its shape, its emphasis, and the words that are meant.

Nothing here is a Markdown parser: a line stands for itself, and whatever does not read as
emphasis is shown as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tocsin.reports.paper import text

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"^(\s*(?:>\s*)*)([-*+]|\d+[.)])\s+(.*)$")
_TASK = re.compile(r"^\[([ xX])\]\s+")
FENCE = re.compile(r"^\s*(?:>\s*)*(`{3,}|~{3,})")
_ROW = re.compile(r"^\s*\|")
_RULE = re.compile(r"^[\s|:-]*$")
_OPENS, _CLOSES = "\ue000", "\ue001"
_CODE = re.compile(r"(`+)(.+?)\1(?!`)")
_STRONG = re.compile(r"(?:\*\*|__)(?=\S)(.+?)(?<=\S)(?:\*\*|__)")
_SLANTED = re.compile(r"(?<![\w*\ue000])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+&quot;.*?&quot;)?\)")
_MEANT = re.compile(f"{_OPENS}([^{_OPENS}{_CLOSES}<]*){_CLOSES}")
_LINE_MAX = 4000

Span = tuple[int, int]


class Shape(NamedTuple):
    """How a line is drawn: ``kind`` is its class, ``lead`` a bullet or number, ``html`` its words."""

    kind: str
    lead: str
    html: str


def shape(raw: str, *, in_fence: bool, meant: Sequence[Span] = ()) -> Shape:
    """Return how a line is drawn. ``meant`` holds the characters that findings point at, from 0.

    A line over 4,000 characters is cut, and says so.
    """
    line = _marked(raw, meant)
    if FENCE.match(raw):
        return Shape("fence", "", _verbatim(line))
    if in_fence:
        return Shape("code", "", _verbatim(line))
    if heading := _HEADING.match(line):
        return Shape(f"h{min(len(heading[1]), 3)}", "", inline(heading[2]))
    if _ROW.match(raw):
        return Shape("row rule" if _RULE.match(raw) else "row", "", _verbatim(line))
    if item := _ITEM.match(line):
        lead = "\u2022" if item[2] in "-*+" else item[2]
        words = item[3]
        if task := _TASK.match(words):
            lead, words = ("\u2610" if task[1] == " " else "\u2611"), words[task.end() :]
        depth = min(3, len(item[1].replace("\t", "    ")) // 2)
        return Shape(f"li d{depth}", lead, inline(words))
    if raw.startswith(("    ", "\t")):
        return Shape("code", "", _verbatim(line))
    return Shape("", "", inline(line.strip()))


def inline(words: str) -> str:
    """Return a line's words with their code, emphasis and links, everything else as written."""
    kept: list[str] = []

    def code(found: re.Match[str]) -> str:
        kept.append(f"<code>{found[2].strip()}</code>")
        return f"\ue002{len(kept) - 1}\ue003"

    html = _CODE.sub(code, _escaped(words))
    html = _LINK.sub(r'<span class="to">\1</span>', html)
    html = _STRONG.sub(r"<strong>\1</strong>", html)
    html = _SLANTED.sub(r"<em>\1</em>", html)
    html = re.sub(r"\ue002(\d+)\ue003", lambda m: kept[int(m[1])], html)
    return _shown(html)


def _verbatim(line: str) -> str:
    return _shown(_escaped(line))


def _escaped(line: str) -> str:
    return text(line.replace("\ue002", "\ufffd").replace("\ue003", "\ufffd"))


def _shown(html: str) -> str:
    """Mark what is meant, where nothing else begins or ends within it."""
    html = _MEANT.sub(r"<mark>\1</mark>", html)
    return html.replace(_OPENS, "").replace(_CLOSES, "")


def _marked(raw: str, meant: Sequence[Span]) -> str:
    """Set signs around the characters that are meant; spans that overlap an earlier one are left out."""
    line = raw.replace(_OPENS, "\ufffd").replace(_CLOSES, "\ufffd")
    cut = "" if len(line) <= _LINE_MAX else f" \u2026 ({len(line) - _LINE_MAX:,} characters more)"
    line = line[:_LINE_MAX]
    pieces: list[str] = []
    last = 0
    for start, end in sorted(meant):
        end = min(end, len(line.rstrip()))
        # All of a line is meant: then its note beside it says enough.
        if (
            start < last
            or end <= start
            or (not line[:start].strip(" #>*-") and end >= len(line.rstrip()))
        ):
            continue
        pieces += [line[last:start], _OPENS, line[start:end], _CLOSES]
        last = end
    return "".join((*pieces, line[last:], cut))
