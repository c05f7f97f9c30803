"""The engine of one process: takes inputs, runs turns, fires timers, and sweeps up after crashes.

Whatever a request wants decided is committed to the inbox first; a turn follows at once in this
process, or in any other that gets there first. The sweep finds whatever no job and no wake-up
found: it is the reason that a crash costs seconds and never a page.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.core.inputs import AlertLapsed, SilencesChanged, TimerFired
from tocsin.engine.intake import Intake
from tocsin.engine.turn import DeskHeader, Outcome, Turns, desk_stream, incident_stream
from tocsin.store import (
    alerts,
    deliveries,
    inbox,
    jobs,
    live,
    silences,
    streams,
    timers,
)
from tocsin.store.codec import decode
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tocsin.base.clock import Clock
    from tocsin.core.inputs import IncidentDeclared, IncidentInput, Input
    from tocsin.core.surroundings import Directory, Silence, Tuning
    from tocsin.engine.book import Book
    from tocsin.engine.courier import Courier
    from tocsin.integrations.signals import Received
    from tocsin.store.database import Database

_log = structlog.get_logger("tocsin.engine")

POLL_S = 1.0
SWEEP_S = 15.0
STREAMS_AT_ONCE_MAX = 4
ACT_WAIT_S_MAX = 10.0
INBOX_KEPT_S = 3600
# An alert lapses only when it was not re-sent for a full period and five minutes more; after our
# own start the same time passes first, since nobody could reach us while we were down.
LAPSE_GRACE_S = 360.0


class Engine:
    """Runs until ``run`` is cancelled. Every method may raise store.Unavailable."""

    def __init__(
        self,
        database: Database,
        book: Book,
        courier: Courier,
        clock: Clock,
        directory: Directory,
        tuning: Tuning,
    ) -> None:
        """Take the parts; nothing runs yet."""
        self._database = database
        self._courier = courier
        self._clock = clock
        self._intake = Intake(database, tuning)
        self._turns = Turns(database, book, directory, tuning)
        self._wake = asyncio.Event()
        self._ready: dict[str, None] = {}
        self._started_at = clock.now()

    # -- What a request asks for -------------------------------------------------------------------

    async def receive(self, batch: Received) -> None:
        """Make signals durable; their turns follow by themselves."""
        self.wake(await self._intake.receive(batch, self._clock.now()))

    async def declare(self, service: str, declaration: IncidentDeclared) -> str:
        """Declare an incident for a service and return its id; it is open when this returns."""
        stream = desk_stream(service)
        await self._decide_now(stream, declaration)
        async with self._database.reading() as connection:
            desk = await streams.load(connection, stream)
        assert desk is not None, "deciding the declaration made the stream"
        assert desk.state is not None, "a declaration opens an incident or joins the open one"
        incident = decode(desk.state, DeskHeader).incident
        assert incident is not None
        await self._drain(incident_stream(incident))
        return incident

    async def act(self, incident: str, input: IncidentInput) -> str:  # noqa: A002 - the domain's word
        """Decide a person's act on an incident; return "" or the sentence that refuses it."""
        return await self._decide_now(incident_stream(incident), input)

    async def silence(self, silence: Silence) -> None:
        """Store a silence; desks look at the alerts it concerns before this returns."""
        async with self._database.transaction() as connection:
            await silences.put(connection, silence)
        await self._silences_turned()

    async def unsilence(self, id: str) -> bool:  # noqa: A002 - the domain's word
        """End a silence now; False when there is none in force or to come."""
        async with self._database.transaction() as connection:
            ended = await silences.expire(connection, id, await self._database.now(connection))
        await self._silences_turned()
        return ended

    # -- What runs by itself -----------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Run turns, jobs and sweeps until ``stop`` is set."""
        handlers: dict[str, Callable[[str], Awaitable[None]]] = {
            "timer": self.fire,
            "delivery": self._deliver,
        }
        async with asyncio.TaskGroup() as group:
            group.create_task(jobs.run(self._database.url, handlers, stop))
            group.create_task(self._work(stop))
            group.create_task(self._sweep(stop))
            listening = group.create_task(self._listen())
            await stop.wait()
            self._wake.set()
            listening.cancel()

    def wake(self, names: Iterable[str] = ()) -> None:
        """Say that streams have work; without names, look which have."""
        self._ready.update(dict.fromkeys(names))
        self._wake.set()

    async def fire(self, payload: str) -> None:
        """Turn a due timer into an input of its stream. A timer that is gone does nothing."""
        stream, _, name = payload.partition("\n")
        async with self._database.transaction() as connection:
            due_at = await timers.take_due(connection, stream, name)
            if due_at is None:
                return
            await inbox.append(connection, [(stream, TimerFired(name, due_at))])
        await self._drain(stream)

    async def _deliver(self, delivery: str) -> None:
        """Make one attempt; a bug in an integration ends this attempt and nothing else."""
        try:
            await self._courier.deliver(delivery)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - the supervisor: the lease runs out and counts as a try
            _log.exception("delivery failed", delivery=delivery)

    # -- Turns -------------------------------------------------------------------------------------

    async def _decide_now(self, stream: str, received: Input) -> str:
        async with self._database.transaction() as connection:
            [number] = await inbox.append(connection, [(stream, received)])
        try:
            async with asyncio.timeout(ACT_WAIT_S_MAX):
                while True:
                    await self._drain(stream, wait=True)
                    async with self._database.reading() as connection:
                        refusal = await inbox.outcome(connection, number)
                    if refusal is not None:
                        return refusal
                    await asyncio.sleep(0.02)
        except TimeoutError:
            # It is durable, so it will be decided; only the answer is late.
            raise Unavailable(
                "The database is slow: what you did is kept and will be decided soon."
            ) from None

    async def _drain(self, stream: str, *, wait: bool = False) -> None:
        """Run a stream until nothing waits for it; streams it told come next."""
        queue = {stream: None}
        while queue:
            name = next(iter(queue))
            outcome = await self._run_turn(name, wait=wait and name == stream)
            if outcome.decided == 0:
                del queue[name]
            queue.update(dict.fromkeys(outcome.woke))

    async def _run_turn(self, stream: str, *, wait: bool = False) -> Outcome:
        try:
            return await self._turns.run(stream, wait=wait)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - the supervisor: see the comment
            # A bug of ours met an input. The one broad except of the engine: find the input by
            # deciding one at a time, put it aside with its bytes, and let its siblings go on.
            _log.exception("turn failed", stream=stream)
            return await self._one_at_a_time(stream)

    async def _one_at_a_time(self, stream: str) -> Outcome:
        try:
            return await self._turns.run(stream, limit=1, wait=True)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the supervisor, as above
            _log.exception("input put aside", stream=stream)
            async with self._database.transaction() as connection:
                await streams.claim(connection, stream, wait=True)
                waiting = await inbox.take(connection, stream, 1)
                for item in waiting:
                    await inbox.put_aside(connection, item.id, f"{type(error).__name__}: {error}")
            return await self._turns.run(stream, limit=1, wait=True)

    async def _work(self, stop: asyncio.Event) -> None:
        """Run whatever waits: at once when woken, and every second in case a wake-up was lost."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                self._wake.set()
            look = not self._ready
            self._wake.clear()
            names, self._ready = list(self._ready), {}
            try:
                if look:
                    async with self._database.reading() as connection:
                        names = await inbox.waiting_streams(connection)
                await self._drain_all(names)
            except Unavailable as error:
                _log.warning("waiting for the database", why=str(error))
                await asyncio.sleep(POLL_S)

    async def _drain_all(self, names: Sequence[str]) -> None:
        gate = asyncio.Semaphore(STREAMS_AT_ONCE_MAX)

        async def one(name: str) -> None:
            async with gate:
                await self._drain(name)

        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(one(name))
        except* Unavailable as lost:
            raise lost.exceptions[0] from None

    async def _listen(self) -> None:
        """Wake up when another process took in something."""
        async with live.Listener(self._database.url) as listener:
            async for topic in listener:
                if topic in ("", "inbox"):
                    self.wake()

    # -- The auditor -------------------------------------------------------------------------------

    async def _sweep(self, stop: asyncio.Event) -> None:
        """Find what no job found: due timers, stranded deliveries, lapsed alerts, ended silences."""
        rounds = 0
        while not stop.is_set():
            try:
                await self._intake.write_through(self._clock.now())
                await self._silences_turned()
                if rounds % int(SWEEP_S / POLL_S) == 0:
                    await self.audit()
            except Unavailable as error:
                _log.warning("sweep waits for the database", why=str(error))
            rounds += 1
            try:
                async with asyncio.timeout(POLL_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def audit(self) -> None:
        """Do once what the sweep does: everything due that has no live job is done now."""
        async with self._database.reading() as connection:
            due = await timers.due(connection)
            stranded = await deliveries.stranded(connection)
        for stream, name in due:
            await self.fire(f"{stream}\n{name}")
        for delivery in stranded:
            await self._deliver(delivery)
        if self._clock.now() - self._started_at > timedelta(seconds=LAPSE_GRACE_S):
            await self._lapse()
        async with self._database.transaction() as connection:
            await inbox.prune(connection, INBOX_KEPT_S)
        self.wake()

    async def _lapse(self) -> None:
        async with self._database.transaction() as connection:
            lapsed = await alerts.lapsed(connection, LAPSE_GRACE_S)
            told = [
                (desk_stream(item.service), AlertLapsed(item.fingerprint, item.ends_at))
                for item in lapsed
            ]
            await inbox.append(connection, told)
        self._intake.forget(item.fingerprint for item in lapsed)
        self.wake(stream for stream, _ in told)

    async def _silences_turned(self) -> None:
        """Let desks look again at every firing alert that a changed silence concerns."""
        async with self._database.transaction() as connection:
            at = await self._database.now(connection)
            turned = set(await silences.turned(connection, at))
            if not turned:
                return
            changed = [
                row.silence for row in await silences.find(connection) if row.silence.id in turned
            ]
            concerned: dict[str, list[str]] = defaultdict(list)
            for row in await alerts.find(connection, firing_only=True):
                labels = row.record.signal.labels
                matched = any(all(m.matches(labels) for m in s.matchers) for s in changed)
                if matched or row.record.muted_by in turned:
                    concerned[desk_stream(row.service)].append(row.record.signal.fingerprint)
            await inbox.append(
                connection, [(s, SilencesChanged(tuple(f))) for s, f in concerned.items()]
            )
        for stream in concerned:
            await self._drain(stream)
