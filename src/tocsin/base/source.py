"""Where a decision comes from: one line of a runbook, and its words."""

from __future__ import annotations

import msgspec


class Source(msgspec.Struct, frozen=True):
    """A line of a runbook that decided something.

    ``file`` is the path as the person gave it, ``line`` counts from 1, ``quote`` holds the words
    of that line without list markers or emphasis, so that a screen can cite without the file.
    """

    file: str
    line: int
    quote: str = ""

    def __str__(self) -> str:
        """Return ``file:line``, as compilers print it."""
        return f"{self.file}:{self.line}"
