"""Deliveries: lease one, hand it to its channel, settle what came of it.

The row says what must be delivered; the lease says who is at it. The outcome and its report to the
incident are one transaction, so neither exists without the other. Dying between sending and
settling means that the lease runs out and the delivery is sent again under the same key: at least
once, and the receiver can tell. An attempt is always shorter than its lease.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tocsin.core.effects import SendPage
from tocsin.core.inputs import DeliveryReported
from tocsin.engine.instruments import Instruments
from tocsin.engine.outbound import send_mail
from tocsin.engine.turn import incident_stream
from tocsin.integrations.wire import (
    Delivered,
    HttpRequest,
    HttpResponse,
    Mail,
    NotConfigured,
    Refused,
    Retry,
)
from tocsin.integrations.wording import one_line
from tocsin.store import contacts, deliveries, inbox
from tocsin.store.contacts import Noted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tocsin.base.clock import Clock
    from tocsin.core.surroundings import Contact
    from tocsin.engine.outbound import GuardedClient, SmtpServer
    from tocsin.integrations.wire import Credentials, Links, Outbound, Outcome
    from tocsin.store.database import Database
    from tocsin.store.deliveries import Delivery

_log = structlog.get_logger("tocsin.courier")

LEASE_S = 60.0
ATTEMPT_S_MAX = 45.0
BACKOFF_S = (2.0, 8.0, 30.0)
"""Waited before the second, third and fourth attempt; there is no fifth."""
RETRY_AFTER_S_MAX = 60.0
_RETRY_AFTER_S_MIN = 1.0
_DETAIL_CHARS_MAX = 300
IN_APP = "in_app"


class Courier:
    """Delivers pages and notices. Several may run at once, in one process or in many."""

    def __init__(
        self,
        database: Database,
        outbound: Mapping[str, Outbound],
        credentials: Credentials,
        smtp: SmtpServer | None,
        client: GuardedClient,
        links: Callable[[str, str | None], Links],
        clock: Clock,
        instruments: Instruments | None = None,
    ) -> None:
        """Take the parts.

        ``links`` returns the addresses for an incident and the page to acknowledge, or None where
        there is nothing to acknowledge. ``smtp`` is None where the settings name no mail server.
        """
        self._database = database
        self._outbound = outbound
        self._credentials = credentials
        self._smtp = smtp
        self._client = client
        self._links = links
        self._clock = clock
        self._instruments = instruments or Instruments()
        self._woke: Callable[[tuple[str, ...]], None] = lambda _: None

    def on_report(self, woke: Callable[[tuple[str, ...]], None]) -> None:
        """Call ``woke`` with the stream of every incident that was told an outcome.

        Only a hint that saves a second: the report is in the inbox whether anyone hears of it.
        """
        self._woke = woke

    async def deliver(self, delivery_id: str) -> None:
        """Make one attempt at a delivery; do nothing if it is settled, not due or in other hands.

        Raises store.Unavailable; then the lease runs out and the delivery is stranded until found.
        """
        async with self._database.transaction() as connection:
            delivery = await deliveries.lease(connection, delivery_id, LEASE_S)
        if delivery is None:
            return
        outcome = await self._outcome(delivery)
        self._instruments.attempted(_kind(delivery), type(outcome).__name__.lower())
        if isinstance(outcome, Retry) and delivery.attempts <= len(BACKOFF_S):
            await self._again(delivery, outcome)
        else:
            await self._settle(delivery, outcome)

    async def _outcome(self, delivery: Delivery) -> Outcome:
        contact = delivery.effect.contact
        if contact is None or contact.kind == IN_APP:
            return Delivered()  # The row itself is the in-app inbox.
        if delivery.attempts > len(BACKOFF_S) + 1:
            # Only attempts that ended without any outcome lead here: crashes of the process, or a
            # bug that this very message runs into. Another contact may do better.
            return Refused("Every attempt was cut short, and it is not known whether it arrived.")
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                return await self._attempt(delivery, contact)
        except NotConfigured as error:
            return Refused(str(error))
        except TimeoutError:
            return Retry(None, f"{contact.kind} gave no answer within {ATTEMPT_S_MAX:g} s.")

    async def _attempt(self, delivery: Delivery, contact: Contact) -> Outcome:
        integration = self._outbound.get(contact.kind)
        if integration is None:
            known = ", ".join(sorted(self._outbound)) or "none is installed"
            return Refused(
                f"The contact {contact} cannot be used: there is no way called"
                f" {contact.kind!r} ({known})."
            )
        effect = delivery.effect
        page = effect.page if isinstance(effect, SendPage) else None
        now = self._clock.now()
        request = integration.request(
            effect.message,
            contact,
            self._links(delivery.incident, page),
            self._credentials,
            delivery.id,
            int(now.timestamp()),
        )
        match request:
            case Mail():
                if self._smtp is None:
                    raise NotConfigured("E-mail is not connected: [email] host is not set.")
                return await send_mail(request, self._smtp, now)
            case HttpRequest():
                answer = await self._client.perform(request)
                return integration.outcome(answer) if isinstance(answer, HttpResponse) else answer

    async def _again(self, delivery: Delivery, outcome: Retry) -> None:
        after_s = BACKOFF_S[delivery.attempts - 1]
        if outcome.after_s is not None:
            after_s = min(max(outcome.after_s, _RETRY_AFTER_S_MIN), RETRY_AFTER_S_MAX)
        detail = one_line(outcome.detail, _DETAIL_CHARS_MAX)
        async with self._database.transaction() as connection:
            await deliveries.retry(connection, delivery.id, after_s, detail)
        _log.info("delivery waits", delivery=delivery.id, after_s=after_s, why=detail)

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        delivered = isinstance(outcome, Delivered)
        detail = one_line(
            outcome.reference if isinstance(outcome, Delivered) else outcome.detail,
            _DETAIL_CHARS_MAX,
        )
        if isinstance(outcome, Retry):
            detail = f"{detail} Given up after {delivery.attempts} attempts."
        stream = incident_stream(delivery.incident)
        report = DeliveryReported(delivery.id, delivered, "" if delivered else detail)
        async with self._database.transaction() as connection:
            await deliveries.settle(
                connection, delivery.id, "delivered" if delivered else "failed", detail
            )
            # Nobody waits to hear that a page stands in the app, nor how a test went.
            if delivery.effect.contact is not None:
                await contacts.note(
                    connection, [Noted(str(delivery.effect.contact), delivered, detail)]
                )
                if delivery.incident:
                    await inbox.append(connection, [(stream, report)])
        after_s = (self._clock.now() - delivery.created_at).total_seconds()
        self._instruments.settled(_kind(delivery), delivered=delivered, after_s=after_s)
        if not delivered:
            _log.warning("delivery failed", delivery=delivery.id, why=detail)
        if delivery.effect.contact is not None and delivery.incident:
            self._woke((stream,))


def _kind(delivery: Delivery) -> str:
    contact = delivery.effect.contact
    return IN_APP if contact is None else contact.kind
