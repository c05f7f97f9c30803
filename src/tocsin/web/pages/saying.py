"""The small words of the screens: numbers, lists, clock times, countdowns. English only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tocsin.base.durations import say_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# What HTML cannot hold in any spelling, and the halves of characters that UTF-8 cannot say.
_UNSAYABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NUMBER_WORDS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
_CHANNELS = {
    "slack": "Slack",
    "email": "E-mail",
    "status_page": "Status page",
    "x": "X",
    "sms": "SMS",
    "phone": "Phone",
    "teams": "Teams",
    "other": "Another channel",
}


def sayable(text: str) -> str:
    """Return text with what no page can hold shown as U+FFFD."""
    return _UNSAYABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def number(count: int) -> str:
    """Return a count as running text has it: "three", "21"."""
    return _NUMBER_WORDS[count] if 0 <= count < len(_NUMBER_WORDS) else f"{count:,}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return "1 alert", "3 alerts"; ``plural`` where an s does not make it."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(items: Sequence[str]) -> str:
    """Return "a, b and c"; empty for no items."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def capital(sentence: str) -> str:
    """Return a sentence with its first letter large and the others untouched."""
    return sentence[:1].upper() + sentence[1:]


def small_role(role: str) -> str:
    """Return a role as it stands inside a sentence: "team lead", but "CTO"."""
    return role if role.isupper() else role.lower()


def channel(kind: str) -> str:
    """Return the name of a channel as people write it."""
    return _CHANNELS.get(kind, kind)


def contact(kind: str) -> str:
    """Return a kind of contact inside a sentence: "Slack", "e-mail"."""
    return {"slack": "Slack", "email": "e-mail", "sms": "SMS"}.get(kind, kind)


def ago(then: datetime, at: datetime) -> str:
    """Return "48 s ago", "3 days ago"; "just now" for less than a second, and for the future."""
    return f"{say_duration(at - then)} ago" if (at - then).total_seconds() >= 1 else "just now"


def until(due: datetime, at: datetime) -> str:
    """Return a countdown whose width is that of its kin: "1:36", "21:40", "3 h 11", "due now"."""
    seconds = int((due - at).total_seconds())
    if seconds <= 0:
        return "due now"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    if seconds < 72 * 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d}"
    return f"{seconds // 86_400} days"


def initials(name: str) -> str:
    """Return two letters for a face: "Priya Shah" is PS, "CTO" is CT."""
    words = [word for word in name.replace("-", " ").split() if word[:1].isalnum()]
    letters = words[0][:2] if len(words) == 1 else "".join(word[0] for word in words[:2])
    return letters.upper() or "?"
