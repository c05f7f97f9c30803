"""A real HTTP server on this machine, in a thread, that hands every request to one function.

    with LocalServer(lambda request: Answer(200, b"ok")) as server:
        ... server.url ...

The fakes of this folder are built on it. ``received`` holds what came, in order; ``wait_for``
blocks a test until enough has come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import msgspec

from tests.fakes.waiting import wait_for_all


class Request(msgspec.Struct, frozen=True):
    """One request. Header names are in lower case; ``path`` holds the query too."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """What the server says. ``delay_s`` is waited before it says it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}
    delay_s: float = 0.0


class LocalServer:
    """An HTTP/1.1 server on 127.0.0.1 with a port of its own."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.received: list[Request] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                with outer._changed:
                    outer.received.append(request)
                    outer._changed.notify_all()
                reply = answer(request)
                outer._stopping.wait(reply.delay_s)
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                except ConnectionError:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = respond  # noqa: N815 - the names http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return the address without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Request]:
        """Return everything received once there are so many requests; fail after a while."""
        return wait_for_all(self._changed, self.received, count, timeout_s, "requests")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
