"""The ways out of the house: one message to one contact, and what its channel made of it.

No database is needed here, so that word of a lost database can leave this way, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tocsin.engine.outbound import send_mail
from tocsin.integrations.wire import HttpRequest, HttpResponse, Mail, NotConfigured, Refused, Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.base.clock import Clock
    from tocsin.core.effects import Message
    from tocsin.core.surroundings import Contact
    from tocsin.engine.outbound import GuardedClient, SmtpServer
    from tocsin.integrations.wire import Credentials, Links, Outbound, Outcome

_log = structlog.get_logger("tocsin.channels")

ATTEMPT_S_MAX = 45.0


class Channels:
    """Every channel that is installed, with what the settings hold for it."""

    def __init__(
        self,
        outbound: Mapping[str, Outbound],
        credentials: Credentials,
        smtp: SmtpServer | None,
        client: GuardedClient,
        clock: Clock,
    ) -> None:
        """Take the parts. ``smtp`` is None where the settings name no mail server."""
        self._outbound = outbound
        self._credentials = credentials
        self._smtp = smtp
        self._client = client
        self._clock = clock

    async def send(self, message: Message, contact: Contact, links: Links, key: str) -> Outcome:
        """Make one attempt and return what came of it, whatever happens.

        ``key`` is the same on every attempt at one delivery, so that the receiver can tell.
        """
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                return await self._attempt(message, contact, links, key)
        except NotConfigured as error:
            return Refused(str(error))
        except TimeoutError:
            return Retry(None, f"{contact.kind} gave no answer within {ATTEMPT_S_MAX:g} s.")
        except Exception as error:  # noqa: BLE001 - the supervisor of integrations: see the comment
            # A bug of ours, or of an integration, met this very message. Others go on, and after
            # its last attempt this one goes to the next contact.
            _log.exception("sending failed", key=key, kind=contact.kind)
            return Retry(None, f"Sending it met a defect of Tocsin: {type(error).__name__}.")

    async def _attempt(self, message: Message, contact: Contact, links: Links, key: str) -> Outcome:
        integration = self._outbound.get(contact.kind)
        if integration is None:
            known = ", ".join(sorted(self._outbound)) or "none is installed"
            return Refused(
                f"The contact {contact} cannot be used: there is no way called"
                f" {contact.kind!r} ({known})."
            )
        now = self._clock.now()
        request = integration.request(
            message, contact, links, self._credentials, key, int(now.timestamp())
        )
        match request:
            case Mail():
                if self._smtp is None:
                    raise NotConfigured("E-mail is not connected: [email] host is not set.")
                return await send_mail(request, self._smtp, now)
            case HttpRequest():
                answer = await self._client.perform(request)
                return integration.outcome(answer) if isinstance(answer, HttpResponse) else answer
