"""A log that loses words rather than the process: a full disk must not end what pages people."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from pathlib import Path


class _Lines:
    """Writes whole lines straight to a descriptor. What cannot be written is gone, and no error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_cut = False

    def write(self, text: str) -> int:
        """Write a line; after one that was cut short, begin on a new one."""
        line = text.encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):
            if self._is_cut:
                os.write(self._descriptor, b"\n")
                self._is_cut = False
            self._is_cut = True
            written = os.write(self._descriptor, line)
            self._is_cut = written < len(line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


def stream(to: Path | None = None) -> TextIO:
    """Return where to log: standard error, or a file that is added to."""
    if to is None:
        return cast("TextIO", _Lines(sys.stderr.fileno()))
    return cast("TextIO", _Lines(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)))
