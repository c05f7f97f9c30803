"""Intake: what is new is made durable; what is only repeated costs a look-up.

Prometheus re-sends every firing alert about once a minute, so a storm is mostly repeats. Per
fingerprint we keep what is already durable (``core.repeats``); the end that moves on with every
re-send is written through lazily, in batches. The memory is a hint: every
second the database is asked whether the alerts that were repeated still fire, and where another
process saw one end meanwhile, the repeat itself goes to the desk.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from tocsin.base import faults
from tocsin.core.desk import service_of
from tocsin.core.inputs import SignalReceived
from tocsin.core.repeats import Repeats
from tocsin.engine.commits import GroupCommit
from tocsin.engine.room import Full, IntakeLimits, Room
from tocsin.engine.turn import desk_stream
from tocsin.store import alerts, inbox, quarantine, senders
from tocsin.store.alerts import Repeat, Verdict
from tocsin.store.database import Unavailable
from tocsin.store.senders import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from tocsin.base.clock import Clock
    from tocsin.core.inputs import Signal
    from tocsin.core.surroundings import Tuning
    from tocsin.engine.instruments import Instruments
    from tocsin.integrations.signals import Received
    from tocsin.store import Connection
    from tocsin.store.database import Database
    from tocsin.store.inbox import Arrival

_log = structlog.get_logger("tocsin.intake")

REMEMBERED_MAX = 200_000
# Repeats that were not written through yet. Beyond this the sender waits for that to happen.
REPEATS_MAX = 50_000
REPEATS_BYTES_MAX = 67_108_864
BATCH_BYTES_MAX = 4_194_304
# What an arrival weighs besides its bytes, so that a batch is bounded in number too (2,048).
ARRIVAL_BYTES = 2_048
ROUND_S = 1.0
SENDERS_EVERY_S = 10.0
# Counting what waits may take this part of the time, and no more.
COUNTING_SHARE_MAX = 0.05
QUARANTINE_ROWS_MAX = 10_000


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What one request wants kept."""

    fresh: Sequence[tuple[Signal, datetime]]
    arrivals: Sequence[Arrival]
    set_aside: Sequence[tuple[str, str, bytes, str]]

    @property
    def weight(self) -> int:
        arriving = sum(len(a.body) + ARRIVAL_BYTES for a in self.arrivals)
        return arriving + sum(len(raw) + ARRIVAL_BYTES for _, _, raw, _ in self.set_aside)


@dataclass
class _Sender:
    """What was heard of a sender since it was last written down."""

    signals: int = 0
    last_at: datetime | None = field(default=None)


