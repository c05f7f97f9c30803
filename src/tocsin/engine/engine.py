"""The engine of one process: takes inputs, runs turns, fires timers, and sweeps up after crashes.

Whatever a request wants decided is committed to the inbox first; a turn follows at once in this
process, or in any other that gets there first. The sweep finds whatever no job and no wake-up
found: it is the reason that a crash costs seconds and never a page.

A process has a role. "web" takes alerts in and decides what people do, at once, since they wait for
the answer; "worker" decides everything else, and delivers; "all" does both.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

import tocsin
from tocsin.base import faults
from tocsin.core.inputs import LAPSE_GRACE_S, AlertLapsed, SilencesChanged, TimerFired
from tocsin.engine.courier import LEASE_S
from tocsin.engine.instruments import Instruments
from tocsin.engine.intake import Intake
from tocsin.engine.line import Line
from tocsin.engine.presence import Presence
from tocsin.engine.retention import Pruner, Retention
from tocsin.engine.timekeeper import Timekeeper
from tocsin.engine.turn import (
    BATCH_MAX,
    DeskHeader,
    Outcome,
    Turns,
    desk_stream,
    incident_stream,
)
from tocsin.engine.watchdog import Watchdog
from tocsin.store import (
    alerts,
    inbox,
    incidents,
    jobs,
    live,
    migrate,
    processes,
    silences,
    streams,
    timers,
)
from tocsin.store.codec import decode
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
    from typing import Literal

    from tocsin.base.clock import Clock
    from tocsin.core.inputs import IncidentDeclared, IncidentInput, Input
    from tocsin.core.surroundings import Directory, Silence, Tuning
    from tocsin.engine.book import Book
    from tocsin.engine.courier import Courier
    from tocsin.engine.room import IntakeLimits
    from tocsin.integrations.signals import Received
    from tocsin.store.database import Database

    Role = Literal["all", "web", "worker"]

_log = structlog.get_logger("tocsin.engine")

POLL_S = 1.0
# Everything taken in is announced, to us too; in a storm one look for many announcements will do.
LOOK_AGAIN_S = 0.02
# In a storm of more streams than one look sees, the rest is looked at in so many seconds.
LOOK_ON_S = 0.1
# Jobs make timers fire. One that has been due for so long has none, or its worker is frozen.
OVERDUE_S = 1.0
LAPSE_EVERY_S = 15.0
ALERTS_TOLD_AT_ONCE = 100
PRUNE_EVERY_S = 60.0
CALL_EVERY_S = 5.0
LISTEN_LIMIT_S = 30.0
STREAMS_AT_ONCE_MAX = 4
STREAMS_LOOKED_AT = 500
# A stream whose own state cannot be read is looked at again after this; the others go on.
BROKEN_REST_S = 60.0
# The database ends a session that says nothing for five seconds in a transaction.
_SLOW_S = 3.0
_SETTLED_AT_ONCE_MAX = 50
ACT_WAIT_S_MAX = 10.0
SWEEP_LIMIT_S = 30.0


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
        *,
        role: Role = "all",
        watchdog: Watchdog | None = None,
        retention: Retention | None = None,
    ) -> None:
        """Take the parts; nothing runs yet."""
        self.role = role
        self.watchdog = watchdog or Watchdog(clock)
        self.presence = Presence(
            database,
            self.watchdog,
            role=role,
            version=tocsin.__version__,
            step=len(migrate.migrations()),
            revision=lambda: book.current.policy.revision,
        )
        self.presence.on_entry(self._entered)
        self._database = database
        self._instruments = instruments or Instruments()
        self._courier = courier
        self._clock = clock
        self._intake = Intake(database, tuning, self._instruments, intake_limits)
        self._turns = Turns(database, book, directory, tuning)
        self._pruner = Pruner(database, retention or Retention())
        self._when_restored: Callable[[], None] = lambda: None
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._line = Line()
        self._looked_after = ""
        self._busy: set[str] = set()
        self._limits: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}
        self._timekeeper = Timekeeper(database, clock, self.wake, lease_s=LEASE_S)
        self._lapsed_at = self._pruned_at = self._called_at = clock.elapsed()

    # -- What a request asks for -------------------------------------------------------------------

    async def receive(self, batch: Received) -> None:
        """Make signals durable; their turns follow by themselves."""
        self.wake(await self._intake.receive(batch, self._timekeeper.cautious.now()), batch.key)

    async def declare(self, service: str, declaration: IncidentDeclared) -> str:
        """Declare an incident for a service and return its id; it is open when this returns."""
        stream = desk_stream(service)
        await self._decide_now(stream, declaration)
        incident = await self._incident_of(service)
        await self._settle(incident_stream(incident), wait=True)
        return incident

    async def _incident_of(self, service: str) -> str:
        """Return the open incident of a service, or, where it was over by now, the last one."""
        async with self._database.reading() as connection:
            desk = await streams.load(connection, desk_stream(service))
            header = decode(desk.state, DeskHeader) if desk and desk.state else DeskHeader()
            last = header.incident or await incidents.last_of(connection, service)
        assert last is not None, "a declaration opens an incident or joins the open one"
        return last

    async def act(self, incident: str, input: IncidentInput) -> str:  # noqa: A002 - the domain's word
        """Decide a person's act on an incident; return "" or the sentence that refuses it."""
        return await self._decide_now(incident_stream(incident), input)

    async def silence(self, silence: Silence) -> None:
        """Store a silence; desks look at the alerts it concerns before this returns.

        Of a desk in a storm, at the first few hundred; the others follow at once.
        """
        async with self._database.transaction() as connection:
            await silences.put(connection, silence)
        faults.reach("silence.kept")
        await self._silences_turned()

    async def unsilence(self, id: str) -> bool:  # noqa: A002 - the domain's word
        """End a silence now; False when there is none in force or to come."""
        async with self._database.transaction() as connection:
            ended = await silences.expire(connection, id, await self._database.now(connection))
        await self._silences_turned()
        return ended

    # -- What runs by itself -----------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Do what this process is there for until ``stop`` is set; then leave within seconds."""
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            # Others must see us until what we have in hand is done or handed over.
            present = group.create_task(self.presence.run(ended))
            group.create_task(self.watchdog.run(stop))
            try:
                async with asyncio.TaskGroup() as work:
                    for each in self._loops(stop):
                        work.create_task(each)
                    listening = work.create_task(self._listen())
                    await stop.wait()
                    self.wake()
                    listening.cancel()
            finally:
                ended.set()
            await asyncio.wait((present,))
            await self.presence.leave()

    def _loops(self, stop: asyncio.Event) -> list[Coroutine[None, None, None]]:
        loops: list[Coroutine[None, None, None]] = [self._keep_time(stop)]
        if self.role != "worker":
            loops.append(self._take_in(stop))
        if self.role != "web":
            handlers: dict[str, Callable[[str], Awaitable[None]]] = {
                "timer": self.fire,
                "delivery": self._deliver,
            }
            self.presence.renews(self._courier.renew)
            loops += [
                jobs.run(self._database.direct, handlers, stop),
                self._deliver_all(stop),
                self._work(stop),
                self._sweep(stop),
            ]
        return loops

    def wake(self, names: Iterable[str] = (), sender: str = "") -> None:
        """Say that streams have work, and on whose account; without names, look which have."""
        woken = tuple(names)
        if self.role == "web":
            return  # Nobody here takes turns but for the people who wait; the others are told.
        for name in woken:
            self._line.add(name, sender)
        self._wake.set()
        if not woken:
            self._look.set()

    async def _keep_time(self, stop: asyncio.Event) -> None:
        beat = self.watchdog.watch("looking at the clock")
        await self._timekeeper.run(stop, beat)
        self.watchdog.release("looking at the clock")

    async def _take_in(self, stop: asyncio.Event) -> None:
        beat = self.watchdog.watch("the intake")
        await self._intake.run(stop, self._timekeeper.cautious, self.wake, beat)
        self.watchdog.release("the intake")

    def forget(self) -> None:
        """Take nothing for durable any more: the database may be another than a moment ago."""
        self._intake.forget_all()

    def when_restored(self, call: Callable[[], None]) -> None:
        """Call this when a backup was restored, or may have been, unheard."""
        self._when_restored = call

    async def fire(self, payload: str) -> None:
        """Turn a due timer into an input of its stream. A timer that is gone does nothing."""
        stream, _, name = payload.partition("\n")
        async with self._database.transaction() as connection:
            due_at = await timers.take_due(connection, stream, name)
            if due_at is None:
                return
            await inbox.append(connection, [(stream, TimerFired(name, due_at))])
            faults.reach("timer.taken")
        faults.reach("timer.after_commit")
        self._instruments.fired((self._timekeeper.now() - due_at).total_seconds())
        await self._settle(stream)

    async def _deliver(self, _: str) -> None:
        self._courier.wake()

    async def _deliver_all(self, stop: asyncio.Event) -> None:
        self._courier.on_life(
            self.watchdog.watch("taking deliveries"), self.watchdog.watch("settling deliveries")
        )
        await self._courier.run(stop)
        self.watchdog.release("taking deliveries")
        self.watchdog.release("settling deliveries")

    def _entered(self, process: int) -> None:
        self._courier.process = process
        self.watchdog.process = process

    # -- Turns -------------------------------------------------------------------------------------

    async def _decide_now(self, stream: str, received: Input) -> str:
        async with self._database.transaction() as connection:
            [number] = await inbox.append(connection, [(stream, received)])
            if self.role == "web":
                # What follows from it, others do.
                await live.announce(connection, "inbox")
        faults.reach("act.kept")
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
                self.wake([name], outcome.sender)

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
            if perf_counter() - began > _SLOW_S and len(taken) > 1:
                # It may be that a turn so long was ended for its length: fewer the next time.
                self._limits[stream] = len(taken) // 2
            raise
        except Exception as error:  # noqa: BLE001 - the supervisor: see the comment
            # A bug of ours met an input. The one broad except of the engine: find the input by
            # halving, put it aside with its bytes, and let its siblings go on.
            _log.exception("turn failed", stream=stream, inputs=len(taken))
            self._instruments.turn_failed(stream)
            blamed = taken if inbox.may_blame_input(error) else ()
            await self._isolate_or_rest(stream, blamed, error)
            return Outcome()
        if self._rests_until.pop(stream, None) is not None:
            self.watchdog.mended(f"the stream {stream}")
        if outcome.sends:
            self._courier.wake()
        if outcome.decided:
            self._instruments.turned(stream, outcome.decided, perf_counter() - began)
        if stream in self._limits and outcome.decided:
            self._limits[stream] = limit * 2
            if limit * 2 >= BATCH_MAX:
                del self._limits[stream]
        return outcome

    async def _isolate_or_rest(self, stream: str, taken: Sequence[int], error: Exception) -> None:
        try:
            await self._isolate(stream, taken, error)
        except Unavailable:
            raise
        except Exception as worse:  # noqa: BLE001 - the supervisor's own: the others must go on
            _log.exception("an input could not be put aside", stream=stream)
            self._rest(stream, f"nor can its inputs be put aside ({type(worse).__name__})")

    async def _isolate(self, stream: str, taken: Sequence[int], error: Exception) -> None:
        if not taken:
            # No input is to blame: the stream cannot be read. Its inputs wait for a person.
            self._rest(stream, f"it cannot be read ({type(error).__name__})")
            return
        self._limits[stream] = max(1, len(taken) // 2)
        if len(taken) == 1:
            _log.error("input put aside", stream=stream, input=taken[0])
            async with self._database.transaction() as connection:
                await inbox.put_aside(connection, taken[0], f"{type(error).__name__}: {error}")

    def _rest(self, stream: str, why: str) -> None:
        """Leave a stream alone for a while, and let it be known: escalations may wait on it."""
        self._rests_until[stream] = self._clock.elapsed() + BROKEN_REST_S
        self.watchdog.fault(
            f"the stream {stream}",
            f"{why}, so what waits there is not decided, and no timer of it acts."
            f" It is tried again every {BROKEN_REST_S:.0f} s.",
        )

    async def _work(self, stop: asyncio.Event) -> None:
        """Run whatever waits until ``stop`` is set and somebody says ``wake``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_for_work(stop))
            for number in range(1, STREAMS_AT_ONCE_MAX + 1):
                group.create_task(self._turn_after_turn(stop, f"deciding ({number})"))

    async def _turn_after_turn(self, stop: asyncio.Event, loop: str) -> None:
        """Run a turn of whatever stream is next. Several of these run at once.

        A stream that has more to decide goes to the end of its sender's line, so that a storm at
        one desk keeps neither its own incident nor other desks waiting.
        """
        beat = self.watchdog.watch(loop)
        while not stop.is_set():
            beat()
            following = self._line.take(self._busy)
            if following is None:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()
                continue
            name, sender = following
            self._busy.add(name)
            try:
                outcome = await self._run_turn(name)
            except Unavailable as error:
                # Its inputs are in the inbox, where the next look finds them.
                _log.warning("waiting for the database", why=str(error))
                await self._database.direct.rest(POLL_S)
                continue
            finally:
                self._busy.discard(name)
            if outcome.decided or name in self._limits:
                self.wake([*outcome.woke, name], outcome.sender or sender)
        self.watchdog.release(loop)

    async def _look_for_work(self, stop: asyncio.Event) -> None:
        """Look which streams have work: when asked, and every second in case nobody said so."""
        beat = self.watchdog.watch("looking for work")
        while not stop.is_set():
            beat()
            self._look.clear()
            try:
                await self._look_once()
            except Unavailable as error:
                _log.warning("waiting for the database", why=str(error))
            await asyncio.sleep(LOOK_AGAIN_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_ON_S if self._looked_after else POLL_S):
                    await self._look.wait()
        self.watchdog.release("looking for work")

    async def _look_once(self) -> None:
        async with self._database.reading() as connection:
            found = await inbox.waiting_streams(connection, STREAMS_LOOKED_AT, self._looked_after)
        for queue in found:
            self._line.add(queue.stream, queue.sender, is_urgent=queue.is_urgent)
        passed = [queue.stream for queue in found if queue.is_passed]
        # Where there are more than one look sees, the next one goes on from here.
        self._looked_after = max(passed) if len(passed) == STREAMS_LOOKED_AT else ""
        if found:
            self._wake.set()

    async def _listen(self) -> None:
        """Wake up when another process took in something; forget what another may have changed."""
        beat: Callable[[], None] = lambda: None  # noqa: E731 - until there is something to hear
        if not self._database.direct.switches:
            # Workers call. Where none is left that is said elsewhere, and alerts are taken in still.
            is_vital = self.role != "web"
            beat = self.watchdog.watch("listening", LISTEN_LIMIT_S, is_vital=is_vital)
        async with live.Listener(self._database.direct) as listener:
            async for topic in listener:
                beat()
                if topic in ("", live.RESTORED):
                    self.forget()
                    self._when_restored()
                if topic in ("", live.RESTORED, "inbox"):
                    self.wake()

    # -- The auditor -------------------------------------------------------------------------------

    async def _sweep(self, stop: asyncio.Event) -> None:
        """Find what no job found, and what only time brings. See ``audit``."""
        beat = self.watchdog.watch("the sweep", SWEEP_LIMIT_S)
        while not stop.is_set():
            beat()
            try:
                await self.audit(beat)
            except Unavailable as error:
                # While the database was away nobody could tell us that an alert still fires.
                self._timekeeper.absent()
                _log.warning("sweep waits for the database", why=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await stop.wait()
        self.watchdog.release("the sweep")

    async def audit(self, beat: Callable[[], None] = lambda: None) -> None:
        """Do once what the sweep does; ``beat`` is called between its steps.

        Timers that are due and have no live job fire now; silences that began or ended reach their
        desks; alerts that were not sent again lapse; what is old is pruned. Deliveries that
        somebody left behind the courier finds by itself. Several processes may do this at once: each
        takes what no other is taking. One step that fails keeps none of the others from being done.
        """
        for name, step in (
            ("overdue timers", self._fire_overdue),
            ("silences", self._silences_turned),
            ("lapsed alerts", self._lapse),
            ("pruning", self._prune),
            ("calling", self._call),
            ("streams at rest", self._look_at_resting),
        ):
            try:
                await step()
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - the supervisor of the sweep: see above
                _log.exception("a step of the sweep failed", step=name)
                self.watchdog.fault(
                    f"the sweep ({name})", f"it fails: {type(error).__name__}. See the log."
                )
            else:
                self.watchdog.mended(f"the sweep ({name})")
            beat()
        faults.reach("sweep.audited")

    async def _fire_overdue(self) -> None:
        async with self._database.transaction() as connection:
            overdue = await timers.take_overdue(connection, OVERDUE_S)
            await inbox.append(
                connection, [(stream, TimerFired(name, due)) for stream, name, due in overdue]
            )
        now = self._timekeeper.now()
        for _, _, due_at in overdue:
            self._instruments.fired((now - due_at).total_seconds())
        if overdue:
            self.wake(stream for stream, _, _ in overdue)

    async def _look_at_resting(self) -> None:
        """Try streams whose rest is over: another process may have decided what waits there."""
        over = [s for s, until in self._rests_until.items() if self._clock.elapsed() >= until]
        for stream in over:
            await self._run_turn(stream)

    async def _call(self) -> None:
        """Say something that all listeners must hear, so that a deaf one is found out."""
        now = self._clock.elapsed()
        if now - self._called_at < CALL_EVERY_S:
            return
        self._called_at = now
        async with self._database.transaction() as connection:
            await live.announce(connection, "beat")

    async def _prune(self) -> None:
        now = self._clock.elapsed()
        if now - self._pruned_at < PRUNE_EVERY_S:
            return
        self._pruned_at = now
        async with self._database.transaction() as connection:
            await processes.prune(connection)
        is_unfinished = await self._pruner.prune(await self._database.now())
        self._instruments.pruned(self._clock.now())
        if is_unfinished:
            self._pruned_at -= PRUNE_EVERY_S  # There is more: go on in the next round.

    async def _lapse(self) -> None:
        now = self._clock.elapsed()
        # After our own start the grace passes first: nobody could reach us while we were down.
        if now - self._lapsed_at < LAPSE_EVERY_S or self._reached_for_s() < LAPSE_GRACE_S:
            return
        self._lapsed_at = now
        async with self._database.transaction() as connection:
            if not await streams.try_alone(connection, "lapsed alerts"):
                return
            lapsed = await alerts.lapsed(connection, LAPSE_GRACE_S)
            told = [
                (desk_stream(item.service), AlertLapsed(item.fingerprint, item.ends_at))
                for item in lapsed
            ]
            await inbox.append(connection, told)
        self._intake.forget(item.fingerprint for item in lapsed)
        self.wake(stream for stream, _ in told)

    def _reached_for_s(self) -> float:
        """Return for how many seconds senders could reach us, or those who take in for us."""
        reached_s = self._timekeeper.reached_for_s
        if self.role != "worker":
            return reached_s
        doors = [row.started_at for row in self.presence.alive if row.role != "worker"]
        if not doors:
            return 0.0
        return min(reached_s, (self._timekeeper.now() - min(doors)).total_seconds())

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
            async for rows in alerts.firing(connection):
                for row in rows:
                    labels = row.record.signal.labels
                    matched = any(silence.concerns(labels) for silence in changed)
                    if matched or row.record.muted_by in turned:
                        concerned[desk_stream(row.service)].append(row.record.signal.fingerprint)
            # In pieces: no turn looks at fifty thousand alerts again at once.
            told = [
                (stream, SilencesChanged(tuple(names[first : first + ALERTS_TOLD_AT_ONCE])))
                for stream, names in concerned.items()
                for first in range(0, len(names), ALERTS_TOLD_AT_ONCE)
            ]
            await inbox.tell(connection, told)
        # Who changed one sees what came of it; of a great many, the workers do the rest.
        streams = list(concerned)
        self.wake(streams[_SETTLED_AT_ONCE_MAX:])
        for stream in streams[:_SETTLED_AT_ONCE_MAX]:
            await self._settle(stream)
