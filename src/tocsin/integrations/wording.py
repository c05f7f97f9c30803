"""What every channel says of a Message, in the words of the screens and in no channel's syntax.

Everything here is still untrusted text: the channel escapes it. What is taken away is only what
no channel may show: line breaks inside a line, control characters, and the marks that turn the
reading direction, with which a title could pretend to be something else.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.effects import Topic

if TYPE_CHECKING:
    from tocsin.core.effects import Message

_HEADLINE_CHARS_MAX = 120
_LINE_CHARS_MAX = 300
_LINES_MAX = 6
_TURNING_MARKS = frozenset(
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_BREAKING = ("Cc", "Zl", "Zp")


class Words(msgspec.Struct, frozen=True):
    """A message as words, each field one line: ``facts`` say why, ``citation`` where it is written.

    ``facts`` and ``citation`` may be empty; ``subject`` never is.
    """

    subject: str
    facts: tuple[str, ...]
    citation: str


def words_of(message: Message) -> Words:
    """Return how a message reads: how bad and what in the subject, then whose, why and the line.

    What goes to customers says its headline and its lines, and nothing of ours.
    """
    if message.external:
        lines = tuple(one_line(line) for line in message.lines[:_LINES_MAX])
        return Words(one_line(message.headline, _HEADLINE_CHARS_MAX), lines, "")
    about = f"Service: {one_line(message.service)}. " if message.service else ""
    facts = (f"{about}Incident: {one_line(message.incident)}.", *message.lines[:_LINES_MAX])
    return Words(
        subject=f"{_opening(message)} {one_line(message.headline, _HEADLINE_CHARS_MAX)}",
        facts=tuple(line for line in map(one_line, facts) if line),
        citation=_citation(message),
    )


def one_line(text: str, chars_max: int = _LINE_CHARS_MAX) -> str:
    """Return the text as one line without control characters, cut with an ellipsis.

    Half a surrogate pair cannot be encoded and becomes U+FFFD.
    """
    cut = text[: chars_max * 4]  # Long enough for whatever is dropped, short enough for 10 MB.
    if not cut.isprintable():
        # Nearly all text is: whatever is to be dropped or replaced is not.
        cut = "".join(_shown(character) for character in cut if character not in _TURNING_MARKS)
    line = " ".join(cut.split())
    return line if len(line) <= chars_max else line[: chars_max - 1].rstrip() + "…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in _BREAKING:
        return " "
    return "\ufffd" if category == "Cs" else character


def _opening(message: Message) -> str:
    level = one_line(message.severity, 20)
    match message.topic:
        case Topic.RESOLVED:
            return "Resolved:"
        case Topic.PAGE:
            return f"{level}:" if level else "Page:"
        case Topic.REGRADED:
            return f"Now {level}:" if level else "Regraded:"
        case Topic.OPENED | Topic.REOPENED | Topic.NOTICE | Topic.TEST:
            return f"{level} {message.topic}:".strip()


def _citation(message: Message) -> str:
    source = message.source
    if source is None:
        return ""
    quote = f"“{one_line(source.quote, 160)}” " if source.quote else ""
    return f"Runbook: {quote}{one_line(source.file, 120)}:{source.line}"
