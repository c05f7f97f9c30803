"""How long things are kept, and pruning what is older, a little at a time and by one process.

An incident goes as a whole, and only when it is over. The journal of a desk loses its oldest
events and keeps its state. Tokens, users, runbooks and open incidents stay for ever.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.engine.turn import incident_stream
from tocsin.store import inbox, retention, streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tocsin.store import Connection, Database

# A piece is deleted in some ten milliseconds; of pieces, so many at once hold up no sweep.
ROWS_AT_ONCE = 1_000
PIECES_AT_ONCE = 20
_DESKS_AT_ONCE = 200
# Of one that is being acted on, or has something to judge, the next one is tried.
_INCIDENTS_TRIED_MAX = 10
_ALONE = "pruning"


class Retention(msgspec.Struct, frozen=True):
    """For how long each thing is kept once it is over, settled, ended or written."""

    incidents: timedelta = timedelta(days=400)
    deliveries: timedelta = timedelta(days=400)
    desks: timedelta = timedelta(days=30)
    alerts: timedelta = timedelta(days=30)
    silences: timedelta = timedelta(days=30)
    quarantine: timedelta = timedelta(days=30)
    audit: timedelta = timedelta(days=400)
    answers: timedelta = timedelta(hours=1)

    def say(self) -> str:
        """Return what is pruned, and when, in a sentence."""
        return (
            f"Incidents go {_days(self.incidents)} after they are over, the journals of desks after "
            f"{_days(self.desks)}, alerts {_days(self.alerts)} after they ended."
        )


class Pruner:
    """Prunes piece by piece. It remembers only where among the desks it is."""

    def __init__(
        self,
        database: Database,
        kept: Retention,
        *,
        rows_at_once: int = ROWS_AT_ONCE,
        pieces_at_once: int = PIECES_AT_ONCE,
    ) -> None:
        """Take what to prune, how long things are kept, and how much to do at once."""
        self._database = database
        self._kept = kept
        self._rows_at_once = rows_at_once
        self._pieces_at_once = pieces_at_once
        self._after = ""

    async def prune(self, at: datetime) -> bool:
        """Delete some of what is too old; say whether there may be more.

        ``at`` is now, by the clock of the database. What another process is pruning is left to it.
        Raises Unavailable where the database goes away.
        """
        pieces = 0
        for step in (
            self._answers,
            self._incidents,
            self._deliveries,
            self._desks,
            self._rows(retention.drop_ended_alerts, self._kept.alerts),
            self._rows(retention.drop_silences, self._kept.silences),
            self._rows(retention.drop_quarantine, self._kept.quarantine),
            self._rows(retention.drop_tests, self._kept.deliveries),
        ):
            while pieces < self._pieces_at_once and await step(at):
                pieces += 1
        return pieces >= self._pieces_at_once

    def _rows(
        self,
        drop: Callable[[Connection, datetime, int], Awaitable[int]],
        kept: timedelta,
    ) -> Callable[[datetime], Awaitable[bool]]:
        async def step(at: datetime) -> bool:
            async with self._database.transaction() as connection:
                if not await streams.try_alone(connection, _ALONE):
                    return False
                return await drop(connection, at - kept, self._rows_at_once) == self._rows_at_once

        return step

    async def _answers(self, at: datetime) -> bool:
        async with self._database.transaction() as connection:
            await inbox.prune(connection, int(self._kept.answers.total_seconds()))
        return False

    async def _incidents(self, at: datetime) -> bool:
        before = at - self._kept.incidents
        async with self._database.transaction() as connection:
            if not await streams.try_alone(connection, _ALONE):
                return False
            for incident in await retention.over(connection, before, _INCIDENTS_TRIED_MAX):
                stream = incident_stream(incident)
                if await streams.claim(connection, stream) is not None and (
                    await retention.drop_incident(
                        connection, incident, stream, before, self._rows_at_once
                    )
                ):
                    return True
        return False

    async def _deliveries(self, at: datetime) -> bool:
        if self._kept.deliveries >= self._kept.incidents:
            return False  # They go with their incident.
        async with self._database.transaction() as connection:
            if not await streams.try_alone(connection, _ALONE):
                return False
            before = at - self._kept.deliveries
            found = await retention.with_deliveries(connection, before, 1)
            return bool(found) and (
                await retention.drop_deliveries(connection, found[0], self._rows_at_once) > 0
            )

    async def _desks(self, at: datetime) -> bool:
        """Prune one desk, or look at the next ones; done when all were looked at."""
        before = at - self._kept.desks
        async with self._database.transaction() as connection:
            if not await streams.try_alone(connection, _ALONE):
                return False
            found = await retention.desks(connection, self._after, _DESKS_AT_ONCE)
            for stream, first_at in found:
                is_old = first_at is not None and first_at < before
                # Claimed, so that nobody folds a journal of which a part is going.
                if is_old and await streams.claim(connection, stream) is not None:
                    await retention.drop_events(connection, stream, before, self._rows_at_once)
                    return True
            self._after = found[-1][0] if len(found) == _DESKS_AT_ONCE else ""
            return bool(self._after)


async def prune(database: Database, kept: Retention, at: datetime) -> None:
    """Delete all that is too old, however long it takes."""
    pruner = Pruner(database, kept)
    while await pruner.prune(at):
        pass


def _days(length: timedelta) -> str:
    days = length / timedelta(days=1)
    if days < 1:
        hours = length / timedelta(hours=1)
        return f"{hours:g} hours"
    return "1 day" if days == 1 else f"{days:g} days"
