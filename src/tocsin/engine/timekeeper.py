"""The timekeeper: notices when the database's clock goes back, and lets what is due go back with it.

Due times are instants of that clock, so a step forward needs nothing: what is due by it fires. After
a step back every due time would be late by the step. So the clock is compared, twice a second, with
the time that passed by a clock that nobody sets (time asleep included), and with the latest that it
ever showed. See ADR 0009.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.base.durations import say_duration
from tocsin.core.timekeeping import after_step, behind_s, follow
from tocsin.engine.turn import INCIDENT
from tocsin.store import clock as database_clock
from tocsin.store import live
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from tocsin.base.clock import Clock
    from tocsin.core.timekeeping import Pace, Reading
    from tocsin.store import Database

_log = structlog.get_logger("tocsin.timekeeper")

LOOK_EVERY_S = 0.5
# Who did not look for so long was asleep, frozen or without a database: nobody could reach us.
_ABSENT_AFTER_S = 30.0


class Cautious:
    """The earlier of our time and the database's: what fires by either of them fires.

    Whether an alert has ended is told by an instant of its sender's clock. Of two clocks of ours,
    one that is ahead would call firing alerts ended, and nobody would be paged; by one that is
    behind they end later.
    """

    def __init__(self, timekeeper: Timekeeper, clock: Clock) -> None:
        """Take both."""
        self._timekeeper = timekeeper
        self._clock = clock

    def now(self) -> datetime:
        """Return the earlier time (UTC)."""
        return min(self._timekeeper.now(), self._clock.now())

    def elapsed(self) -> float:
        """Return seconds that passed, as ours does."""
        return self._clock.elapsed()


class Timekeeper:
    """Watches the clock of one database for one process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        woke: Callable[[Iterable[str]], None],
        *,
        lease_s: float,
    ) -> None:
        """Take the parts. ``woke`` is called with streams that have a step to decide."""
        self._database = database
        self._clock = clock
        self._woke = woke
        self._lease_s = lease_s
        self._pace: Pace | None = None
        self.cautious = Cautious(self, clock)
        self._looked_at = self._reached_since = clock.elapsed()

    def now(self) -> datetime:
        """Return the database's time as far as it can be known without asking (UTC)."""
        return self._clock.now() if self._pace is None else self._pace.at(self._clock.elapsed())

    @property
    def reached_for_s(self) -> float:
        """Return for how many seconds senders could reach us without a break."""
        return self._clock.elapsed() - self._reached_since

    def absent(self) -> None:
        """Note that nobody could reach us until now."""
        self._reached_since = self._clock.elapsed()

    async def run(self, stop: asyncio.Event, beat: Callable[[], None] = lambda: None) -> None:
        """Look at the clock until ``stop`` is set, and call ``beat`` each time."""
        while not stop.is_set():
            beat()
            try:
                await self.look()
            except Unavailable as error:
                _log.debug("the clock cannot be read", why=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await stop.wait()

    async def look(self) -> float:
        """Compare the clocks once; return by how many seconds what is due was moved, mostly 0.

        Raises store.Unavailable.
        """
        asked_at = self._clock.elapsed()
        async with self._database.transaction() as connection:
            seen = await database_clock.look(connection)
            if seen.at >= seen.latest:
                await database_clock.note(connection)
        if asked_at - self._looked_at > _ABSENT_AFTER_S:
            self.absent()
        self._looked_at = self._clock.elapsed()
        if seen.at < seen.latest or behind_s(self._pace, seen, asked_at):
            return await self._deal_with_step()
        self._keep(seen)
        return 0.0

    def _keep(self, seen: Reading) -> None:
        self._pace, forward_s = follow(self._pace, seen, self._clock.elapsed())
        if forward_s:
            _log.warning("the database's clock went forward", by_s=round(forward_s, 1))
            # By its new time many an alert looks as if it had not been sent again.
            self.absent()

    async def _deal_with_step(self) -> float:
        async with self._database.transaction() as connection:
            await database_clock.begin_moving(connection)
            asked_at = self._clock.elapsed()
            seen = await database_clock.look(connection)
            by_s = behind_s(self._pace, seen, asked_at)
            if by_s:
                told = await database_clock.move(
                    connection, seen.steps, by_s, incidents=INCIDENT, lease_s=self._lease_s
                )
                await live.announce(connection, "inbox")
            else:
                # Too small to matter, or another process was first.
                told = ()
                await database_clock.accept(connection)
        if by_s:
            _log.warning(
                "the database's clock went back; what is due went with it",
                by=say_duration(timedelta(seconds=by_s)),
                incidents=len(told),
            )
            self._pace = after_step(seen, asked_at)
        else:
            self._keep(seen)
        # Turns that could not be decided by a clock behind itself can be now.
        self._woke(told)
        return by_s
