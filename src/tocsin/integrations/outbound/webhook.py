"""A signed webhook to whatever the team already has: a pager, a script, a chat bridge.

    POST <url of [webhooks.NAME]>
    Tocsin-Timestamp: 1772330400
    Tocsin-Signature: v1=<hex of HMAC-SHA256 over "<timestamp>.<body>" with the shared secret>
    Idempotency-Key: INC-1/d7

The key is the same on every attempt of one delivery, the timestamp is that of the attempt: the
receiver refuses old timestamps and ignores keys it has seen.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import msgspec

from tocsin.integrations.answers import judge_status
from tocsin.integrations.wire import HttpRequest, NotConfigured
from tocsin.integrations.wording import one_line, words_of

if TYPE_CHECKING:
    from tocsin.core.effects import Message
    from tocsin.core.surroundings import Contact
    from tocsin.integrations.wire import Credentials, HttpResponse, Links, Outcome


class Webhook:
    """The integration that serves contacts of the kind "webhook"."""

    kind = "webhook"

    def request(
        self,
        message: Message,
        contact: Contact,
        links: Links,
        credentials: Credentials,
        key: str,
        timestamp_s: int,
    ) -> HttpRequest:
        """Return the signed post. Raises NotConfigured without an address or a secret."""
        name = one_line(contact.address, 80)
        target = credentials.webhooks.get(contact.address)
        if target is None or not target.url:
            raise NotConfigured(f"There is no webhook {name}: [webhooks.{name}] url is not set.")
        if not target.secret:
            raise NotConfigured(f"[webhooks.{name}] secret is not set, and we sign what we send.")
        body = _body(message, links, key)
        return HttpRequest(
            "POST",
            target.url.reveal(),
            (
                ("Content-Type", "application/json; charset=utf-8"),
                ("Idempotency-Key", one_line(key, 120)),
                ("Tocsin-Timestamp", str(timestamp_s)),
                ("Tocsin-Signature", f"v1={sign(target.secret.reveal(), timestamp_s, body)}"),
            ),
            body,
        )

    def outcome(self, response: HttpResponse) -> Outcome:
        """Return what the status means; any 2xx is "taken"."""
        return judge_status(response, "The webhook")


WEBHOOK = Webhook()


def sign(secret: str, timestamp_s: int, body: bytes) -> str:
    """Return the signature in hexadecimal, without the leading ``v1=``."""
    signed = str(timestamp_s).encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _body(message: Message, links: Links, key: str) -> bytes:
    words = words_of(message)
    source = message.source
    return msgspec.json.encode(
        {
            "version": 1,
            "delivery": key,
            "topic": message.topic,
            "incident": one_line(message.incident),
            "severity": one_line(message.severity, 40),
            "rank": message.rank,
            "service": one_line(message.service),
            "title": one_line(message.headline),
            "subject": words.subject,
            "lines": words.facts,
            "source": None
            if source is None
            else {
                "file": one_line(source.file),
                "line": source.line,
                "quote": one_line(source.quote),
            },
            "links": {
                "acknowledge": links.acknowledge or None,
                "room": None if message.external else links.room,
            },
        }
    )
