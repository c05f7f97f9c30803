"""How many requests with signals run at once, and how many of them may be whose.

A request is let in, or told to come again, before its body is read: whoever sends slowly, or much
at once, holds only places of their own. The rule is that of the inbox (``engine.room``): nobody may
hold more places than are still free. One sender alone gets half of them, two a third each; and for
somebody new there is always one. People's acts take no place.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request

from tocsin.web.context import context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import caller_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES: Final = 128
RETRY_AFTER_S: Final = 5


class Admission:
    """The places of one process, and who holds them."""

    def __init__(self, places: int = PLACES) -> None:
        self._held: Counter[str] = Counter()
        self._free = places

    @contextlib.contextmanager
    def place(self, sender: str) -> Iterator[bool]:
        """Hold a place for as long as the context lasts; False says that there is none."""
        held = self._held[sender]
        if held and held >= self._free:
            yield False
            return
        self._held[sender] += 1
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1
            self._held[sender] -= 1
            if not self._held[sender]:
                del self._held[sender]


def admission_of(app: FastAPI) -> Admission:
    """Return the places of an application, made on first use."""
    found: Admission | None = getattr(app.state, "admission", None)
    if found is None:
        found = app.state.admission = Admission()
    return found


@contextlib.contextmanager
def admitted(request: Request) -> Iterator[None]:
    """Hold a place for a request with signals, or raise Problem 503 at once.

    Never 429: of the senders that we know most retry a 503 only.
    """
    sender = caller_of(request).name
    with admission_of(request.app).place(sender) as is_there:
        if not is_there:
            context_of(request).instruments.refused(sender, "busy")
            raise come_again("Too many requests of this sender are under way.")
        yield


def come_again(why: str) -> Problem:
    """Return the answer that makes a sender send the same again a little later."""
    return Problem(
        503,
        f"{why} Nothing of this one was stored.",
        f"Send it again in {RETRY_AFTER_S} s.",
        {"Retry-After": str(RETRY_AFTER_S)},
    )
