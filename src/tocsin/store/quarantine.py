"""What could not be read or judged, kept byte by byte for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("quarantine")


async def add(c: Connection, items: Sequence[tuple[str, str, bytes, str]]) -> None:
    """Keep (source, key, raw bytes, why). ``key`` names who sent it; it is not the secret."""
    if items:
        sources, keys, raws, whys = zip(*items, strict=True)
        await c.execute(
            _SQL["add"],
            [codec.text(source) for source in sources],
            [codec.text(name) for name in keys],
            list(raws),
            [codec.text(why) for why in whys],
        )


async def count(c: Connection) -> int:
    """Return how many there are."""
    return int(await c.fetchval(_SQL["count"]))


async def trim(c: Connection, rows_max: int, bytes_max: int) -> dict[str, int]:
    """Keep it within bounds and return how many were dropped, by the key that had sent them.

    The oldest of who has most there go first, so that a flood of rubbish buries only itself.
    """
    rows = await c.fetch(_SQL["trim"], rows_max, bytes_max)
    return {row["key"]: row["dropped"] for row in rows}
