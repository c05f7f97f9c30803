"""The engine of one process: takes inputs, runs turns, fires timers, and sweeps up after crashes.

Whatever a request wants decided is committed to the inbox first; a turn follows at once in this
process, or in any other that gets there first. The sweep finds whatever no job and no wake-up
found: it is the reason that a crash costs seconds and never a page.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from tocsin.core.inputs import AlertLapsed, SilencesChanged, TimerFired
from tocsin.engine.courier import LEASE_S
from tocsin.engine.instruments import Instruments
from tocsin.engine.intake import Intake
from tocsin.engine.timekeeper import Timekeeper
from tocsin.engine.turn import (
    BATCH_MAX,
    DeskHeader,
    Outcome,
    Turns,
    desk_stream,
    incident_stream,
)
from tocsin.store import (
    alerts,
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
    from tocsin.engine.room import IntakeLimits
    from tocsin.integrations.signals import Received
    from tocsin.store.database import Database

_log = structlog.get_logger("tocsin.engine")

POLL_S = 1.0
# Everything taken in is announced, to us too; in a storm one look for many announcements will do.
LOOK_AGAIN_S = 0.02
SWEEP_S = 15.0
STREAMS_AT_ONCE_MAX = 4
# A stream whose own state cannot be read is looked at again after this; the others go on.
BROKEN_REST_S = 60.0
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
        instruments: Instruments | None = None,
        intake_limits: IntakeLimits | None = None,
    ) -> None:
        """Take the parts; nothing runs yet."""
        self._database = database
        self._instruments = instruments or Instruments()
        self._courier = courier
        self._clock = clock
        self._intake = Intake(database, tuning, self._instruments, intake_limits)
        self._turns = Turns(database, book, directory, tuning)
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._ready: dict[str, None] = {}
        self._busy: set[str] = set()
        self._limits: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}
        self._timekeeper = Timekeeper(database, clock, self.wake, lease_s=LEASE_S)

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
        await self._settle(incident_stream(incident), wait=True)
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
            group.create_task(jobs.run(self._database.direct, handlers, stop))
            group.create_task(self._courier.run(stop))
            group.create_task(self._work(stop))
            group.create_task(self._sweep(stop))
            group.create_task(self._intake.run(stop, self._clock, self.wake))
            group.create_task(self._timekeeper.run(stop))
            listening = group.create_task(self._listen())
            await stop.wait()
            self.wake()
            listening.cancel()

    def wake(self, names: Iterable[str] = ()) -> None:
        """Say that streams have work; without names, look which have."""
        woken = dict.fromkeys(names)
        self._ready.update(woken)
        self._wake.set()
        if not woken:
            self._look.set()

    async def fire(self, payload: str) -> None:
        """Turn a due timer into an input of its stream. A timer that is gone does nothing."""
        stream, _, name = payload.partition("\n")
        async with self._database.transaction() as connection:
            due_at = await timers.take_due(connection, stream, name)
            if due_at is None:
                return
            await inbox.append(connection, [(stream, TimerFired(name, due_at))])
        self._instruments.fired((self._clock.now() - due_at).total_seconds())
        await self._settle(stream)

    async def _deliver(self, _: str) -> None:
        self._courier.wake()

    # -- Turns -------------------------------------------------------------------------------------

    async def _decide_now(self, stream: str, received: Input) -> str:
        async with self._database.transaction() as connection:
            [number] = await inbox.append(connection, [(stream, received)])
        try:
            async with asyncio.timeout(ACT_WAIT_S_MAX):
                while True:
                    await self._settle(stream, wait=True)
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

    async def _settle(self, stream: str, *, wait: bool = False) -> None:
        """Run one turn of a stream and one of each that it told; what is left, the workers do.

        One turn is enough: people's inputs go first, and a storm would keep this from returning.
        """
        told = [stream]
        for name in told:
            outcome = await self._run_turn(name, wait=wait and name == stream)
            told += [other for other in outcome.woke if other not in told]
            if outcome.decided or name in self._limits:
                self.wake([name])

    async def _run_turn(self, stream: str, *, wait: bool = False) -> Outcome:
        rests_until = self._rests_until.get(stream)
        if rests_until is not None and self._clock.elapsed() < rests_until:
            return Outcome()
        limit = self._limits.get(stream, BATCH_MAX)
        taken: list[int] = []
        began = perf_counter()
        try:
            outcome = await self._turns.run(stream, limit=limit, wait=wait, taken=taken)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the supervisor: see the comment
            # A bug of ours met an input. The one broad except of the engine: find the input by
            # halving, put it aside with its bytes, and let its siblings go on.
            _log.exception("turn failed", stream=stream, inputs=len(taken))
            self._instruments.turn_failed(stream)
            await self._isolate(stream, taken, error)
            return Outcome()
        self._rests_until.pop(stream, None)
        if outcome.decided:
            self._instruments.turned(stream, outcome.decided, perf_counter() - began)
        if stream in self._limits and outcome.decided:
            self._limits[stream] = limit * 2
            if limit * 2 >= BATCH_MAX:
                del self._limits[stream]
        return outcome

    async def _isolate(self, stream: str, taken: Sequence[int], error: Exception) -> None:
        if not taken:
            # No input is to blame: the stream cannot be read. Its inputs wait for a person.
            self._rests_until[stream] = self._clock.elapsed() + BROKEN_REST_S
            return
        self._limits[stream] = max(1, len(taken) // 2)
        if len(taken) == 1:
            _log.error("input put aside", stream=stream, input=taken[0])
            async with self._database.transaction() as connection:
                await inbox.put_aside(connection, taken[0], f"{type(error).__name__}: {error}")

    async def _work(self, stop: asyncio.Event) -> None:
        """Run whatever waits until ``stop`` is set and somebody says ``wake``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_for_work(stop))
            for _ in range(STREAMS_AT_ONCE_MAX):
                group.create_task(self._turn_after_turn(stop))

    async def _turn_after_turn(self, stop: asyncio.Event) -> None:
        """Run a turn of whatever stream has waited longest for one. Several of these run at once.

        A stream that has more to decide goes to the end of the line, so that a storm at one desk
        keeps neither its own incident nor other desks waiting.
        """
        while not stop.is_set():
            name = next((name for name in self._ready if name not in self._busy), None)
            if name is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            del self._ready[name]
            self._busy.add(name)
            try:
                outcome = await self._run_turn(name)
            except Unavailable as error:
                # Its inputs are in the inbox, where the next look finds them.
                _log.warning("waiting for the database", why=str(error))
                await asyncio.sleep(POLL_S)
                continue
            finally:
                self._busy.discard(name)
            if outcome.decided or name in self._limits:
                self.wake([*outcome.woke, name])

    async def _look_for_work(self, stop: asyncio.Event) -> None:
        """Look which streams have work: when asked, and every second in case nobody said so."""
        while not stop.is_set():
            self._look.clear()
            try:
                async with self._database.reading() as connection:
                    names = await inbox.waiting_streams(connection)
                if names:
                    self.wake(names)
            except Unavailable as error:
                _log.warning("waiting for the database", why=str(error))
            await asyncio.sleep(LOOK_AGAIN_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._look.wait()

    async def _listen(self) -> None:
        """Wake up when another process took in something."""
        async with live.Listener(self._database.direct) as listener:
            async for topic in listener:
                if topic == "":
                    self._intake.forget_all()
                if topic in ("", "inbox"):
                    self.wake()

    # -- The auditor -------------------------------------------------------------------------------

    async def _sweep(self, stop: asyncio.Event) -> None:
        """Find what no job found: due timers, stranded deliveries, lapsed alerts, ended silences."""
        rounds = 0
        while not stop.is_set():
            try:
                await self._silences_turned()
                if rounds % int(SWEEP_S / POLL_S) == 0:
                    await self.audit()
            except Unavailable as error:
                # While the database was away nobody could tell us that an alert still fires.
                self._timekeeper.absent()
                _log.warning("sweep waits for the database", why=str(error))
            rounds += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await stop.wait()

    async def audit(self) -> None:
        """Do once what the sweep does: every timer that is due and has no live job fires now."""
        async with self._database.reading() as connection:
            due = await timers.due(connection)
        for stream, name in due:
            await self.fire(f"{stream}\n{name}")
        if self._timekeeper.reached_for_s > LAPSE_GRACE_S:
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
        async with self._database.reading() as connection:
            if not await silences.has_turned(connection, await self._database.now(connection)):
                return
        async with self._database.transaction() as connection:
            await silences.begin_turning(connection)
            at = await self._database.now(connection)
            turned = set(await silences.turned(connection, at))
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
            await self._settle(stream)
