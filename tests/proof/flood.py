"""Many senders that keep their rates whatever they are answered, in one process that costs little.

Each sender has a key and a number of connections. When a request is due and a connection is free it
goes out; when none is free it waits, and its latency counts from when it was due, so that a server
that stalls cannot hide it. What has waited for too long is given up and counted: an overload is
nothing that a sender could deliver.

A sender invents alerts, sends each again and again while it fires, and ends it after a while. What
was refused is not sent again: only what was accepted must be paged, and repeats are of accepted
alerts only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from tests.proof.places import now_s

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK_S = 0.004
FIRES_S = "2100-01-01T00:00:00Z"


class SenderPlan(msgspec.Struct):
    """One sender: ``fresh`` of its requests bring a new alert, the others only repeat old ones.

    Alerts go round ``services`` services; every ``solo``-th has a service of its own, whose
    incident nobody has been paged for yet. Each ends after ``lasts_s``.
    """

    name: str
    key: str
    rate: float
    connections: int
    fresh: float
    repeats: int
    services: int
    solo: int = 0
    lasts_s: float = 60.0
    given_up_s: float = 2.0


class FloodPlan(msgspec.Struct):
    """What to send, where, and for how long."""

    port: int
    seconds: float
    senders: list[SenderPlan]
    name: str


class SenderReport(msgspec.Struct):
    """What became of it. Latencies in seconds, from when a request was due to its whole answer.

    ``accepted`` and ``ended`` are numbers of alerts: their firing, their end, answered 2xx.
    """

    name: str
    offered: int = 0
    given_up: int = 0
    broken: int = 0
    answers: dict[str, int] = {}
    latencies: list[float] = []
    accepted: list[int] = []
    ended: list[int] = []
    without_retry_after: int = 0


def labels_of(plan: str, sender: str, number: int, services: int, solo: int) -> dict[str, str]:
    """Return the labels of an alert; the proof asks for them too, to find it again."""
    if solo and number % solo == 0:
        service = f"{sender}-alone-{number}"
    else:
        service = f"{sender}-{number % services}"
    return {
        "alertname": f"Load {plan}",
        "service": service,
        "number": str(number),
        "severity": "P2",
        "instance": f"host-{number % 97}.example.org:9100",
    }


class _Request:
    __slots__ = ("body", "due_at", "ended", "fresh")

    def __init__(self, due_at: float, body: bytes, fresh: int | None, ended: list[int]) -> None:
        self.due_at = due_at
        self.body = body
        self.fresh = fresh
        self.ended = ended


class _Sender:
    """One key at work."""

    def __init__(self, plan: SenderPlan, flood: FloodPlan, loop: asyncio.AbstractEventLoop) -> None:
        self.plan = plan
        self.flood = flood
        self.loop = loop
        self.report = SenderReport(plan.name, answers={}, latencies=[], accepted=[], ended=[])
        self.answers: Counter[str] = Counter()
        self.head = (
            f"POST /in/{plan.key}/api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1:{flood.port}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.idle: list[_Connection] = []
        self.waiting: deque[_Request] = deque()
        self.made = 0
        self.credit = 0.0
        self.firing: deque[tuple[float, int, bytes]] = deque()
        self.again = 0

    def due(self, at: float, count: int) -> None:
        for _ in range(count):
            self.report.offered += 1
            self.waiting.append(self._request(at))
        while self.waiting and self.waiting[0].due_at < at - self.plan.given_up_s:
            request = self.waiting.popleft()
            self.report.given_up += 1
            if request.ended:
                self._lasts_longer(request, at)
        self.send()

    def send(self) -> None:
        while self.waiting and self.idle:
            self.idle.pop().send(self.waiting.popleft())

    def _request(self, at: float) -> _Request:
        members: list[bytes] = []
        fresh = None
        ended = []
        self.credit += self.plan.fresh
        if self.credit >= 1:
            self.credit -= 1
            fresh = self.made
            self.made += 1
            members.append(self._member(fresh, FIRES_S))
        if self.firing and self.firing[0][0] < at:
            _, number, _ = self.firing.popleft()
            ended.append(number)
            members.append(self._member(number, "2020-01-01T00:00:01Z"))
        for _ in range(min(self.plan.repeats, len(self.firing))):
            self.again = (self.again + 1) % len(self.firing)
            members.append(self.firing[self.again][2])
        body = b"[" + b",".join(members) + b"]"
        return _Request(at, b"%s%d\r\n\r\n%s" % (self.head, len(body), body), fresh, ended)

    def _member(self, number: int, ends_at: str) -> bytes:
        plan = self.plan
        alert: dict[str, Any] = {
            "labels": labels_of(self.flood.name, plan.name, number, plan.services, plan.solo),
            "annotations": {"summary": f"Number {number} of {plan.name} is not as it should be"},
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": ends_at,
            "generatorURL": "http://prometheus.example.org/graph",
        }
        return json.dumps(alert).encode()

    def _lasts_longer(self, request: _Request, at: float) -> None:
        """An end that was not accepted is sent again soon."""
        for number in request.ended:
            self.firing.appendleft((at + 1.0, number, self._member(number, FIRES_S)))

    def answered(self, request: _Request, status: int, has_retry_after: bool) -> None:
        at = self.loop.time()
        self.answers[str(status)] += 1
        self.report.latencies.append(round(at - request.due_at, 4))
        if 200 <= status < 300:
            if request.fresh is not None:
                self.report.accepted.append(request.fresh)
                member = self._member(request.fresh, FIRES_S)
                self.firing.append((at + self.plan.lasts_s, request.fresh, member))
            self.report.ended.extend(request.ended)
        else:
            self._lasts_longer(request, at)
            if status == 503 and not has_retry_after:
                self.report.without_retry_after += 1

    def lost(self, request: _Request) -> None:
        self.report.broken += 1
        self._lasts_longer(request, self.loop.time())


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, sender: _Sender) -> None:
        self.sender = sender
        self.buffer = b""
        self.request: _Request | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.sender.idle.append(self)

    def send(self, request: _Request) -> None:
        self.request = request
        self.transport.write(request.body)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        request, self.request = self.request, None
        assert request is not None, "an answer to nothing"
        self.sender.answered(request, int(head[9:12]), b"retry-after:" in lowered)
        if b"connection: close" in lowered:
            self.transport.close()
            return
        self.sender.idle.append(self)
        self.sender.send()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.sender.idle:
            self.sender.idle.remove(self)
        if self.request is not None:
            self.sender.lost(self.request)
            self.request = None


async def _connect(sender: _Sender, port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_connection(lambda: _Connection(sender), "127.0.0.1", port)


async def _keep_connected(sender: _Sender, flood: FloodPlan) -> None:
    """Open again what was closed, as any client does."""
    while True:
        await asyncio.sleep(0.1)
        missing = sender.plan.connections - len(sender.idle) - _busy(sender)
        if missing > 0:
            with contextlib.suppress(OSError):
                await _connect(sender, flood.port, missing)


def _busy(sender: _Sender) -> int:
    answered = sum(sender.answers.values())
    sent = sender.report.offered - len(sender.waiting) - sender.report.given_up
    return sent - answered - sender.report.broken


async def _flood(flood: FloodPlan) -> list[SenderReport]:
    loop = asyncio.get_running_loop()
    senders = [_Sender(plan, flood, loop) for plan in flood.senders]
    for sender in senders:
        await _connect(sender, flood.port, sender.plan.connections)
    async with asyncio.TaskGroup() as group:
        keeping = [group.create_task(_keep_connected(s, flood)) for s in senders]
        began = loop.time()
        for at in _ticks(began, flood.seconds, loop):
            for sender in senders:
                wanted = int((at - began) * sender.plan.rate) + 1
                sender.due(at, wanted - sender.report.offered)
            await asyncio.sleep(TICK_S)
        # What is on its way may arrive.
        end = loop.time() + 15
        while loop.time() < end and any(s.waiting or _busy(s) for s in senders):
            for sender in senders:
                sender.due(loop.time(), 0)
            await asyncio.sleep(0.02)
        for task in keeping:
            task.cancel()
    for sender in senders:
        sender.report.answers = dict(sender.answers)
        sender.report.broken += _busy(sender)
    return [sender.report for sender in senders]


def _ticks(began: float, seconds: float, loop: asyncio.AbstractEventLoop) -> Iterator[float]:
    while (at := loop.time()) < began + seconds:
        yield at


def main(folder: Path) -> None:
    flood = msgspec.json.decode((folder / "flood.json").read_bytes(), type=FloodPlan)
    began = now_s()
    try:
        import uvloop

        reports = uvloop.run(_flood(flood))
    except ImportError:
        reports = asyncio.run(_flood(flood))
    (folder / "report.json").write_bytes(msgspec.json.encode(reports))
    took_s = now_s() - began
    print(f"{flood.name}: {took_s:.1f} s", flush=True)  # noqa: T201 - for who watches


if __name__ == "__main__":
    main(Path(sys.argv[1]))
