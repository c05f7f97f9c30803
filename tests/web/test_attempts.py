"""Many wrong credentials from one address slow that address down, and harm nobody else."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from tests.web.site import Site
from tocsin.web.attempts import ADDRESSES_MAX, Attempts
from tocsin.web.door import door_of
from tocsin.web.remembered import REMEMBERED_MAX, Remembered

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
HELD_S = 30.0


async def is_held(attempts: Attempts, address: str, at: datetime = AT) -> bool:
    """Say whether a wrong credential from an address waits for its answer."""
    try:
        async with asyncio.timeout(0.01):
            await attempts.was_wrong(address, at)
    except TimeoutError:
        return True
    return False


async def test_the_first_wrong_ones_are_answered_at_once_and_later_ones_wait() -> None:
    attempts = Attempts(free=5, held_s=HELD_S)
    assert [await is_held(attempts, "192.0.2.1") for _ in range(7)] == [False] * 5 + [True] * 2
    assert not await is_held(attempts, "192.0.2.2")
    # One a second is forgiven.
    assert not await is_held(attempts, "192.0.2.1", AT + timedelta(seconds=3))


async def test_a_clock_that_goes_back_forgives_nothing_and_holds_nobody_for_long() -> None:
    attempts = Attempts(free=5, held_s=HELD_S)
    for _ in range(100):
        await is_held(attempts, "192.0.2.1")
    assert attempts.is_suspect("192.0.2.1", AT - timedelta(hours=1))
    assert not attempts.is_suspect("192.0.2.1", AT + timedelta(seconds=20))


async def test_one_sender_holds_64_bits_of_addresses() -> None:
    attempts = Attempts(free=5, held_s=HELD_S)
    for host in range(5):
        assert not await is_held(attempts, f"2001:db8::{host}")
    assert await is_held(attempts, "2001:db8::ffff")
    assert not await is_held(attempts, "2001:db8:0:1::1")


async def test_memory_is_bounded_whatever_knocks() -> None:
    attempts = Attempts(free=5)
    for number in range(ADDRESSES_MAX + 500):
        await attempts.was_wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", AT)
    assert len(attempts) == ADDRESSES_MAX
    remembered = Remembered()
    for number in range(REMEMBERED_MAX + 500):
        remembered.put(number.to_bytes(4, "big"), None, AT, 0)
    assert len(remembered) == REMEMBERED_MAX


async def test_what_was_read_before_a_change_is_not_remembered_after_it() -> None:
    remembered = Remembered()
    before = remembered.generation
    remembered.forget()
    remembered.put(b"x", None, AT, before)
    assert remembered.look(b"x", AT) == (False, None)
    remembered.put(b"x", None, AT, remembered.generation)
    assert remembered.look(b"x", AT) == (True, None)
    assert remembered.look(b"x", AT + timedelta(seconds=10)) == (False, None)
    assert remembered.look(b"x", AT - timedelta(seconds=1)) == (False, None)


async def test_who_was_right_before_waits_for_no_look_up(site: Site) -> None:
    attempts = door_of(site.app).attempts = Attempts(free=0, held_s=0)
    at = site.context.clock.now()
    attempts.was_right(b"known")
    async with contextlib.AsyncExitStack() as held, asyncio.timeout(1):
        for _ in range(2):
            await held.enter_async_context(attempts.looking("127.0.0.1", at, b"wrong"))
        async with attempts.looking("127.0.0.1", at, b"known"):
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), attempts.looking("127.0.0.1", at, b"wrong"):
                pass


async def test_links_that_sign_nobody_in_are_counted(site: Site) -> None:
    attempts = door_of(site.app).attempts = Attempts(free=3, held_s=0)
    for method in ("GET", "POST", "GET", "POST"):
        assert (await site.http.request(method, "/login/none")).status_code == 410
    assert attempts.is_suspect("127.0.0.1", site.context.clock.now())


async def test_a_right_credential_is_never_held_whoever_knocks_beside_it(site: Site) -> None:
    attempts = door_of(site.app).attempts = Attempts(free=3, held_s=HELD_S)
    wrong = {"Authorization": "Bearer wrong"}
    assert (await site.http.get("/api/v1/incidents", headers=wrong)).status_code == 401
    for _ in range(50):
        await is_held(attempts, "127.0.0.1", site.context.clock.now())
    async with asyncio.TaskGroup() as group:
        held = group.create_task(site.http.get("/api/v1/incidents", headers=wrong))
        async with asyncio.timeout(HELD_S / 3):
            for name in ("admin", "reader", "responder"):
                assert (await site.ask("GET", "/api/v1/incidents", name)).status_code == 200
            cookie = {"Cookie": f"tocsin_session={site.session}"}
            assert (await site.http.get("/api/v1/incidents", headers=cookie)).status_code == 200
        assert not held.done()
        held.cancel()
