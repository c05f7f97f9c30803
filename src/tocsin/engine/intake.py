"""Intake: what is new is made durable; what is only repeated costs a look-up.

Prometheus re-sends every firing alert about once a minute, so a storm is mostly repeats. Per
fingerprint we keep what is already durable. *Unchanged* is the same key and firing state, and no
later start (of two Prometheus servers that watch the same, each has its own start); the end that moves on with every re-send is written through lazily, in batches. The memory is a
hint: when it is lost, the desk finds the repeat by itself.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from tocsin.core.desk import REPORT, service_of
from tocsin.core.inputs import SignalReceived
from tocsin.engine.turn import desk_stream
from tocsin.store import alerts, inbox, live, quarantine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tocsin.core.inputs import Signal
    from tocsin.core.surroundings import Tuning
    from tocsin.engine.instruments import Instruments
    from tocsin.integrations.signals import Received
    from tocsin.store.database import Database

REMEMBERED_MAX = 200_000


class Intake:
    """The front door of one process."""

    def __init__(self, database: Database, tuning: Tuning, instruments: Instruments) -> None:
        """Begin with an empty memory."""
        self._database = database
        self._instruments = instruments
        self._tuning = tuning
        self._durable: OrderedDict[str, tuple[str, datetime]] = OrderedDict()
        self._ends: dict[str, datetime | None] = {}

    async def receive(self, batch: Received, at: datetime) -> tuple[str, ...]:
        """Make a batch durable and return the streams that now have work.

        Raises store.Unavailable when it could not be committed: then nothing of it was kept, and
        the sender must send it again.
        """
        fresh: list[Signal] = []
        for signal in batch.signals:
            if self._is_unchanged(signal, at):
                self._ends[signal.fingerprint] = signal.ends_at
            else:
                fresh.append(signal)
        if not fresh and not batch.rejected:
            self._instruments.received(batch, 0)
            return ()
        inputs = [
            (desk_stream(service_of(signal, self._tuning)), SignalReceived(signal, at))
            for signal in fresh
        ]
        set_aside = [(batch.source, batch.key, r.raw, r.why) for r in batch.rejected]
        async with self._database.transaction() as connection:
            if inputs:
                await inbox.append(connection, inputs)
                await live.announce(connection, "inbox")
            if set_aside:
                await quarantine.add(connection, set_aside)
        # Only what is committed may be called a repeat from now on.
        for signal in fresh:
            self._remember(signal, at)
        self._instruments.received(batch, len(fresh))
        return tuple(dict.fromkeys(stream for stream, _ in inputs))

    def forget(self, fingerprints: Iterable[str]) -> None:
        """Let the next signal of these alerts reach their desk, whatever was known."""
        for fingerprint in fingerprints:
            self._durable.pop(fingerprint, None)

    async def write_through(self, at: datetime) -> None:
        """Write the moved-on ends of repeated alerts; called often, and before alerts lapse."""
        if not self._ends:
            return
        ends, self._ends = self._ends, {}
        try:
            async with self._database.transaction() as connection:
                mistaken = await alerts.touch(connection, ends, at)
        except BaseException:
            # Not written: put them back under what came meanwhile, and let the next round try.
            self._ends = {**ends, **self._ends}
            raise
        # Another process saw them end, or go stale: the next repeat is news, and goes to the desk.
        self.forget(mistaken)

    def _is_unchanged(self, signal: Signal, at: datetime) -> bool:
        if signal.source == REPORT or not signal.is_firing(at):
            return False
        known = self._durable.get(signal.fingerprint)
        return known is not None and known[0] == signal.key and signal.starts_at <= known[1]

    def _remember(self, signal: Signal, at: datetime) -> None:
        if signal.source == REPORT or not signal.is_firing(at):
            self._durable.pop(signal.fingerprint, None)
            return
        self._durable[signal.fingerprint] = (signal.key, signal.starts_at)
        self._durable.move_to_end(signal.fingerprint)
        while len(self._durable) > REMEMBERED_MAX:
            self._durable.popitem(last=False)
