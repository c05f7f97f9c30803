"""A receiver of Tocsin's signed webhooks, written from the description in the documentation.

    with FakeWebhook(secret="s3cret") as pager:
        settings: [webhooks.pager] url = pager.url, secret = "s3cret"
        pager.fail(503, times=2, retry_after_s=1)
        [call] = pager.wait_for(1)
        call.body["title"], call.key

It refuses with 401 what is unsigned, wrongly signed or older than 300 s by its own clock (give
``now_s`` where a test has its own time), and takes every Idempotency-Key once: a repeated one is
answered 200 and stands in ``repeated``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.fakes.http import Answer, LocalServer, Request
from tests.fakes.waiting import wait_for_all

_AGE_S_MAX = 300


class Call(msgspec.Struct, frozen=True):
    """One call that was taken."""

    key: str
    timestamp_s: int
    body: dict[str, Any]


class FakeWebhook:
    """See the module."""

    def __init__(self, secret: str = "s3cret", now_s: Callable[[], float] | None = None) -> None:
        self.secret = secret
        self.calls: list[Call] = []
        self.repeated: list[str] = []
        self.refused: list[str] = []
        self._now_s = now_s
        self._failures: list[Answer] = []
        self._changed = threading.Condition()
        self._server = LocalServer(self._answer)

    @property
    def url(self) -> str:
        return f"{self._server.url}/hook"

    @property
    def attempts(self) -> int:
        return len(self._server.received)

    @property
    def requests(self) -> list[Request]:
        return self._server.received

    def fail(
        self,
        status: int,
        *,
        times: int = 1,
        retry_after_s: int | None = None,
        delay_s: float = 0.0,
        take_it_first: bool = False,
    ) -> None:
        """Answer the next ``times`` requests so. ``take_it_first`` does the work all the same."""
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        if take_it_first:
            headers["X-Taken"] = "1"
        self._failures += [Answer(status, b"", headers, delay_s)] * times

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Call]:
        """Return all calls once there are so many; fail after a while."""
        return wait_for_all(self._changed, self.calls, count, timeout_s, "calls")

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def _answer(self, request: Request) -> Answer:
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and "X-Taken" not in failure.headers:
            return failure
        fault = self._fault(request)
        if fault:
            self.refused.append(fault)
            return Answer(401, fault.encode())
        with self._changed:
            key = request.headers.get("idempotency-key", "")
            if key in {call.key for call in self.calls}:
                self.repeated.append(key)
            else:
                stamp = int(request.headers["tocsin-timestamp"])
                self.calls.append(Call(key, stamp, json.loads(request.body)))
            self._changed.notify_all()
        return failure or Answer(200, b"{}")

    def _fault(self, request: Request) -> str:
        stamp = request.headers.get("tocsin-timestamp", "")
        version, _, given = request.headers.get("tocsin-signature", "").partition("=")
        if version != "v1" or not stamp.isdigit():
            return "not signed"
        signed = f"{stamp}.".encode() + request.body
        expected = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, given):
            return "wrong signature"
        if self._now_s is not None and abs(self._now_s() - int(stamp)) > _AGE_S_MAX:
            return "too old"
        return ""
