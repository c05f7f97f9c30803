"""Group commit: what arrives while a transaction runs goes into the next one, all of it at once.

Making one transaction durable costs the same for one signal as for a thousand. Whoever comes while
nobody commits does so at once and waits for nobody; the others gather behind, and the first of
them commits for all. There is no task of its own that could die: whoever commits is somebody who
waits for it. If that one is cancelled, its neighbours go back into the line and the next of them
commits, so that nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class _Place(Generic[T]):
    """Somebody in the line: what they want kept, and how it went."""

    __slots__ = ("called", "error", "is_kept", "item", "weight")

    def __init__(self, item: T, weight: int, called: asyncio.Future[None]) -> None:
        self.item = item
        self.weight = weight
        # Done once it was kept, or failed, or is this one's turn to commit.
        self.called = called
        self.is_kept = False
        self.error: BaseException | None = None

    def call(self) -> None:
        if not self.called.done():
            self.called.set_result(None)


class GroupCommit(Generic[T]):
    """Hands items to ``commit`` in the order they came, many together, one batch after the other.

    A batch weighs at most ``weight_max``, unless one item alone weighs more.
    """

    def __init__(
        self,
        commit: Callable[[list[T]], Awaitable[None]],
        weigh: Callable[[T], int],
        weight_max: int,
    ) -> None:
        self._commit = commit
        self._weigh = weigh
        self._weight_max = weight_max
        self._waiting: deque[_Place[T]] = deque()
        self._committing: _Place[T] | None = None

    async def keep(self, item: T) -> None:
        """Return once ``item`` is committed. Raises what ``commit`` raised for its batch."""
        loop = asyncio.get_running_loop()
        place = _Place(item, self._weigh(item), loop.create_future())
        self._waiting.append(place)
        if self._committing is None:
            self._committing = place
        else:
            await self._wait(place)
        if self._committing is place:
            try:
                await self._commit_batch(place)
            finally:
                self._pass_on()
        if place.error is not None:
            raise place.error
        assert place.is_kept, "whoever is called was committed, or commits"

    async def _wait(self, place: _Place[T]) -> None:
        try:
            await place.called
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            if self._committing is place:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Let the first who still waits commit next."""
        while self._waiting and self._waiting[0].called.cancelled():
            self._waiting.popleft()
        self._committing = self._waiting[0] if self._waiting else None
        if self._committing is not None:
            self._committing.call()

    async def _commit_batch(self, leader: _Place[T]) -> None:
        batch = self._take()
        try:
            await self._commit([place.item for place in batch])
        except Unavailable as error:
            # Those behind would only wait as long again for the same answer.
            batch.extend(self._waiting)
            self._waiting.clear()
            for place in batch:
                place.error = Unavailable(str(error))
                place.call()
        except Exception as error:
            for place in batch:
                place.error = error
                place.call()
            raise
        except BaseException:
            # Cancelled. Whether it took place is not known, so it is done again for the others; a
            # signal that is kept twice is still one alert.
            self._waiting.extendleft(reversed([p for p in batch if p is not leader]))
            raise
        else:
            for place in batch:
                place.is_kept = True
                place.call()

    def _take(self) -> list[_Place[T]]:
        """Take the next batch off the line; whoever takes it is the first in it."""
        batch = [self._waiting.popleft()]
        weight = batch[0].weight
        while self._waiting and weight + self._waiting[0].weight <= self._weight_max:
            place = self._waiting.popleft()
            if place.called.cancelled():
                continue
            batch.append(place)
            weight += place.weight
        return batch
