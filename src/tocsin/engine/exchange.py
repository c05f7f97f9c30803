"""HTTP/1.1 as a caller needs it who posts small things to few places, thousands of them a second.

h11 knows the grammar, asyncio carries the bytes; between them stands a connection that is kept for
the next request to the same place. Nothing is followed, unpacked, remembered or read for longer
than told: an answer beyond its limit is cut, and its connection closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, cast

import h11

from tocsin.integrations.wire import HttpResponse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

# Eight channels that are as busy as the courier lets them be.
IDLE_MAX = 256
IDLE_S_MAX = 30.0
_CLOSE_S_MAX = 2.0
# Of a name, an empty line, or a header so long that it is none.
_HEAD_BYTES_MAX = 65_536


class Place(NamedTuple):
    """Where a request goes: the name is what TLS verifies, and what the Host header says."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class Exchanges:
    """Requests and their answers, over connections that are kept for a while."""

    def __init__(
        self,
        addresses: Callable[[str, int], Awaitable[Sequence[str]]],
        *,
        connect_s_max: float,
        body_bytes_max: int,
    ) -> None:
        """Take the parts. ``addresses`` returns those of a host that may be called, or raises."""
        self._addresses = addresses
        self._connect_s_max = connect_s_max
        self._body_bytes_max = body_bytes_max
        # The one used last is taken first, so that the others grow old and are closed.
        self._idle: dict[Place, deque[_Connection]] = {}
        self._idle_count = 0
        self._wires: set[_Wire] = set()

    async def exchange(
        self,
        place: Place,
        method: str,
        target: bytes,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> HttpResponse:
        """Send a request and return the answer.

        Raises h11.LocalProtocolError for a request that cannot be written, h11.RemoteProtocolError
        for an answer that cannot be read, OSError where the network fails.
        """
        request = h11.Request(
            method=method,
            target=target,
            headers=[*headers, ("Content-Length", str(len(body)))],
        )
        connection = self._take(place)
        if connection is not None:
            try:
                return await self._over(connection, request, body)
            except _Stale:
                # It was closed at the other end while it was kept. Whoever is at the other end may
                # have read this request, and would know it by its key.
                pass
        return await self._over(await self._connect(place), request, body)

    async def close(self) -> None:
        """Close all connections that are kept, and wait until they are gone."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        self._idle_count = 0
        if self._wires:
            await asyncio.wait([wire.is_gone for wire in self._wires], timeout=_CLOSE_S_MAX)

    async def _over(
        self, connection: _Connection, request: h11.Request, body: bytes
    ) -> HttpResponse:
        is_reusable = False
        try:
            answer, is_reusable = await connection.exchange(request, body, self._body_bytes_max)
        finally:
            if is_reusable:
                self._keep(connection)
            else:
                connection.close()
        return answer

    async def _connect(self, place: Place) -> _Connection:
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for address in await self._addresses(place.host, place.port):
            try:
                async with asyncio.timeout(self._connect_s_max):
                    _, wire = await loop.create_connection(
                        lambda: _Wire(self._wires),
                        address,
                        place.port,
                        ssl=place.tls,
                        server_hostname=place.host if place.tls is not None else None,
                    )
            except OSError as error:  # A time limit that is over is one of these.
                failure = error
            else:
                return _Connection(place, wire)
        raise failure or OSError("it has no address")

    def _take(self, place: Place) -> _Connection | None:
        connections = self._idle.get(place)
        while connections:
            connection = connections.pop()
            self._idle_count -= 1
            if connection.is_good:
                return connection
            connection.close()
        self._idle.pop(place, None)
        return None

    def _keep(self, connection: _Connection) -> None:
        if self._idle_count >= IDLE_MAX:
            connection.close()
            return
        connection.idle_since = monotonic()
        self._idle.setdefault(connection.place, deque()).append(connection)
        self._idle_count += 1
        for place, connections in list(self._idle.items()):
            while connections and not connections[0].is_good:
                connections.popleft().close()
                self._idle_count -= 1
            if not connections:
                del self._idle[place]


class _Stale(Exception):  # noqa: N818 - it says how a connection is
    """A connection that was kept is of no use any more; nothing of an answer came."""


class _Wire(asyncio.Protocol):
    """The bytes of one connection. What comes unasked ends it: nobody may answer in advance."""

    def __init__(self, wires: set[_Wire]) -> None:
        self.is_asked = False
        self.is_over = False
        self.is_gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wires = wires
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._failure: Exception | None = None
        self._stirred: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # One of uvloop's is no subclass of it, and does all that one does.
        self._transport = cast("asyncio.Transport", transport)
        self._wires.add(self)

    def data_received(self, data: bytes) -> None:
        if not self.is_asked:
            self.end()
            return
        self._data += data
        self._stir()

    def eof_received(self) -> bool:
        self.is_over = True
        self._stir()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._failure = exc
        self._stir()
        self._wires.discard(self)
        if not self.is_gone.done():
            self.is_gone.set_result(None)

    def write(self, data: bytes) -> None:
        """Send; raises ConnectionResetError where the other end is gone already."""
        if self.is_over or self._transport is None:
            raise ConnectionResetError("the connection was closed")
        self._transport.write(data)

    async def read(self) -> bytes:
        """Return what has come, waiting for it; nothing once the other end has said all."""
        while not self._data and not self.is_over:
            self._stirred = asyncio.get_running_loop().create_future()
            await self._stirred
        if not self._data and self._failure is not None:
            raise self._failure
        data, self._data = bytes(self._data), bytearray()
        return data

    def end(self) -> None:
        """End it at once; nothing more is to be said."""
        self.is_over = True
        if self._transport is not None:
            self._transport.abort()

    def _stir(self) -> None:
        if self._stirred is not None and not self._stirred.done():
            self._stirred.set_result(None)


class _Connection:
    """One connection, and where its two ends are in their talk."""

    def __init__(self, place: Place, wire: _Wire) -> None:
        self.place = place
        self.idle_since = 0.0
        self._wire = wire
        self._talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
        self._is_fresh = True
        self._has_heard = False

    @property
    def is_good(self) -> bool:
        return not self._wire.is_over and monotonic() - self.idle_since < IDLE_S_MAX

    def close(self) -> None:
        self._wire.end()

    async def exchange(
        self, request: h11.Request, body: bytes, body_bytes_max: int
    ) -> tuple[HttpResponse, bool]:
        """Return the answer, and whether the connection can be used again."""
        talk = self._talk
        written = talk.send(request) or b""
        written += talk.send(h11.Data(data=body)) or b""
        written += talk.send(h11.EndOfMessage()) or b""
        was_fresh, self._is_fresh, self._has_heard = self._is_fresh, False, False
        try:
            self._wire.is_asked = True
            self._wire.write(written)
            head = await self._head()
        except (ConnectionError, h11.RemoteProtocolError) as error:
            if was_fresh or self._has_heard:
                raise
            raise _Stale from error
        received = bytearray()
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                received += event.data
                if len(received) < body_bytes_max:
                    continue
            answer = HttpResponse(
                head.status_code,
                {name.decode(): value.decode("latin-1") for name, value in head.headers},
                bytes(received[:body_bytes_max]),
            )
            return answer, self._begins_anew(event)

    def _begins_anew(self, event: object) -> bool:
        """Make ready for another request, and say whether there can be one."""
        self._wire.is_asked = False
        talk = self._talk
        is_done = isinstance(event, h11.EndOfMessage) and talk.our_state is h11.DONE
        if not is_done or talk.their_state is not h11.DONE or talk.trailing_data[0]:
            return False
        talk.start_next_cycle()
        return True

    async def _head(self) -> h11.Response:
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event

    async def _next(self) -> object:
        while True:
            event = self._talk.next_event()
            if event is not h11.NEED_DATA:
                if isinstance(event, h11.ConnectionClosed):
                    raise h11.RemoteProtocolError("it closed the connection without an answer")
                return event
            data = await self._wire.read()
            self._has_heard = self._has_heard or bool(data)
            self._talk.receive_data(data)
