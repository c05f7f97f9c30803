"""A Slack on this machine: ``chat.postMessage`` and incoming webhooks as Slack documents them.

    with FakeSlack(token="xoxb-1") as slack:
        settings: [slack] token = "xoxb-1", api_url = slack.api_url
                  [slack.channels] "#status" = { webhook = slack.webhook_url("#status") }
        slack.fail("ratelimited", status=429, retry_after_s=1)   # the next request only
        slack.fail("internal_error", times=3)
        [message] = slack.wait_for(1)
        message.channel, message.text, message.said             # said = every text in it

It checks what Slack checks: the token, the content type, that there is a channel and a text, the
escaping of a section that is too long. With ``channels`` only those exist. ``attempts`` counts
requests that failed on purpose too; ``messages`` are those that were taken. A ``client_msg_id``
that was seen is answered as before and not taken twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.fakes.http import Answer, LocalServer, Request
from tests.fakes.waiting import wait_for_all


class SlackMessage(msgspec.Struct, frozen=True):
    """One message that Slack took. ``channel`` of a webhook is the name it was made for."""

    channel: str
    text: str
    payload: dict[str, Any]
    via: str

    @property
    def said(self) -> str:
        """Return all text of the message, one block a line."""
        blocks = self.payload.get("blocks", [])
        return "\n".join([self.text, *(block["text"]["text"] for block in blocks)])

    @property
    def delivery(self) -> str:
        """Return the delivery that the message's metadata names, or ""."""
        return str(self.payload.get("metadata", {}).get("event_payload", {}).get("delivery", ""))


class FakeSlack:
    """See the module."""

    def __init__(self, token: str = "xoxb-fake", channels: Collection[str] | None = None) -> None:
        self.token = token
        self.channels = channels
        self.messages: list[SlackMessage] = []
        self._failures: list[Answer] = []
        self._webhooks: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._changed = threading.Condition()
        self._server = LocalServer(self._answer)

    @property
    def api_url(self) -> str:
        return f"{self._server.url}/api"

    @property
    def attempts(self) -> int:
        return len(self._server.received)

    @property
    def requests(self) -> list[Request]:
        return self._server.received

    def webhook_url(self, channel: str) -> str:
        """Return the address of a webhook that posts to a channel, made on first asking."""
        path = f"/services/T0/B{len(self._webhooks)}/s3cr3t{len(self._webhooks)}"
        path = next((p for p, name in self._webhooks.items() if name == channel), path)
        self._webhooks[path] = channel
        return self._server.url + path

    def remove_webhook(self, channel: str) -> None:
        """Let the webhook be gone, as when the app is uninstalled."""
        self._webhooks = {p: name for p, name in self._webhooks.items() if name != channel}

    def fail(
        self,
        error: str = "internal_error",
        *,
        status: int = 200,
        times: int = 1,
        retry_after_s: int | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Answer the next ``times`` requests with an error, whatever they are."""
        body = json.dumps({"ok": False, "error": error}).encode()
        headers = {"Content-Type": "application/json"}
        if retry_after_s is not None:
            headers["Retry-After"] = str(retry_after_s)
        self._failures += [Answer(status, body, headers, delay_s)] * times

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[SlackMessage]:
        """Return all messages once there are so many; fail after a while."""
        return wait_for_all(self._changed, self.messages, count, timeout_s, "messages")

    def to(self, channel: str) -> list[SlackMessage]:
        """Return what a channel or person was told, in order."""
        return [message for message in self.messages if message.channel == channel]

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
        if self._failures:
            return self._failures.pop(0)
        if request.path == "/api/chat.postMessage":
            return self._post_message(request)
        if request.path.startswith("/services/"):
            return self._webhook(request)
        return Answer(404, b"not found")

    def _post_message(self, request: Request) -> Answer:
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("Bearer "):
            return _refuse("not_authed")
        if authorization != f"Bearer {self.token}":
            return _refuse("invalid_auth")
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _refuse("invalid_post_type")
        payload = _decoded(request.body)
        if payload is None:
            return _refuse("invalid_json")
        channel = payload.get("channel")
        if not channel or (self.channels is not None and channel not in self.channels):
            return _refuse("channel_not_found")
        fault = _fault(payload)
        if fault:
            return _refuse(fault)
        with self._changed:
            identity = str(payload.get("client_msg_id", ""))
            ts = self._seen.get(identity, f"1772330400.{len(self.messages):06}")
            if identity not in self._seen:
                self.messages.append(SlackMessage(channel, payload.get("text", ""), payload, "bot"))
                self._changed.notify_all()
            if identity:
                self._seen[identity] = ts
        answer = {"ok": True, "channel": channel, "ts": ts, "message": {"text": payload["text"]}}
        return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _webhook(self, request: Request) -> Answer:
        channel = self._webhooks.get(request.path)
        if channel is None:
            return Answer(404, b"no_service")
        payload = _decoded(request.body)
        if payload is None:
            return Answer(400, b"invalid_payload")
        fault = _fault(payload)
        if fault:
            return Answer(400, fault.encode())
        with self._changed:
            text = payload.get("text", "")
            self.messages.append(SlackMessage(channel, text, payload, "webhook"))
            self._changed.notify_all()
        return Answer(200, b"ok", {"Content-Type": "text/html"})


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _fault(payload: dict[str, Any]) -> str:
    blocks = payload.get("blocks", [])
    if not payload.get("text") and not blocks:
        return "no_text"
    for block in blocks:
        text = block.get("text", {})
        if block.get("type") != "section" or text.get("type") not in ("mrkdwn", "plain_text"):
            return "invalid_blocks"
        if not 1 <= len(text.get("text", "")) <= 3000:
            return "invalid_blocks"
    return ""


def _refuse(error: str) -> Answer:
    body = json.dumps({"ok": False, "error": error}).encode()
    return Answer(200, body, {"Content-Type": "application/json"})
