"""E-mail: builds the mail; the courier hands it to the operator's SMTP server.

Plain text, since the first line has to be a link that every reader on every phone can follow.
``Message-ID`` comes from the delivery, so that a mail sent twice after a crash is one mail to most
readers; ``References`` gathers the mails of one incident.
"""

from __future__ import annotations

import hashlib
import re
from email.utils import parseaddr
from typing import TYPE_CHECKING

from tocsin.core.effects import Topic
from tocsin.integrations.answers import judge_status
from tocsin.integrations.wire import Mail, NotConfigured
from tocsin.integrations.wording import one_line, words_of

if TYPE_CHECKING:
    from tocsin.core.effects import Message
    from tocsin.core.surroundings import Contact
    from tocsin.integrations.wire import Credentials, HttpResponse, Links, Outcome

# One plain address: nothing that could be a second recipient, a name or another header.
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>()\[\]\\,;:\"@]+@[^\s\x00-\x1f\x7f<>()\\,;\"@]+")


class Email:
    """The integration that serves contacts of the kind "email"."""

    kind = "email"

    def request(
        self,
        message: Message,
        contact: Contact,
        links: Links,
        credentials: Credentials,
        key: str,
        timestamp_s: int,
    ) -> Mail:
        """Return the mail. Raises NotConfigured without a sender or with a broken address."""
        sender = _sender(credentials.email.sender)
        if not _ADDRESS.fullmatch(contact.address):
            raise NotConfigured(f"{one_line(contact.address, 80)} is no e-mail address.")
        domain = parseaddr(sender)[1].rpartition("@")[2]
        incident = f"<{_digest(links.room, message.incident)}@{domain}>"
        urgent = (("Importance", "high"),) if message.topic is Topic.PAGE else ()
        return Mail(
            sender=sender,
            to=contact.address,
            subject=words_of(message).subject,
            text=_text(message, links),
            headers=(
                ("Message-ID", f"<{_digest(links.room, message.incident, key)}@{domain}>"),
                ("References", incident),
                ("In-Reply-To", incident),
                ("Auto-Submitted", "auto-generated"),
                ("X-Tocsin-Delivery", one_line(key, 120)),
                *urgent,
            ),
        )

    def outcome(self, response: HttpResponse) -> Outcome:
        """Return what a status would mean; mails go by SMTP, whose answers the sender judges."""
        return judge_status(response, "The mail server")


EMAIL = Email()


def _sender(sender: str) -> str:
    if not sender:
        raise NotConfigured("E-mail is not connected: [email] from is not set.")
    if not sender.isprintable() or not _ADDRESS.fullmatch(parseaddr(sender)[1]):
        raise NotConfigured("[email] from is no e-mail address.")
    return sender


def _text(message: Message, links: Links) -> str:
    words = words_of(message)
    ask = f"Acknowledge: {links.acknowledge}" if links.acknowledge else ""
    first = message.topic is Topic.PAGE
    paragraphs = (
        ask if first else "",
        words.subject,
        "\n".join(words.facts),
        words.citation,
        "" if first else ask,
        "" if message.external else f"Incident room: {links.room}",
    )
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
