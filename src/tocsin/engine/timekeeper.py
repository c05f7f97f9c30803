"""The timekeeper: notices when the database's clock goes back, and lets everything go back with it.

Due times are instants of that clock, so a step forward needs nothing: what is due fires, late by
nothing and early by as much as the clock was wrong. After a step back every due time would be late
by the step. So the clock is compared, about once a second, with the time that passed by a clock
that nobody sets (time asleep included), and with the latest that it ever showed. See ADR 0009.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from tocsin.base.durations import say_duration
from tocsin.engine.turn import INCIDENT
from tocsin.store import clock as database_clock
from tocsin.store import live
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from tocsin.base.clock import Clock
    from tocsin.store import Database
    from tocsin.store.clock import Reading

_log = structlog.get_logger("tocsin.timekeeper")

LOOK_EVERY_S = 0.5
# Leap seconds and clocks that NTP pulls straight change nothing: all is late by that much at most.
STEP_S_MIN = 2.0
# NTP slows a clock down by at most half a thousandth. Whatever is slower than this was set back.
_SLEW_MAX = 0.001
# Who did not look for so long was asleep, frozen or without a database: nobody could reach us.
_ABSENT_AFTER_S = 30.0


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
        # What the database's clock shows when ours, that nobody sets, shows nothing at all.
        self._origin: datetime | None = None
        self._steps = -1
        self._looked_at = clock.elapsed()
        self._reached_since = self._looked_at

    def now(self) -> datetime:
        """Return the database's time as far as it can be known without asking (UTC)."""
        if self._origin is None:
            return self._clock.now()
        return self._origin + timedelta(seconds=self._clock.elapsed())

    @property
    def reached_for_s(self) -> float:
        """Return for how many seconds senders could reach us without a break."""
        return self._clock.elapsed() - self._reached_since

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the clock until ``stop`` is set."""
        while not stop.is_set():
            try:
                await self.look()
            except Unavailable as error:
                _log.debug("the clock cannot be read", why=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await stop.wait()

    def absent(self) -> None:
        """Note that nobody could reach us until now."""
        self._reached_since = self._clock.elapsed()

    async def look(self) -> float:
        """Compare the clocks once; return by how many seconds everything was moved back, mostly 0.

        Raises store.Unavailable.
        """
        asked_at = self._clock.elapsed()
        async with self._database.transaction() as connection:
            seen = await database_clock.look(connection)
            if seen.at >= seen.latest:
                await database_clock.note(connection)
        if asked_at - self._looked_at > _ABSENT_AFTER_S:
            self.absent()
        if seen.at >= seen.latest and self._behind_s(seen, asked_at) < STEP_S_MIN:
            self._follow(seen, self._clock.elapsed())
            return 0.0
        return await self._deal_with_step()

    def _behind_s(self, seen: Reading, asked_at: float) -> float:
        """Return by how much less time passed there than here, at least (0: none, or unknown)."""
        since_latest_s = (seen.latest - seen.at).total_seconds()
        slowest = self._slowest(seen, asked_at)
        if slowest is None:
            return max(0.0, since_latest_s)
        expected = slowest + timedelta(seconds=asked_at)
        return max(0.0, since_latest_s, (expected - seen.at).total_seconds())

    def _slowest(self, seen: Reading, at: float) -> datetime | None:
        """Return the origin of a clock that NTP slowed down since the last look; None: unknown."""
        if self._origin is None or seen.steps != self._steps:
            return None
        return self._origin - timedelta(seconds=_SLEW_MAX * (at - self._looked_at))

    def _follow(self, seen: Reading, answered_at: float) -> None:
        """Keep pace with a clock that runs straight, is pulled straight, or went forward."""
        origin = seen.at - timedelta(seconds=answered_at)
        slowest = self._slowest(seen, answered_at)
        if slowest is not None:
            assert self._origin is not None
            ahead_s = (origin - self._origin).total_seconds()
            if ahead_s > STEP_S_MIN:
                _log.warning("the database's clock went forward", by_s=round(ahead_s, 1))
                # By its new time many an alert looks as if it had not been sent again.
                self.absent()
            # Small steps back add up: they are forgotten only as fast as NTP may pull.
            origin = max(origin, slowest)
        self._origin, self._steps, self._looked_at = origin, seen.steps, answered_at

    async def _deal_with_step(self) -> float:
        async with self._database.transaction() as connection:
            await database_clock.begin_moving(connection)
            asked_at = self._clock.elapsed()
            seen = await database_clock.look(connection)
            by_s = self._behind_s(seen, asked_at)
            if by_s < STEP_S_MIN:
                await database_clock.accept(connection, seen.steps)
                told = None
            else:
                told = await database_clock.move(
                    connection,
                    seen.steps,
                    by_s,
                    incidents=INCIDENT,
                    lease_s=self._lease_s,
                )
                await live.announce(connection, "inbox")
        if told is None:
            self._follow(seen, asked_at)
            by_s = 0.0
        else:
            _log.warning(
                "the database's clock went back; what is due went with it",
                by=say_duration(timedelta(seconds=by_s)),
                streams=len(told),
            )
            self._origin, self._steps = None, seen.steps + 1
            self._follow(msgspec.structs.replace(seen, steps=self._steps), asked_at)
        self._woke(told or ())
        return by_s
