"""How many deliveries to one channel are in doubt at once: sent, it may be, and not settled yet.

Whatever is in doubt when a process dies is sent again by the next one, under its key. So there are
no more of them than the channel needs to go at a good pace: two to one that answers at once, more to
one that takes its time. While the lane is crowded, which means that more waits in the database than
is in hand, a place is free again with the answer, and what has one may wait to be settled.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE_MIN = 2
AT_ONCE_CROWDED = 8
AT_ONCE_MAX = 32
PACE = 150.0
"""Deliveries a second that a channel is let take at least, if it can."""
_WEIGHT = 0.2  # of the newest answer in the average
_LOOK_EVERY_S = 0.1


class Gate:
    """The way to one channel. ``is_crowded`` says whether as much of it is in hand as may be."""

    def __init__(self, is_crowded: Callable[[], bool]) -> None:
        self.in_doubt = 0
        self.is_crowded = is_crowded
        self._answers_s = 0.0
        self._moved_at = monotonic()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._looking: asyncio.TimerHandle | None = None

    @property
    def at_once(self) -> int:
        """Return how many may be in doubt now."""
        # One that answers nothing takes at least as long as it has been silent.
        takes_s = max(self._answers_s, monotonic() - self._moved_at)
        least = AT_ONCE_CROWDED if self.is_crowded() else AT_ONCE_MIN
        return min(AT_ONCE_MAX, max(least, math.ceil(takes_s * PACE)))

    async def enter(self) -> None:
        """Wait for a place."""
        if self.in_doubt < self.at_once and not self._waiting:
            self._take_place()
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        if self._looking is None:
            self._look_later()
        try:
            await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled():
                self.leave()
            raise

    def _take_place(self) -> None:
        if not self.in_doubt:
            self._moved_at = monotonic()
        self.in_doubt += 1

    def answered(self, after_s: float) -> None:
        """Note how long an answer took."""
        weight = _WEIGHT if self._answers_s else 1.0
        self._answers_s += weight * (after_s - self._answers_s)
        self._moved_at = monotonic()
        self._let_in()

    def leave(self) -> None:
        """Give a place back."""
        self.in_doubt -= 1
        self._let_in()

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looking = None
        self._let_in()
        if self._waiting:
            self._look_later()

    def _let_in(self) -> None:
        if not self._waiting:
            return
        at_once = self.at_once
        while self._waiting and self.in_doubt < at_once:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                self._take_place()
