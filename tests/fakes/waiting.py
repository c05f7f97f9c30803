"""Waiting for what a server in a thread takes: all fakes of this folder do it alike."""

from __future__ import annotations

import threading
from typing import TypeVar

_T = TypeVar("_T")


def wait_for_all(
    changed: threading.Condition, taken: list[_T], count: int, timeout_s: float, what: str
) -> list[_T]:
    """Return a copy of ``taken`` once it holds so many; fail after a while.

    ``changed`` is notified, by whoever appends to ``taken``, while it is held.
    """
    with changed:
        enough = changed.wait_for(lambda: len(taken) >= count, timeout_s)
        assert enough, f"{len(taken)} of {count} {what} came within {timeout_s} s"
        return list(taken)
