"""A line of a document as a terminal shows it, and the cells under the words that are meant.

Terminals count cells, not characters: wide letters take two, combining ones none. Tabs become
spaces, and what would move the cursor or turn the reading direction is shown as a sign.
"""

from __future__ import annotations

import unicodedata

import msgspec

_TAB = 4
_MARKS_MAX = 4
_CUT = "\u2026"
_JOINERS = frozenset("\u200c\u200d")
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))


class Excerpt(msgspec.Struct, frozen=True):
    """What is shown, and where the words stand in it: ``at`` and ``width`` are counted in cells.

    ``turns`` says that letters run from right to left: then a terminal may order them anew, cells
    tell nothing, and ``words`` must be quoted instead.
    """

    shown: str
    at: int
    width: int
    words: str
    turns: bool = False


def excerpt(line: str, start: int, end: int, cells_max: int = 100) -> Excerpt:
    """Return the part of a line around the characters from ``start`` to ``end``, at most so wide.

    What is left out at a side is one "\u2026" in the text. ``width`` is at least 1, so that there is
    something to see where the words are empty or the line ends before them.
    """
    start = max(0, min(start, len(line)))
    end = max(start, min(end, len(line)))
    room = max(8, cells_max)
    first = _first_shown(line, start, end, room)
    pieces: list[str] = []
    before, meant, cells = 0, 0, 0
    if first:
        pieces.append(_CUT)
        before = cells = 1
    marks = 0
    index = first
    for index in range(first, len(line) + 1):
        if index == len(line):
            break
        shown, wide = _cell(line[index])
        marks = marks + 1 if wide == 0 else 0
        if marks > _MARKS_MAX:
            continue
        if cells + wide > room - 1 and (index + 1 < len(line) or cells + wide > room):
            pieces.append(_CUT)
            break
        pieces.append(shown)
        cells += wide
        if index < start:
            before += wide
        elif index < end:
            meant += wide
    words = "".join(_cell(ch)[0] for ch in line[start : min(end, start + room)])
    text = "".join(pieces)
    turns = any(unicodedata.bidirectional(ch) in _RIGHT_TO_LEFT for ch in text)
    return Excerpt(text.rstrip(), before, max(1, min(meant, room - before)), words, turns)


def shown_width(text: str) -> int:
    """Return how many cells a text takes once it is shown."""
    return sum(_cell(ch)[1] for ch in text)


def plain(text: str) -> str:
    """Return text of one line without anything that moves the cursor or turns the direction."""
    return "".join(_cell(ch)[0] for ch in text)


def _first_shown(line: str, start: int, end: int, room: int) -> int:
    """Return the first character to show: 0 if the words fit in then, else shortly before them."""
    limit = min(end, start + room)
    if limit <= room and shown_width(line[:limit]) < room:
        return 0
    wanted = max(room // 4, (room - shown_width(line[start:limit])) // 2)
    first, cells = start, 0
    # No letter is narrower than nothing, so the number of characters is bounded as well.
    while first > 0 and start - first < room * 2:
        cells += _cell(line[first - 1])[1]
        if cells > wanted:
            break
        first -= 1
    return first


def _cell(ch: str) -> tuple[str, int]:
    """Return what is shown for a character, and how many cells that takes."""
    code = ord(ch)
    if 0x20 <= code < 0x7F:
        return ch, 1
    if ch == "\t":
        return " " * _TAB, _TAB
    if code < 0x20:
        return chr(0x2400 + code), 1
    if code == 0x7F:
        return "\u2421", 1
    kind = unicodedata.category(ch)
    if kind in ("Cc", "Cs", "Cn"):
        return "\ufffd", 1
    if kind in ("Zl", "Zp") or (kind == "Cf" and ch not in _JOINERS):
        sign = f"<U+{code:04X}>"
        return sign, len(sign)
    if kind in ("Mn", "Me") or ch in _JOINERS:
        return ch, 0
    return ch, 2 if unicodedata.east_asian_width(ch) in ("W", "F") else 1
