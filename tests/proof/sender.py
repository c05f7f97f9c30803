"""A sender that does as Prometheus does: posts at its rate, and sends again until it hears 2xx.

It is a process of its own, raw asyncio, so that it keeps its rate beside what it tests.

    accepted = send([replica.inlet], alerts, rate=200)
    sending = Sending(folder, inlets, alerts, rate=200); ...; sending.wait(60); sending.accepted()
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from tests.proof.places import ROOT, Trouble, now_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.proof.replica import Replica

CONNECTIONS = 8
PER_REQUEST = 10
TIMEOUT_S = 10.0
_RETRY_S = (0.1, 0.2, 0.5, 1.0)


class Accepted(msgspec.Struct, frozen=True):
    """An alert that was answered 2xx: its number in the list, when, and after how many tries."""

    number: int
    alert: dict[str, Any]
    at: float
    tries: int
    took_s: float


class _Order(msgspec.Struct):
    """What the process is told. ``inlets`` are whole addresses; alerts go to them in turn."""

    inlets: list[str]
    alerts: list[msgspec.Raw]
    rate: float
    per_request: int
    connections: int
    timeout_s: float
    headers: dict[str, str]


class _Line(msgspec.Struct):
    """One answer, or none (status 0)."""

    at: float
    status: int
    first: int
    count: int
    tries: int
    took_s: float
    again: bool


class Sending:
    """A sender at work. Its answers stand in a file, so nothing is lost when it is ended."""

    def __init__(
        self,
        folder: Path,
        inlets: Sequence[str],
        alerts: Sequence[dict[str, Any]],
        rate: float,
        *,
        per_request: int = PER_REQUEST,
        connections: int = CONNECTIONS,
        timeout_s: float = TIMEOUT_S,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.alerts = list(alerts)
        where = Path(tempfile.mkdtemp(prefix="sender-", dir=folder))
        self._file = where / "answers.jsonl"
        self._file.touch()
        order = {
            "inlets": list(inlets),
            "alerts": self.alerts,
            "rate": rate,
            "per_request": per_request,
            "connections": connections,
            "timeout_s": timeout_s,
            "headers": headers or {},
        }
        (where / "order.json").write_bytes(msgspec.json.encode(order))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.sender", str(where)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def is_done(self) -> bool:
        """Say whether every alert has had a final answer: 2xx or 4xx."""
        return self._process.poll() is not None

    def wait(self, seconds: float) -> None:
        """Return when all is answered; raises Trouble after so long."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Trouble(
                f"of {len(self.alerts)} alerts {len(self.accepted())} were accepted in "
                f"{seconds:g} s; answers: {dict(self.answers())}"
            ) from None
        self.stop()
        if status:
            raise Trouble(f"the sender ended with status {status}")

    def stop(self) -> None:
        """End it, whatever it still has to send."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def lines(self) -> list[_Line]:
        rows = self._file.read_bytes().split(b"\n")[:-1]
        return [msgspec.json.decode(row, type=_Line) for row in rows]

    def answers(self) -> collections.Counter[int]:
        """Return how many requests had each status; 0 is no answer at all."""
        return collections.Counter(line.status for line in self.lines())

    def accepted(self) -> list[Accepted]:
        """Return the alerts that were answered 2xx so far."""
        return [
            Accepted(number, self.alerts[number], line.at, line.tries, line.took_s)
            for line in self.lines()
            if 200 <= line.status < 300
            for number in range(line.first, line.first + line.count)
        ]


def send(
    replicas: Sequence[Replica | str],
    alerts: Sequence[dict[str, Any]],
    rate: float,
    *,
    per_request: int = PER_REQUEST,
    connections: int = CONNECTIONS,
    seconds_max: float = 600,
) -> list[Accepted]:
    """Send alerts at ``rate`` a second, in turn to all replicas, until each is accepted.

    Raises Trouble when that takes longer than ``seconds_max``.
    """
    inlets = [r if isinstance(r, str) else r.inlet for r in replicas]
    with tempfile.TemporaryDirectory(prefix="tocsin-sender-") as folder:
        sending = Sending(
            Path(folder), inlets, alerts, rate, per_request=per_request, connections=connections
        )
        try:
            sending.wait(seconds_max)
        finally:
            sending.stop()
        return sending.accepted()


# -- The process -----------------------------------------------------------------------------------


class _Batch(msgspec.Struct):
    first: int
    count: int
    body: bytes
    tries: int = 0


class _Connection:
    """A connection to one inlet, opened when needed."""

    def __init__(self, inlet: str, headers: dict[str, str], timeout_s: float) -> None:
        at = urlsplit(inlet)
        assert at.hostname is not None
        assert at.port is not None
        self.host, self.port, self.timeout_s = at.hostname, at.port, timeout_s
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.head = (
            f"POST {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\n"
            f"Content-Type: application/json\r\n{more}"
        )
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """Return the status, or 0 where there was no whole answer."""
        try:
            async with asyncio.timeout(self.timeout_s):
                if self.streams is None:
                    self.streams = await asyncio.open_connection(self.host, self.port)
                reader, writer = self.streams
                writer.write(f"{self.head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                status, close = await self._answer(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            self.close()
            return 0
        if close:
            self.close()
        return status

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bool]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (row.partition(":") for row in head[1:])
        }
        await reader.readexactly(int(headers.get("content-length", "0")))
        return status, headers.get("connection", "").lower() == "close"

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def _worker(
    queue: asyncio.Queue[_Batch], lines: list[_Connection], turn: int, order: _Order, out: Any
) -> None:
    while True:
        batch = await queue.get()
        final = False
        while not final:
            line = lines[turn % len(lines)]
            turn += 1
            batch.tries += 1
            began = now_s()
            status = await line.post(batch.body)
            final = 200 <= status < 500
            ended = now_s()
            answer = _Line(
                ended, status, batch.first, batch.count, batch.tries, ended - began, not final
            )
            out.write(msgspec.json.encode(answer) + b"\n")
            if not final:
                await asyncio.sleep(_RETRY_S[min(batch.tries, len(_RETRY_S)) - 1])
        queue.task_done()


async def _run(folder: Path) -> None:
    order = msgspec.json.decode((folder / "order.json").read_bytes(), type=_Order)
    queue: asyncio.Queue[_Batch] = asyncio.Queue()
    with (folder / "answers.jsonl").open("ab", buffering=0) as out:
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(
                    _worker(
                        queue,
                        [_Connection(i, order.headers, order.timeout_s) for i in order.inlets],
                        number,
                        order,
                        out,
                    )
                )
                for number in range(order.connections)
            ]
            loop = asyncio.get_running_loop()
            began = loop.time()
            for first in range(0, len(order.alerts), order.per_request):
                some = order.alerts[first : first + order.per_request]
                await asyncio.sleep(max(0.0, began + first / order.rate - loop.time()))
                queue.put_nowait(_Batch(first, len(some), msgspec.json.encode(some)))
            await queue.join()
            for worker in workers:
                worker.cancel()


async def _run_while_wanted(folder: Path) -> None:
    """Run until all is sent, or until the proof that started us is gone, however it went."""
    running = asyncio.ensure_future(_run(folder))
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    asyncio.run(_run_while_wanted(Path(sys.argv[1])))
