"""One thing that happens in a simulated world, as a line that people read and a replay obeys."""

from __future__ import annotations

import re
import shlex

import msgspec

_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


class Step(msgspec.Struct, frozen=True):
    """What happens ``at`` seconds after the beginning, by a clock that nobody sets.

    The first word of ``words`` is the verb: a method of ``machinery.Machinery``. What is not
    possible when its time comes (a delivery that is gone) does nothing.
    """

    at: float
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Return the line: "01:02:03.500 turn 1 desk/api 3"."""
        return f"{say_time(self.at)} {shlex.join(self.words)}"


def say_time(seconds: float) -> str:
    """Return seconds as "HH:MM:SS.mmm"."""
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{rest:06.3f}"


def read_step(line: str) -> Step:
    """Return what ``str`` of a step said. Raises ValueError for any other line."""
    time, *words = shlex.split(line)
    found = _TIME.fullmatch(time)
    if found is None or not words:
        raise ValueError(f"{line!r} is no step: it should say when (HH:MM:SS.mmm) and what.")
    hours, minutes, seconds = found.groups()
    return Step(int(hours) * 3600 + int(minutes) * 60 + float(seconds), tuple(words))
