from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tocsin.base.rights import Role, Scope
from tocsin.store import access, people
from tocsin.store.connection import Connection
from tocsin.store.database import Database
from tocsin.store.people import User

pytestmark = pytest.mark.anyio


async def made(c: Connection, id: str, role: Role = Role.VIEWER, name: str = "") -> User:  # noqa: A002
    assert await people.add(c, id, name or id.title(), role, "admin") == ""
    found = await people.get(c, id)
    assert found is not None
    return found


async def test_a_user_is_found_by_id_and_by_name(database: Database) -> None:
    async with database.transaction() as c:
        ona = await made(c, "ona", Role.LEAD, "Ona Vale")
        assert (ona.name, ona.role, ona.created_by, ona.disabled_at) == (
            "Ona Vale",
            Role.LEAD,
            "admin",
            None,
        )
        assert await people.named(c, " ona  VALE ") == ona
        assert await people.get(c, "ONA") is None
        assert await people.get(c, "o\x00") is None


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("ona", "Somebody Else"),  # the same id
        ("other", "ONA vale"),  # the same name, spelled otherwise
        ("other", "Ona\u00a0Vale"),
        ("other", "\uff2fna Vale"),  # a full-width letter
        ("ona-2", "ona"),  # a name that reads like another's id
        ("ci", "Ci"),  # the name of a token
        ("x", "CI"),
        ("Ona", "x"),
        ("", "x"),
        ("../x", "x"),
        ("x" * 41, "x"),
        ("x", ""),
        ("x", " "),
        ("x", "x" * 61),
        ("x", "a\u202eb"),  # turns what follows around
        ("x", "a\u200bb"),  # cannot be seen
        ("x", "a\nb"),
        ("x", "a\ud800"),
    ],
)
async def test_nobody_can_be_mistaken_for_another(database: Database, id: str, name: str) -> None:  # noqa: A002
    async with database.transaction() as c:
        await made(c, "ona", name="Ona Vale")
        await access.grant(c, "ci", "s", ["read"])
        assert await people.add(c, id, name, Role.ADMIN, "x") != ""
        assert [user.id for user in await people.find(c)] == ["ona"]


@pytest.mark.parametrize(
    ("name", "id"),
    [("Ona Vale", "ona-vale"), ("José Ñandú", "jose-nandu"), ("--", ""), ("王", ""), ("A" * 90, "a" * 40)],
)  # fmt: skip
def test_an_id_is_made_of_a_name(name: str, id: str) -> None:  # noqa: A002
    assert people.id_from(name) == id


async def test_the_last_admin_stays_unless_a_token_is_left(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        ona, sam = await made(c, "ona", Role.ADMIN), await made(c, "sam", Role.LEAD)
        # None of these would still be there when it is needed.
        await access.grant(c, "short", "1", ["admin"], expires_at=now + timedelta(days=1))
        await access.grant(c, "own", "2", ["admin"], user="ona")
        await access.grant(c, "low", "3", ["admin"], user="sam")
        assert "last admin" in await people.change_role(c, ona, Role.LEAD)
        assert "last admin" in await people.disable(c, ona)
        assert await people.change_role(c, ona, Role.ADMIN) == ""
        assert await people.change_role(c, sam, Role.ADMIN) == ""
        assert await people.disable(c, ona) == ""
        assert "last admin" in await people.disable(c, sam)
        await access.grant(c, "admin", "4", ["admin"])
        assert await people.disable(c, sam) == ""


async def test_the_last_token_that_may_do_everything_stays_unless_an_admin_is_left(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await access.grant(c, "admin", "1", ["admin"])
        await access.grant(c, "ci", "2", ["read"])
        found = {token.name: token for token in await access.tokens(c)}
        assert "is the last that may do everything" in await people.revoke(c, found["admin"], "x")
        assert await people.revoke(c, found["ci"], "x") == ""
        await made(c, "ona", Role.ADMIN)
        assert await people.revoke(c, found["admin"], "x") == ""
        assert await access.tokens(c) == []


async def test_two_admins_who_step_down_at_once_leave_one(database: Database) -> None:
    async with database.transaction() as c:
        both = [await made(c, name, Role.ADMIN) for name in ("ona", "sam")]

    async def step_down(user: User) -> str:
        async with database.transaction() as c:
            return await people.change_role(c, user, Role.VIEWER)

    said = await asyncio.gather(*(step_down(user) for user in both))
    assert sorted(bool(refusal) for refusal in said) == [False, True]


async def test_a_token_takes_no_name_that_somebody_has(database: Database) -> None:
    async with database.transaction() as c:
        await made(c, "ona", name="Ona Vale")

        async def add(name: str) -> str:
            return await people.add_token(c, name, f"secret of {name}", [Scope.READ], by="admin")

        assert await add("ci") == ""
        assert "already" in await add("CI")
        assert "name of the user ona" in await add("Ona Vale")
        assert "name of the user ona" in await add("ona")
        assert await add("a\u202eb") != ""
        [token] = await access.tokens(c)
        assert await people.revoke(c, token, "admin") == ""
        # A name whose token is gone may be used again.
        assert await people.add_token(c, "ci", "another", [Scope.READ], by="admin") == ""
