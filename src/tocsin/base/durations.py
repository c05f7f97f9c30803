"""Durations as people write them, and as a screen says them."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS_BY_UNIT = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
_UNIT_BY_WORD = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "wk", "week", "weeks"), "w"),
}
_NUMBER_BY_WORD = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0,
    "six": 6.0, "eight": 8.0, "ten": 10.0, "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0,
    "thirty": 30.0, "sixty": 60.0, "half": 0.5, "half an": 0.5, "half a": 0.5,
}  # fmt: skip
_WORDS = "|".join(sorted(_UNIT_BY_WORD, key=len, reverse=True))
_NUMBERS = "|".join(sorted(_NUMBER_BY_WORD, key=len, reverse=True))
_AMOUNT = (
    rf"(?:(?P<number>\d+(?:\.\d+)?)\s*-?\s*|(?P<spoken>{_NUMBERS})[\s-]+)"
    rf"(?P<unit>{_WORDS})(?![a-z])"
)
_PART = re.compile(rf"(?<![\w.]){_AMOUNT}", re.IGNORECASE)
_NEXT = re.compile(_AMOUNT, re.IGNORECASE)
_JOIN = re.compile(r"\s*(?:,|and|&)?\s*(?:and\s+)?", re.IGNORECASE)


def find_duration(text: str) -> tuple[timedelta, int, int] | None:
    """Return the first duration in ``text`` with the offsets where it begins and ends.

    Adjoining parts are one duration: "1 hour and 30 minutes" is 90 minutes. None if there is none.
    """
    first = _PART.search(text)
    if first is None:
        return None
    total_s, end = _seconds(first), first.end()
    while True:
        joint = _JOIN.match(text, end)
        assert joint is not None  # every part of the pattern is optional
        following = _NEXT.match(text, joint.end())
        if following is None:
            return timedelta(seconds=total_s), first.start(), end
        total_s, end = total_s + _seconds(following), following.end()


def parse_duration(text: str) -> timedelta | None:
    """Return the duration that is the whole of ``text``: "15m", "1h30m", "an hour", "90 s".

    None when ``text`` is anything else, so that the caller can say where it stood.
    """
    words = text.strip()
    found = find_duration(words)
    if found is None or found[1] != 0 or found[2] != len(words):
        return None
    return found[0]


def say_duration(duration: timedelta) -> str:
    """Return a duration as the screens say it: "48 s", "14 min", "3 h 11", "26 h", "3 days"."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 100 and minutes != 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 72:
        return f"{hours} h {minutes:02d}" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"


def _seconds(part: re.Match[str]) -> float:
    number = part["number"]
    amount = float(number) if number else _NUMBER_BY_WORD[part["spoken"].lower()]
    return amount * _SECONDS_BY_UNIT[_UNIT_BY_WORD[part["unit"].lower()]]
