"""Connections that ask for nothing: each holds a descriptor, and a server has only so many.

uvicorn waits for ever for the end of a request's head, and for ever for somebody who does not read
the answer, so that a thousand callers who begin and fall silent would lock everybody else out, and
they need no credential for it. Here both waits end; and where there are too many connections, the
one that has been silent for longest makes room for the newest.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_WITHIN_S: Final = 20.0
READ_WITHIN_S: Final = 30.0
CONNECTIONS_MAX: Final = 8_192


class Impatient(H11Protocol):
    """HTTP/1.1 that hangs up on who does not finish a request's head, or read an answer, in time.

    The wait for a body is bounded where it is read, and that between two requests by uvicorn.
    """

    head_within_s: float = HEAD_WITHIN_S
    read_within_s: float = READ_WITHIN_S
    connections_max: int = CONNECTIONS_MAX
    _giving_up: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    # Who has begun no request yet, the longest waiting first. Only these are turned out.
    _silent: ClassVar[dict[Impatient, None]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for the first request; make room if there is none."""
        super().connection_made(transport)
        self._silent[self] = None
        self._wait()
        if len(self.connections) > _most(self.connections_max):
            self._turn_out()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._silent.pop(self, None)
        self._stop_waiting()
        self._stop_counting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Stop waiting once a request runs; wait for the rest of a head that has only begun."""
        super().data_received(data)
        if self.cycle is not None:
            self._silent.pop(self, None)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._giving_up is None:
            self._wait()

    def pause_writing(self) -> None:
        """Begin to count how long an answer lies unread."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_within_s, self._abort)

    def resume_writing(self) -> None:
        """Stop counting: somebody reads."""
        super().resume_writing()
        self._stop_counting()

    def _turn_out(self) -> None:
        silent = next(iter(self._silent), None)
        if silent is not None:
            del self._silent[silent]
            # At once, whatever is still to be sent: it is the descriptor that is wanted.
            silent.transport.abort()

    def _wait(self) -> None:
        self._giving_up = self.loop.call_later(self.head_within_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        self.transport.close()

    def _stop_counting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _abort(self) -> None:
        self._unread = None
        # Closing would wait until what is unread has been read.
        self.transport.abort()


def _most(wanted: int) -> int:
    """Return how many connections there may be: some descriptors are for ourselves."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed * 3 // 4)