class Intake:
    """The front door of one process."""

    def __init__(
        self,
        database: Database,
        tuning: Tuning,
        instruments: Instruments,
        limits: IntakeLimits | None = None,
    ) -> None:
        """Begin with an empty memory."""
        self._database = database
        self._instruments = instruments
        self._tuning = tuning
        self._limits = limits or IntakeLimits()
        self._room = Room(self._limits.waiting_max)
        self._commits: GroupCommit[_Wanted] = GroupCommit(
            self._commit, lambda wanted: wanted.weight, BATCH_BYTES_MAX
        )
        self._repeated = Repeats(REMEMBERED_MAX)
        self._repeats: dict[str, tuple[Signal, datetime]] = {}
        self._repeats_bytes = 0
        self._heard: dict[tuple[str, str], _Sender] = {}
        self._quarantined_rows = self._quarantined_bytes = 0

    # -- What a request brings ---------------------------------------------------------------------

    async def receive(self, batch: Received, at: datetime) -> tuple[str, ...]:
        """Make a batch durable and return the streams that now have work.

        Raises store.Unavailable when it could not be committed, and Full where its sender has too
        much waiting: then nothing of it was kept, and the sender must send it again.
        """
        fresh: list[Signal] = []
        for signal in batch.signals:
            if self._repeated.is_unchanged(signal, at):
                self._repeats[signal.fingerprint] = (signal, at)
                self._repeats_bytes += sum(map(len, signal.annotations.values()))
            else:
                fresh.append(signal)
        self._hear(batch, at)
        if len(self._repeats) >= REPEATS_MAX or self._repeats_bytes >= REPEATS_BYTES_MAX:
            await self.write_through()
        if not fresh and not batch.rejected:
            self._instruments.received(batch, 0)
            return ()
        if fresh:
            self._check_room(batch.key, len(fresh))
        arrivals = [self._arrival(signal, at) for signal in fresh]
        set_aside = [(batch.source, batch.key, r.raw, r.why) for r in batch.rejected]
        for signal in fresh:
            # What it says is newer than any repeat before it.
            self._repeats.pop(signal.fingerprint, None)
        self._room.let_in(batch.key, len(fresh))
        await self._commits.keep(_Wanted([(s, at) for s in fresh], arrivals, set_aside))
        self._instruments.received(batch, len(fresh))
        return tuple(dict.fromkeys(a.stream for a in arrivals))

    def _check_room(self, sender: str, signals: int) -> None:
        try:
            self._room.check(sender, signals)
        except Full:
            self._instruments.refused(sender, "full")
            raise

    async def _commit(self, batch: list[_Wanted]) -> None:
        arrivals = [arrival for wanted in batch for arrival in wanted.arrivals]
        set_aside = [item for wanted in batch for item in wanted.set_aside]
        try:
            if set_aside:
                async with self._database.transaction() as connection:
                    await self._set_aside(connection, set_aside)
                    if arrivals:
                        await inbox.take_in(connection, arrivals)
                    faults.reach("intake.before_commit")
            else:
                # A statement that stands alone is a transaction too, and costs one way to the
                # database and back instead of four.
                async with self._database.reading() as connection:
                    faults.reach("intake.before_commit")
                    began = perf_counter()
                    await inbox.take_in(connection, arrivals)
                    self._instruments.committed(perf_counter() - began)
        except inbox.Unkeepable as error:
            _log.warning("a value cannot be kept; looking for it", why=str(error))
            async with self._database.transaction() as connection:
                await self._set_aside(connection, set_aside)
                refused = await inbox.divide(connection, arrivals)
            for arrival in refused:
                _log.error("signal put aside", stream=arrival.stream, sender=arrival.sender)
        faults.reach("intake.after_commit")
        # Only what is committed may be called a repeat from now on. In their order, whoever among
        # those who wait for this runs first.
        for wanted in batch:
            for signal, at in wanted.fresh:
                self._repeated.remember(signal, at)

    async def _set_aside(
        self, connection: Connection, members: Sequence[tuple[str, str, bytes, str]]
    ) -> None:
        await quarantine.add(connection, members)
        self._quarantined_rows += len(members)
        self._quarantined_bytes += sum(len(raw) for _, _, raw, _ in members)
        if (
            self._quarantined_rows > QUARANTINE_ROWS_MAX // 16
            or self._quarantined_bytes > self._limits.quarantine_bytes_max // 16
        ):
            await self._trim(connection)

    def _arrival(self, signal: Signal, at: datetime) -> Arrival:
        stream = desk_stream(service_of(signal, self._tuning))
        return inbox.arrival(stream, SignalReceived(signal, at))

    # -- The memory --------------------------------------------------------------------------------

    def forget(self, fingerprints: Iterable[str]) -> None:
        """Let the next signal of these alerts reach their desk, whatever was known."""
        self._repeated.forget(fingerprints)

    def forget_all(self) -> None:
        """Let the next signal of every alert reach its desk: something may have been missed."""
        self._repeated.forget_all()

    # -- What runs by itself -----------------------------------------------------------------------

    async def run(
        self,
        stop: asyncio.Event,
        clock: Clock,
        wake: Callable[[Iterable[str]], None],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Until ``stop`` is set: write through, count what waits, note who sends.

        ``wake`` is told which streams have work. While the database is away everything is kept.
        ``beat`` is called each time round.
        """
        loop = asyncio.get_running_loop()
        count_at = note_at = loop.time()
        while True:
            beat()
            # The last round comes after ``stop``: what was heard is written down before we end.
            stops = stop.is_set()
            try:
                streams = await self.write_through()
                if streams:
                    wake(streams)
                if loop.time() >= count_at:
                    began = loop.time()
                    await self.count()
                    took_s = loop.time() - began
                    count_at = began + max(ROUND_S, took_s / COUNTING_SHARE_MAX)
                if stops or loop.time() >= note_at:
                    note_at = loop.time() + SENDERS_EVERY_S
                    await self.note_senders(clock.now())
            except Unavailable as error:
                _log.warning("intake waits for the database", why=str(error))
            if stops:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROUND_S):
                    await stop.wait()

    async def write_through(self) -> tuple[str, ...]:
        """Write the moved-on ends of repeated alerts; called often, and before alerts lapse.

        Returns the streams that now have work: those of alerts that were taken for firing and are
        not, since another process saw them end or go stale. Their last repeat is news.
        """
        if not self._repeats:
            return ()
        repeats, self._repeats = self._repeats, {}
        try:
            async with self._database.transaction() as connection:
                verdicts = await alerts.touch(
                    connection, [self._repeat(*repeat) for repeat in repeats.values()]
                )
                arrivals = [
                    self._arrival(*repeats[fingerprint])
                    for fingerprint, verdict in verdicts.items()
                    if verdict is Verdict.NEWS
                ]
                if arrivals:
                    # They are few, and among them may be one that cannot be kept.
                    await inbox.divide(connection, arrivals)
            self._repeats_bytes = 0
        except BaseException:
            # Not written: put them back under what came meanwhile, and let the next round try.
            self._repeats = {**repeats, **self._repeats}
            raise
        for fingerprint, verdict in verdicts.items():
            if verdict is Verdict.EARLY:
                self._repeats.setdefault(fingerprint, repeats[fingerprint])
            elif verdict is Verdict.OVER:
                self._repeated.forget((fingerprint,))
        return tuple(dict.fromkeys(a.stream for a in arrivals))

    def _repeat(self, signal: Signal, received_at: datetime) -> Repeat:
        stream = desk_stream(service_of(signal, self._tuning))
        return Repeat(signal.fingerprint, stream, signal.ends_at, received_at)

    async def count(self) -> None:
        """Ask how much waits, and whose it is."""
        self._room.begin_to_look()
        async with self._database.reading() as connection:
            # Twice as many as are allowed: more than that is full, however much more it is.
            waiting = await inbox.waiting_by_sender(connection, 2 * self._limits.waiting_max)
        self._room.seen(waiting)

    async def note_senders(self, at: datetime) -> None:
        """Write down who was heard since the last time."""
        if not self._heard:
            return
        heard, self._heard = self._heard, {}
        try:
            async with self._database.transaction() as connection:
                await senders.note(
                    connection,
                    [
                        Heard(name, source, h.signals, _seconds(h.last_at, at))
                        for (name, source), h in heard.items()
                    ],
                )
        except BaseException:
            for name, h in heard.items():
                self._add(name, h.signals, h.last_at)
            raise

    def _hear(self, batch: Received, at: datetime) -> None:
        if batch.signals:
            self._add((batch.key, batch.source), len(batch.signals), at)

    def _add(self, name: tuple[str, str], signals: int, at: datetime | None) -> None:
        known = self._heard.setdefault(name, _Sender())
        known.signals += signals
        known.last_at = at if known.last_at is None or at is None else max(known.last_at, at)

    async def _trim(self, connection: Connection) -> None:
        self._quarantined_rows = self._quarantined_bytes = 0
        dropped = await quarantine.trim(
            connection, QUARANTINE_ROWS_MAX, self._limits.quarantine_bytes_max
        )
        for sender, number in dropped.items():
            _log.warning("quarantine is full; the oldest were dropped", sender=sender, rows=number)
            self._instruments.quarantine_dropped(sender, number)


def _seconds(then: datetime | None, at: datetime) -> float:
    return 0.0 if then is None else (at - then) / timedelta(seconds=1)
