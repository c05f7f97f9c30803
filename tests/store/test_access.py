from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tocsin.store import access
from tocsin.store.access import Grant
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


async def test_a_name_may_have_several_secrets(database: Database) -> None:
    async with database.transaction() as c:
        await access.grant(c, "admin", "first", ["admin"])
        assert await access.holder(c, "first") == Grant("admin", ("admin",))
        await access.grant(c, "admin", "second", ["read", "admin"])
        assert await access.holder(c, "first") == Grant("admin", ("admin",))
        assert await access.holder(c, "second") == Grant("admin", ("read", "admin"))
        assert await access.holder(c, "\ud800\x00") is None


async def test_no_secret_is_stored_in_clear(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await access.grant(c, "admin", "grant-secret", ["admin"])
        await access.offer_link(c, "link-secret", now + MINUTE)
        await access.start_session(c, "cookie-secret", "sam", ["read"], now + MINUTE)
        for table in ("grants", "sign_in_links", "sessions"):
            rows = await c.fetch(f"SELECT t::text FROM {table} t")  # noqa: S608 - three fixed names
            stored = str(rows)
            assert "secret" not in stored
            assert b"secret".hex() not in stored


async def test_a_link_signs_in_once_and_in_time(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await access.offer_link(c, "good", now + MINUTE)
        await access.offer_link(c, "late", now - MINUTE)

    async def use(secret: str) -> bool:
        async with database.transaction() as c:
            return await access.use_link(c, secret)

    assert sorted(await asyncio.gather(*(use("good") for _ in range(4)))) == [False] * 3 + [True]
    assert not await use("late")
    assert not await use("unknown")


async def test_a_session_lasts_until_it_ends(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await access.start_session(c, "a", "sam", ["read"], now + MINUTE)
        await access.start_session(c, "b", "kim", ["read"], now - MINUTE)
        assert await access.session(c, "a") == Grant("sam", ("read",))
        assert await access.session(c, "b") is None
        await access.end_session(c, "a")
        assert await access.session(c, "a") is None


async def test_all_replicas_sign_with_the_same_secret(database: Database) -> None:
    async def ask() -> bytes:
        async with database.reading() as c:
            return await access.server_secret(c)

    answers = set(await asyncio.gather(*(ask() for _ in range(6))))
    assert len(answers) == 1
    assert len(answers.pop()) == 32
