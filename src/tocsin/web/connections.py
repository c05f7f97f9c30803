"""Connections that ask for nothing: each holds a descriptor, and a server has only so many.

uvicorn waits for ever for the end of a request's head, so that a thousand callers who begin one
and fall silent would lock everybody else out, and they need no credential for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_WITHIN_S: Final = 20.0


class Impatient(H11Protocol):
    """HTTP/1.1 that hangs up on who does not finish a request's head in time.

    The wait for a body is bounded where it is read, and that between two requests by uvicorn.
    """

    head_within_s: float = HEAD_WITHIN_S
    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Stop waiting once a request runs; wait for the rest of a head that has only begun."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._giving_up is None:
            self._wait()

    def _wait(self) -> None:
        self._giving_up = self.loop.call_later(self.head_within_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        self.transport.close()
