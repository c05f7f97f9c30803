"""A webhook receiver that outlives everything: its own process, one line a request in a file.

    with Sink(folder) as sink:
        deploy(folder, sink)
        sink.answer(status=503)
        [call.key for call in sink.calls()]

What it wrote down it has answered, or was about to: a line comes before its answer. It checks no
signature (tests.fakes.webhook does), so that it keeps up with thousands of requests a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec

from tests.proof.places import ROOT, Trouble, now_s

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_HEAD_BYTES_MAX = 65_536


class Call(msgspec.Struct, frozen=True):
    """One request: when (UNIX seconds), its Idempotency-Key, whom it was for, and what it said."""

    at: float
    key: str
    body: dict[str, Any]
    path: str = "/"
    status: int = 200

    @property
    def contact(self) -> str:
        """The last part of the path: with ``deploy``, the person it was for."""
        return self.path.rpartition("/")[2]

    @property
    def incident(self) -> str:
        return str(self.body.get("incident", ""))

    @property
    def title(self) -> str:
        return str(self.body.get("title", ""))

    @property
    def topic(self) -> str:
        return str(self.body.get("topic", ""))


class Sink:
    """The receiver's handle in the proof. ``url`` has no slash at its end."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "sink.jsonl"
        self.file.touch()
        self._process: subprocess.Popen[str] | None = None
        self._reader: IO[bytes] | None = None
        self._calls: list[Call] = []
        self._partial = b""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self) -> list[Call]:
        """Return all requests so far, in order of their arrival."""
        if self._reader is None:
            self._reader = self.file.open("rb")
        lines = (self._partial + self._reader.read()).split(b"\n")
        self._partial = lines.pop()
        self._calls.extend(msgspec.json.decode(line, type=Call) for line in lines)
        return list(self._calls)

    def answer(self, status: int = 200, delay_s: float = 0, share: float = 1) -> None:
        """Answer so from now on; with ``share`` below 1, only that share, and the others 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = json.dumps({"status": status, "delay_s": delay_s, "share": share})
        connection.request("PUT", "/-/answer", body)
        if connection.getresponse().status != 200:
            raise Trouble("the sink did not take its orders")
        connection.close()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.sink", str(self.file)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or 0)
        if not self.port:
            raise Trouble("the sink did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        # Its standard input is how it knows that we are there: it also ends when we are killed.
        for stream in (self._process.stdin, self._process.stdout, self._reader):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Orders:
    """What the receiver answers, and where it writes."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.status = 200
        self.delay_s = 0.0
        self.share = 1.0
        self.count = 0

    def take(self, method: bytes, path: str, key: str, body: bytes) -> tuple[int, float]:
        """Write a request down and return the status and the delay of its answer."""
        if method == b"PUT" and path == "/-/answer":
            told = json.loads(body)
            self.status, self.delay_s, self.share = told["status"], told["delay_s"], told["share"]
            return 200, 0
        self.count += 1
        # An even spread without chance: of ten requests, three at a share of 0.3.
        ordered = int(self.count * self.share) != int((self.count - 1) * self.share)
        status, delay_s = (self.status, self.delay_s) if ordered else (200, 0.0)
        raw = msgspec.Raw(body if _is_object(body) else b"{}")
        call = {"at": now_s(), "key": key, "path": path, "status": status, "body": raw}
        os.write(self.descriptor, msgspec.json.encode(call).replace(b"\n", b" ") + b"\n")
        return status, delay_s


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except msgspec.DecodeError:
        return False


class _Connection(asyncio.Protocol):
    def __init__(self, orders: _Orders) -> None:
        self.orders = orders
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                if len(self.buffer) > _HEAD_BYTES_MAX:
                    self.transport.close()
                return
            first, *rows = head.split(b"\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (row.partition(b":") for row in rows)
            }
            length = int(headers.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            method, path, _ = first.split(b" ", 2)
            key = headers.get(b"idempotency-key", b"").decode("latin-1")
            status, delay_s = self.orders.take(method, path.decode("latin-1"), key, rest[:length])
            answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def _serve(file: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    orders = _Orders(descriptor)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(orders), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how it says its port
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1]))
