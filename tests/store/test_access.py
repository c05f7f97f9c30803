from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tocsin.base.rights import Role
from tocsin.store import access, people
from tocsin.store.access import Link
from tocsin.store.connection import Connection
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


async def scopes_of(c: Connection, secret: str) -> tuple[str, ...]:
    found = await access.holder(c, secret)
    assert found is not None
    return found.scopes


async def test_a_name_may_have_several_secrets(database: Database) -> None:
    async with database.transaction() as c:
        await access.grant(c, "admin", "first", ["admin"])
        assert await scopes_of(c, "first") == ("admin",)
        await access.grant(c, "admin", "second", ["read", "admin"])
        assert await scopes_of(c, "first") == ("admin",)
        assert await scopes_of(c, "second") == ("read", "admin")
        assert await access.holder(c, "\ud800\x00") is None


async def test_no_secret_is_stored_in_clear(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        assert await people.add(c, "sam", "Sam", Role.VIEWER, "admin") == ""
        await access.grant(c, "admin", "grant-secret", ["admin"])
        await access.offer_link(c, "link-secret", now + MINUTE, "sam")
        await access.start_session(c, "cookie-secret", "sam", now + MINUTE)
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
        assert await access.see_link(c, "good") == Link("", "")
        assert await access.see_link(c, "late") is None
        assert await access.see_link(c, "unknown") is None

    async def use(secret: str) -> bool:
        async with database.transaction() as c:
            return await access.use_link(c, secret)

    assert sorted(await asyncio.gather(*(use("good") for _ in range(4)))) == [False] * 3 + [True]
    assert not await use("late")
    assert not await use("unknown")


async def test_a_session_lasts_until_it_ends(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await people.add(c, "sam", "Sam", Role.RESPONDER, "admin")
        await access.start_session(c, "a", "sam", now + MINUTE)
        await access.start_session(c, "b", "sam", now - MINUTE)
        found = await access.session(c, "a")
        assert found is not None
        assert (found.user, found.name, found.role) == ("sam", "Sam", Role.RESPONDER)
        assert await access.session(c, "b") is None
        await access.end_session(c, "a")
        assert await access.session(c, "a") is None


async def test_a_session_is_as_good_as_its_user_at_this_moment(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await access.grant(c, "admin", "file", ["admin"])
        await people.add(c, "sam", "Sam", Role.ADMIN, "admin")
        await access.start_session(c, "a", "sam", now + MINUTE)
        await access.offer_link(c, "link", now + MINUTE, "sam")
        user = await people.get(c, "sam")
        assert user is not None
        assert await people.change_role(c, user, Role.VIEWER) == ""
        found = await access.session(c, "a")
        assert found is not None
        assert found.role is Role.VIEWER
        assert await people.disable(c, user) == ""
        assert await access.session(c, "a") is None
        assert await access.see_link(c, "link") is None
        await people.enable(c, user)
        # Let in again they need a fresh link: neither session nor link comes back to life.
        assert await access.session(c, "a") is None
        assert await access.see_link(c, "link") is None


async def test_one_session_is_ended_by_its_number_and_only_by_its_owner(
    database: Database,
) -> None:
    now = await database.now()
    async with database.transaction() as c:
        for user in ("sam", "kim"):
            await people.add(c, user, user, Role.VIEWER, "admin")
        await access.start_session(c, "a", "sam", now + MINUTE, "Firefox")
        await access.start_session(c, "b", "sam", now + MINUTE)
        [number] = [s.number for s in await access.sessions(c, "sam") if s.browser == "Firefox"]
        assert not await access.end_session_of(c, "kim", number)
        assert not await access.end_session_of(c, "sam", "no number")
        assert await access.end_session_of(c, "sam", number)
        assert await access.session(c, "a") is None
        assert await access.session(c, "b") is not None
        assert await access.sign_out(c, "sam") == 1


async def test_what_is_over_allows_nothing_and_says_so(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await access.grant(c, "old", "old", ["admin"], expires_at=now - MINUTE)
        await access.grant(c, "ci", "ci", ["read"])
        found = await access.holder(c, "ci")
        assert found is not None
        assert await people.revoke(c, found, "ona") == ""
        for secret in ("old", "ci"):
            over = await access.holder(c, secret)
            assert over is not None
            assert over.is_over
            assert over.scopes == ()
        assert [token.name for token in await access.tokens(c)] == ["old"]


async def test_a_revoked_file_is_not_granted_anew_by_the_next_start(database: Database) -> None:
    async with database.transaction() as c:
        assert await access.keep(c, "admin", "file", ["admin"], "admin.token")
        assert await access.keep(c, "admin", "file", ["admin"], "admin.token")
        await access.grant(c, "other", "other", ["admin"])
        found = await access.holder(c, "file")
        assert found is not None
        assert found.kept_in == "admin.token"
        assert await people.revoke(c, found, "ona") == ""
        assert not await access.keep(c, "admin", "file", ["admin"], "admin.token")
        await access.grant(c, "admin", "file", ["admin"])
        assert await scopes_of(c, "file") == ()


async def test_a_token_does_never_more_than_its_maker_may_now(database: Database) -> None:
    async with database.transaction() as c:
        await access.grant(c, "admin", "file", ["admin"])
        await people.add(c, "ona", "Ona", Role.ADMIN, "admin")
        ona = await people.get(c, "ona")
        assert ona is not None
        for secret, scopes in (("all", ["admin"]), ("some", ["ingest", "read", "silence"])):
            await access.grant(c, secret, secret, scopes, by="Ona", user="ona")
        assert await scopes_of(c, "all") == ("admin",)
        await people.change_role(c, ona, Role.VIEWER)
        assert set(await scopes_of(c, "all")) == {"ingest", "read"}
        assert await scopes_of(c, "some") == ("ingest", "read")
        await people.disable(c, ona)
        # Alerts go on coming in when somebody leaves.
        assert await scopes_of(c, "some") == ("ingest",)
        await people.enable(c, ona)
        await people.change_role(c, ona, Role.ADMIN)
        assert await scopes_of(c, "some") == ("ingest", "read", "silence")


async def test_when_something_was_used_last_never_goes_back(database: Database) -> None:
    now = await database.now()
    hashes = {name: access.digest(name) for name in ("t", "s")}
    async with database.transaction() as c:
        await people.add(c, "sam", "Sam", Role.VIEWER, "admin")
        await access.grant(c, "t", "t", ["read"])
        await access.start_session(c, "s", "sam", now + MINUTE)
        for at in (now + MINUTE, now):
            await access.note_seen(c, {hashes["t"]: at}, {hashes["s"]: at})
        found, sam = await access.holder(c, "t"), await people.get(c, "sam")
        assert found is not None
        assert sam is not None
        assert found.seen_at == sam.seen_at == now + MINUTE


async def test_all_replicas_sign_with_the_same_secret(database: Database) -> None:
    async def ask() -> bytes:
        async with database.reading() as c:
            return await access.server_secret(c)

    answers = set(await asyncio.gather(*(ask() for _ in range(6))))
    assert len(answers) == 1
    assert len(answers.pop()) == 32
