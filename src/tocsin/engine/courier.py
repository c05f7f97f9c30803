"""Deliveries: lease what is due, hand each to its channel, settle what came of them.

The row says what must be delivered; the lease says who is at it. Rows are taken and settled in
batches: whatever gathered while the last transaction ran makes up the next one, so that a single
page waits for nothing and a storm costs a few transactions a second. The outcome and its report to
the incident are one transaction, so neither exists without the other.

Dying between sending and settling means that the delivery is sent again under the same key: at
least once, and the receiver can tell. Being frozen means the same, and more: others take over,
while we may wake up and go on. So every lease counts up the delivery's attempts, and what we say of
an attempt that is not the latest changes nothing.

A channel is a lane of its own. One that is dead fills its lane, and the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from tocsin.base import faults
from tocsin.core.effects import SendPage
from tocsin.core.inputs import DeliveryReported
from tocsin.engine.channels import Channels
from tocsin.engine.gate import Gate
from tocsin.engine.instruments import Instruments
from tocsin.engine.turn import incident_stream
from tocsin.integrations.wire import Delivered, Refused, Retry
from tocsin.integrations.wording import one_line
from tocsin.store import contacts, deliveries, inbox
from tocsin.store.contacts import Noted
from tocsin.store.database import Unavailable
from tocsin.store.deliveries import Again, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tocsin.base.clock import Clock
    from tocsin.engine.outbound import GuardedClient, SmtpServer
    from tocsin.integrations.wire import Credentials, Links, Outbound, Outcome
    from tocsin.store import Connection
    from tocsin.store.database import Database
    from tocsin.store.deliveries import Delivery

_log = structlog.get_logger("tocsin.courier")

LEASE_S = 10.0
BACKOFF_S = (2.0, 8.0, 30.0)
"""Waited before the second, third and fourth attempt; there is no fifth."""
RETRY_AFTER_S_MAX = 60.0
# Nobody has to tell us that something is due: this bounds the harm of a lost word, and is how
# soon what another process left behind is found.
POLL_S = 1.0
LANE_IN_HAND_MAX = 200
IN_HAND_MAX = 4_000
SETTLED_AT_ONCE_MAX = 500
# How long what is in hand may take once we are told to stop; the rest goes to others.
STOP_S_MAX = 4.0
_AGAIN_AFTER_S = 0.5
_RETRY_AFTER_S_MIN = 1.0
_DETAIL_CHARS_MAX = 300
IN_APP = "in_app"


class _Held:
    """A delivery in hand. ``renewed_at`` is when its lease last began, by our own clock."""

    __slots__ = ("delivery", "gate", "has_begun", "is_lost", "outcome", "renewed_at", "task")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.renewed_at = monotonic()
        self.is_lost = False
        self.has_begun = False
        self.gate: Gate | None = None
        self.outcome: Outcome | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_ours(self) -> bool:
        """Say whether its lease still holds. Waking up from a freeze, we have not been told yet."""
        return not self.is_lost and monotonic() - self.renewed_at < LEASE_S

    def leave_gate(self) -> None:
        """Let the next one of the lane begin, once."""
        if self.gate is not None:
            self.gate.leave()
            self.gate = None


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
        self.channels = Channels(outbound, credentials, smtp, client, clock)
        # The process whose leases these are, once it is known to the others.
        self.process: int | None = None
        self._database = database
        self._links = links
        self._clock = clock
        self._instruments = instruments or Instruments()
        self._woke: Callable[[tuple[str, ...]], None] = lambda _: None
        self._took: Callable[[], None] = lambda: None
        self._settled: Callable[[], None] = lambda: None
        self._due = asyncio.Event()
        self._stirred = asyncio.Event()
        self._held: dict[str, _Held] = {}
        self._in_lane: Counter[str] = Counter()
        self._gates: dict[str, Gate] = {}
        # Channels of which there was more than we took.
        self._waiting: set[str] = set()
        # The lanes of which more was waiting at the last look than there was room for.
        self._crowded: set[str] = set()
        self._outcomes: deque[_Held] = deque()

    def on_report(self, woke: Callable[[tuple[str, ...]], None]) -> None:
        """Call ``woke`` with the stream of every incident that was told an outcome.

        Only a hint that saves a second: the report is in the inbox whether anyone hears of it.
        """
        self._woke = woke

    def on_life(self, took: Callable[[], None], settled: Callable[[], None]) -> None:
        """Call ``took`` and ``settled`` each time round of the two loops, a second at most."""
        self._took, self._settled = took, settled

    def wake(self) -> None:
        """Say that something may be due."""
        self._due.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver what is due until ``stop`` is set; then finish what is in hand, within seconds.

        What cannot be finished is released, so that another process takes it at once.
        """
        settled = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            settling = group.create_task(self._settle_all(settled))
            taking = group.create_task(self._take_all(group))
            await stop.wait()
            taking.cancel()
            await asyncio.wait((taking,))
            attempts = [held.task for held in self._held.values() if held.task is not None]
            if attempts:
                await asyncio.wait(attempts, timeout=STOP_S_MAX)
            for held in list(self._held.values()):
                if held.task is not None and held.outcome is None:
                    held.task.cancel()
            settled.set()
            self._stirred.set()
            await asyncio.wait((settling,), timeout=STOP_S_MAX)
            settling.cancel()
        await self._release()

    async def deliver_due(self) -> int:
        """Make one attempt at each delivery that is due now, settle them, and return how many."""
        settled = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            settling = group.create_task(self._settle_all(settled))
            try:
                async with asyncio.TaskGroup() as attempts:
                    found = await self._take(attempts)
            finally:
                settled.set()
                self._stirred.set()
                await asyncio.wait((settling,))
                self._forget(list(self._held.values()))
        return found

    async def renew(self, connection: Connection) -> None:
        """Keep what is in hand; let go of what others have taken meanwhile."""
        held = list(self._held.values())
        began = monotonic()
        kept = await deliveries.renew(
            connection,
            self.process,
            LEASE_S,
            [(each.delivery.id, each.delivery.attempts) for each in held],
        )
        for each in held:
            if each.delivery.id in kept:
                each.renewed_at = began
            elif self._held.get(each.delivery.id) is each and each.outcome is None:
                each.is_lost = True
                if each.task is not None:
                    each.task.cancel()

    # -- Taking ------------------------------------------------------------------------------------

    async def _take_all(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._took()
            self._due.clear()
            try:
                await self._take(group)
            except Unavailable as error:
                _log.warning("deliveries wait for the database", why=str(error))
                await asyncio.sleep(_AGAIN_AFTER_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._due.wait()

    async def _take(self, group: asyncio.TaskGroup) -> int:
        """Lease what is due, as much as there is room for, and begin an attempt at each."""
        # However much is in hand, a channel of which there is nothing gets its turn.
        most = LANE_IN_HAND_MAX if len(self._held) < IN_HAND_MAX else 1
        free = {lane: max(0, most - number) for lane, number in self._in_lane.items()}
        async with self._database.transaction() as connection:
            found = await deliveries.lease(
                connection,
                self.process,
                LEASE_S,
                free=free,
                free_elsewhere=most,
                held=list(self._held),
            )
        faults.reach("courier.leased")
        taken: Counter[str] = Counter()
        for delivery in found:
            held = _Held(delivery)
            self._held[delivery.id] = held
            self._in_lane[delivery.lane] += 1
            taken[delivery.lane] += 1
            held.task = group.create_task(self._attempt(held))
        self._waiting = {lane for lane, number in self._in_lane.items() if number >= most} | {
            lane for lane, number in taken.items() if number >= free.get(lane, most)
        }
        self._crowded = set(self._waiting)
        return len(found)

    async def _attempt(self, held: _Held) -> None:
        """Make one attempt; its outcome is put where the next transaction finds it."""
        delivery = held.delivery
        gate = self._gate_of(delivery.lane)
        try:
            await gate.enter()
            held.gate = gate
            if not held.is_ours:
                self._forget([held])
                return
            held.has_begun, began = True, monotonic()
            held.outcome = await self._outcome(delivery)
            gate.answered(monotonic() - began)
            if gate.is_crowded():
                held.leave_gate()
        except asyncio.CancelledError:
            if held.is_lost:
                self._forget([held])
            raise
        faults.reach("courier.sent")
        self._instruments.attempted(_kind(delivery), type(held.outcome).__name__.lower())
        self._outcomes.append(held)
        self._stirred.set()

    def _gate_of(self, lane: str) -> Gate:
        """Return the gate through which the next one of a lane goes when this one is settled."""
        gate = self._gates.get(lane)
        if gate is None:
            gate = self._gates[lane] = Gate(lambda: lane in self._crowded)
        return gate

    async def _outcome(self, delivery: Delivery) -> Outcome:
        effect = delivery.effect
        if effect is None:
            return Refused("What was to be said cannot be read; this is a defect of Tocsin.")
        if effect.contact is None or effect.contact.kind == IN_APP:
            return Delivered()  # The row itself is the in-app inbox.
        if delivery.attempts > len(BACKOFF_S) + 1:
            # Only attempts that ended without any outcome lead here: crashes of the process, it may
            # be because of this very message. Another contact may do better.
            return Refused("Every attempt was cut short, and it is not known whether it arrived.")
        page = effect.page if isinstance(effect, SendPage) else None
        links = self._links(delivery.incident, page)
        return await self.channels.send(effect.message, effect.contact, links, delivery.id)

    # -- Settling ----------------------------------------------------------------------------------

    async def _settle_all(self, settled: asyncio.Event) -> None:
        """Settle whatever has an outcome, until there is nothing left and ``settled`` is set."""
        while True:
            self._settled()
            if not self._outcomes:
                if settled.is_set():
                    return
                self._stirred.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._stirred.wait()
                continue
            try:
                await self._settle_batch()
            except Unavailable as error:
                # They were sent, and while we live we know it: better to wait than to send again.
                _log.warning("outcomes wait for the database", why=str(error))
                for held in self._outcomes:
                    held.leave_gate()
                if settled.is_set():
                    return
                await asyncio.sleep(_AGAIN_AFTER_S)

    async def _settle_batch(self) -> None:
        """Settle what has gathered, in one transaction. Raises store.Unavailable: try again."""
        number = min(len(self._outcomes), SETTLED_AT_ONCE_MAX)
        await self._settle([self._outcomes.popleft() for _ in range(number)])

    async def _settle(self, batch: Sequence[_Held]) -> None:
        try:
            await self._write(batch)
        except Unavailable:
            self._outcomes.extendleft(reversed(batch))
            raise
        except Exception:  # noqa: BLE001 - the supervisor: one that cannot be settled stands alone
            if len(batch) == 1:
                # It is sent again once its lease is over, and not for ever: attempts are counted.
                _log.exception("a delivery cannot be settled", delivery=batch[0].delivery.id)
                self._forget(batch)
                return
            _log.exception("deliveries cannot be settled together", count=len(batch))
            for place, held in enumerate(batch, 1):
                try:
                    await self._settle([held])
                except Unavailable:
                    self._outcomes.extendleft(reversed(batch[place:]))
                    raise
            return
        self._forget(batch)

    async def _write(self, batch: Sequence[_Held]) -> None:
        settled: dict[str, tuple[Delivery, Settled]] = {}
        again: list[Again] = []
        for held in batch:
            delivery, outcome = held.delivery, held.outcome
            assert outcome is not None, "only what has an outcome is settled"
            if isinstance(outcome, Retry) and delivery.attempts <= len(BACKOFF_S):
                again.append(_again(delivery, outcome))
            else:
                settled[delivery.id] = delivery, _settled(delivery, outcome)
        async with self._database.transaction() as connection:
            counted = await deliveries.settle(connection, [each for _, each in settled.values()])
            waiting = await deliveries.retry(connection, again)
            ended = [both for both in settled.values() if both[1].id in counted]
            await contacts.note(
                connection,
                [
                    Noted(str(delivery.effect.contact), each.delivered, each.detail)
                    for delivery, each in ended
                    if delivery.effect is not None and delivery.effect.contact is not None
                ],
            )
            reports = [
                (incident_stream(delivery.incident), _report(each))
                for delivery, each in ended
                if _is_awaited(delivery)
            ]
            await inbox.append(connection, reports)
        faults.reach("courier.settled")
        self._say(ended, [each for each in again if each.id in waiting])
        if reports:
            self._woke(tuple(dict.fromkeys(stream for stream, _ in reports)))

    def _say(self, ended: Sequence[tuple[Delivery, Settled]], waiting: Sequence[Again]) -> None:
        now = self._clock.now()
        for delivery, each in ended:
            after_s = (now - delivery.created_at).total_seconds()
            self._instruments.settled(_kind(delivery), delivered=each.delivered, after_s=after_s)
            if not each.delivered:
                _log.warning("delivery failed", delivery=each.id, why=each.detail)
        for one in waiting:
            _log.info("delivery waits", delivery=one.id, after_s=one.after_s, why=one.detail)

    def _forget(self, batch: Sequence[_Held]) -> None:
        """Have these in hand no longer; look for more where that made room."""
        for held in batch:
            held.leave_gate()
            if self._held.get(held.delivery.id) is not held:
                continue
            del self._held[held.delivery.id]
            lane = held.delivery.lane
            self._in_lane[lane] -= 1
            if not self._in_lane[lane]:
                del self._in_lane[lane]
                self._gates.pop(lane, None)
            # Half a lane at a time: a look for each one that leaves would cost more than it brings.
            if lane in self._waiting and self._in_lane[lane] <= LANE_IN_HAND_MAX // 2:
                self._waiting.discard(lane)
                self._due.set()

    async def _release(self) -> None:
        held = list(self._held.values())
        try:
            async with self._database.transaction() as connection:
                await deliveries.release(
                    connection,
                    [(each.delivery.id, each.delivery.attempts, each.has_begun) for each in held],
                )
        except Unavailable as error:
            # Their leases run out, or we are found to be gone.
            _log.warning("deliveries were not handed over", count=len(held), why=str(error))
        self._forget(held)


def _again(delivery: Delivery, outcome: Retry) -> Again:
    after_s = BACKOFF_S[delivery.attempts - 1]
    if outcome.after_s is not None:
        after_s = min(max(outcome.after_s, _RETRY_AFTER_S_MIN), RETRY_AFTER_S_MAX)
    detail = one_line(outcome.detail, _DETAIL_CHARS_MAX)
    return Again(delivery.id, delivery.attempts, after_s, detail)


def _settled(delivery: Delivery, outcome: Outcome) -> Settled:
    said = outcome.reference if isinstance(outcome, Delivered) else outcome.detail
    detail = one_line(said, _DETAIL_CHARS_MAX)
    if isinstance(outcome, Retry):
        detail = f"{detail} Given up after {delivery.attempts} attempts."
    return Settled(delivery.id, delivery.attempts, isinstance(outcome, Delivered), detail)


def _report(settled: Settled) -> DeliveryReported:
    detail = "" if settled.delivered else settled.detail
    return DeliveryReported(settled.id, settled.delivered, detail)


def _is_awaited(delivery: Delivery) -> bool:
    """Say whether somebody waits to hear how it went.

    Nobody does of a page that stands in the app only, nor of a test, which is of no incident.
    """
    in_app_only = delivery.effect is not None and delivery.effect.contact is None
    return bool(delivery.incident) and not in_app_only


def _kind(delivery: Delivery) -> str:
    if delivery.effect is None:
        return delivery.lane.partition(":")[0] or IN_APP
    contact = delivery.effect.contact
    return IN_APP if contact is None else contact.kind
