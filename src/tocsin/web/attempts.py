"""Wrong credentials: whoever sends many is slowed down, and nobody else is.

Secrets have 256 random bits, so nobody guesses one; what is protected is the database and the log.
Addresses are those of the connection. Behind a proxy all senders share one, so that a right
credential is never refused, and one that was right before is never held up, whoever else sends
wrong ones from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

WRONG_FREE: Final = 60
FORGIVEN_EVERY_S: Final = 1.0
HELD_S: Final = 1.0
HELD_MAX: Final = 200
ADDRESSES_MAX: Final = 10_000
RIGHT_MAX: Final = 4_096
_LOOKUPS_MAX = 2


class Attempts:
    """Counts wrong credentials by address: ``free`` of them, then one a second."""

    def __init__(self, free: int = WRONG_FREE, held_s: float = HELD_S) -> None:
        self._free = free
        self._held_s = held_s
        self._wrong: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._lookups = asyncio.Semaphore(_LOOKUPS_MAX)
        self._held = 0

    def __len__(self) -> int:
        """Return of how many addresses something is remembered."""
        return len(self._wrong)

    def is_suspect(self, address: str, at: datetime) -> bool:
        """Say whether too many wrong credentials came from an address lately."""
        return self._count(_network(address), at) >= self._free

    @contextlib.asynccontextmanager
    async def looking(self, address: str, at: datetime, digest: bytes = b"") -> AsyncIterator[None]:
        """Look a credential up: from suspects only two at a time, so that they fill no pool.

        ``digest`` is its hash; those that were right before wait for nobody.
        """
        if digest in self._right or not self.is_suspect(address, at):
            yield
            return
        async with self._lookups:
            yield

    def was_right(self, digest: bytes) -> None:
        """Note the hash of a credential that was right."""
        self._right[digest] = None
        self._right.move_to_end(digest)
        while len(self._right) > RIGHT_MAX:
            self._right.popitem(last=False)

    async def was_wrong(self, address: str, at: datetime) -> None:
        """Count a wrong credential; hold its answer back if there were too many."""
        network = _network(address)
        wrong = self._count(network, at)
        self._wrong[network] = (min(wrong, self._free * 2.0) + 1, at)
        self._wrong.move_to_end(network)
        while len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)
        if wrong < self._free or self._held >= HELD_MAX:
            return
        self._held += 1
        try:
            await asyncio.sleep(self._held_s)
        finally:
            self._held -= 1

    def _count(self, network: str, at: datetime) -> float:
        wrong, since = self._wrong.get(network, (0.0, at))
        return max(0.0, wrong - max(0.0, (at - since).total_seconds()) / FORGIVEN_EVERY_S)


def _network(address: str) -> str:
    """Return what one sender holds: an IPv4 address, or the 64 bits that an IPv6 one is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
