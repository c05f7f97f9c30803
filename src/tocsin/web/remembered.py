"""What the guard knows without asking the database: tokens it saw a moment ago, and who was here.

A token that was found, or was not, is remembered for ten seconds, by its hash. All of it is
forgotten at once when any process announces "access", as every change of who may do what does.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from tocsin.store import access
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tocsin.store.access import Grant
    from tocsin.store.database import Database

REMEMBERED_FOR: Final = timedelta(seconds=10)
LATELY: Final = timedelta(hours=24)
REMEMBERED_MAX: Final = 4_096
SEEN_MAX: Final = 20_000


class _Known(msgspec.Struct, frozen=True):
    grant: Grant | None
    since: datetime
    until: datetime


class Remembered:
    """Tokens by the hashes of their secrets; None for one that nobody was given."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lately: OrderedDict[bytes, _Known] = OrderedDict()
        # A token that was read before a change and is put down after it would outlive the change.
        self.generation = 0

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    def look(self, digest: bytes, at: datetime) -> tuple[bool, Grant | None]:
        """Say whether a token is remembered, and return it; never longer than it lasts."""
        known = self._known.get(digest)
        if known is None or not known.since <= at < known.until:
            return False, None
        return True, known.grant

    def lately(self, digest: bytes, at: datetime) -> Grant | None:
        """Return a token that was good within a day, for what must answer without the database."""
        known = self._lately.get(digest)
        if known is None or known.grant is None or not known.since <= at < known.until:
            return None
        return known.grant

    def put(self, digest: bytes, grant: Grant | None, at: datetime, generation: int) -> None:
        """Remember a token as the database had it at ``generation``."""
        if generation != self.generation:
            return
        until = at + REMEMBERED_FOR
        if grant is not None and grant.expires_at is not None:
            until = min(until, grant.expires_at)
        self._known[digest] = _Known(grant, at, until)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        if grant is None or grant.is_over:
            self._lately.pop(digest, None)
            return
        day = at + LATELY if grant.expires_at is None else min(at + LATELY, grant.expires_at)
        self._lately[digest] = _Known(grant, at, day)
        self._lately.move_to_end(digest)
        while len(self._lately) > REMEMBERED_MAX:
            self._lately.popitem(last=False)

    def forget(self, *, lost: bool = False) -> None:
        """Forget everything: somebody's rights changed.

        ``lost`` says that an announcement may have been missed, because the database was away: who
        was good before that may be asked for again while it is.
        """
        self._known.clear()
        if not lost:
            self._lately.clear()
        self.generation += 1


class Asking:
    """Looks a token up once, for all who ask for it at the same time.

    A sender has many connections, and what is remembered of its key is over for all of them in the
    same instant: without this each of them would ask the database.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[int, bytes], asyncio.Future[Grant | None]] = {}

    async def once(
        self, generation: int, digest: bytes, ask: Callable[[], Awaitable[Grant | None]]
    ) -> Grant | None:
        """Return what ``ask`` finds, ours or that of who asks already. Raises what it raises.

        Who asked in another generation may have read what was changed since.
        """
        key = generation, digest
        while (asked := self._asked.get(key)) is not None:
            # Whoever asks may be cancelled, and so may we: neither is the other's business.
            await asyncio.wait((asked,))
            if not asked.cancelled():
                return asked.result()
        answer = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            found = await ask()
        except Unavailable as error:
            answer.set_exception(Unavailable(str(error)))
            answer.exception()  # Nobody else may have asked.
            raise
        else:
            answer.set_result(found)
            return found
        finally:
            answer.cancel()
            del self._asked[key]


class Seen:
    """When tokens and sessions were used last, gathered in memory and written once in a while."""

    def __init__(self) -> None:
        self._grants: dict[bytes, datetime] = {}
        self._sessions: dict[bytes, datetime] = {}

    def token(self, digest: bytes, at: datetime) -> None:
        """Note that a token was used."""
        if len(self._grants) < SEEN_MAX or digest in self._grants:
            self._grants[digest] = at

    def session(self, digest: bytes, at: datetime) -> None:
        """Note that a session was used."""
        if len(self._sessions) < SEEN_MAX or digest in self._sessions:
            self._sessions[digest] = at

    async def flush(self, database: Database) -> None:
        """Write it down. Raises store.Unavailable; then it is kept for the next time."""
        grants, sessions = dict(self._grants), dict(self._sessions)
        if not grants and not sessions:
            return
        async with database.transaction() as connection:
            await access.note_seen(connection, grants, sessions)
        for kept, written in ((self._grants, grants), (self._sessions, sessions)):
            for digest, at in written.items():
                if kept.get(digest) == at:
                    del kept[digest]
