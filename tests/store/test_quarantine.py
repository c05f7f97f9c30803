"""What could not be read is kept within bounds, at the cost of whoever sent most of it."""

from __future__ import annotations

import pytest

from tocsin.store import quarantine
from tocsin.store.connection import Connection
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio


async def put(c: Connection, key: str, *raws: bytes) -> None:
    await quarantine.add(c, [("prometheus", key, raw, "It is bad.") for raw in raws])


async def kept(c: Connection, key: str) -> list[bytes]:
    rows = await c.fetch("SELECT raw FROM quarantine WHERE key = $1 ORDER BY id", key)
    return [row["raw"] for row in rows]


async def test_what_fits_stays(database: Database) -> None:
    async with database.transaction() as c:
        await put(c, "noisy", b"1", b"2")
        assert await quarantine.trim(c, 2, 2) == {}
        assert await quarantine.count(c) == 2


async def test_the_oldest_rows_of_the_noisiest_go_first(database: Database) -> None:
    async with database.transaction() as c:
        await put(c, "quiet", b"old")
        await put(c, "noisy", *(b"%d" % n for n in range(20)))
        await put(c, "other", b"a", b"b")
        assert await quarantine.trim(c, 8, 10_000) == {"noisy": 15}
        assert await kept(c, "quiet") == [b"old"]
        assert await kept(c, "other") == [b"a", b"b"]
        assert await kept(c, "noisy") == [b"15", b"16", b"17", b"18", b"19"]


async def test_bytes_are_bounded_as_rows_are(database: Database) -> None:
    async with database.transaction() as c:
        await put(c, "quiet", b"small")
        await put(c, "noisy", *(bytes([n]) * 1_000 for n in range(10)))
        assert await quarantine.trim(c, 10_000, 3_500) == {"noisy": 7}
        assert await kept(c, "quiet") == [b"small"]
        assert await kept(c, "noisy") == [bytes([n]) * 1_000 for n in (7, 8, 9)]


async def test_two_who_are_as_noisy_keep_as_much(database: Database) -> None:
    async with database.transaction() as c:
        for _ in range(50):
            await put(c, "one", b"x")
            await put(c, "two", b"x")
        await quarantine.trim(c, 20, 10_000)
        assert (len(await kept(c, "one")), len(await kept(c, "two"))) == (10, 10)
