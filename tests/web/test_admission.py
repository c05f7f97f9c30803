"""Nobody's requests keep out anybody else's, and people are not kept out at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator

import pytest

from tests.web.site import Site, eventually
from tocsin.engine.room import Full
from tocsin.web.admission import PLACES, Admission

pytestmark = pytest.mark.anyio
ALERT = [{"labels": {"alertname": "Down", "service": "api"}}]
Stack = contextlib.AsyncExitStack


async def take_all(admission: Admission, stack: Stack, *senders: str) -> dict[str, int]:
    """Let all of them take as many places as they get, one in turn."""
    held = dict.fromkeys(senders, 0)
    left = set(senders)
    while left:
        for sender in senders:
            if sender in left and await stack.enter_async_context(admission.place(sender)):
                held[sender] += 1
            else:
                left.discard(sender)
    return held


@pytest.mark.parametrize("greedy", [1, 2, 7])
async def test_the_greedy_share_alike_and_somebody_new_finds_a_place(greedy: int) -> None:
    admission = Admission(96, wait_s=0.01)
    async with Stack() as stack:
        held = await take_all(admission, stack, *(f"k{n}" for n in range(greedy)))
        assert all(abs(n - 96 / (greedy + 1)) <= 1 for n in held.values())
        async with admission.place("quiet") as is_there:
            assert is_there


async def test_places_are_given_back_also_by_what_breaks() -> None:
    admission = Admission(4, wait_s=0.01)
    for _ in range(10):
        with contextlib.suppress(ZeroDivisionError):
            async with admission.place("k") as is_there:
                assert is_there
                raise ZeroDivisionError
    async with Stack() as stack:
        assert await take_all(admission, stack, "k") == {"k": 2}


async def test_who_stands_in_line_gets_the_next_place_in_order() -> None:
    admission = Admission(2, wait_s=5)
    order: list[int] = []

    async def come(number: int) -> None:
        async with admission.place("k") as is_there:
            assert is_there
            order.append(number)
            await asyncio.sleep(0)

    async with asyncio.timeout(4), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(come(number))
    assert order == list(range(20))


async def test_who_waited_too_long_is_told_and_takes_no_place_with_them() -> None:
    admission = Admission(2, wait_s=0.05)
    async with admission.place("k") as first, admission.place("k") as second:
        assert (first, second) == (True, False)
    async with Stack() as stack:
        assert await take_all(admission, stack, "k") == {"k": 1}


async def test_whoever_is_cancelled_leaves_nothing_behind() -> None:
    for seed in range(100):
        chance = random.Random(seed)  # noqa: S311 - a seed that can be tried again
        admission = Admission(6, wait_s=5)

        async def come(sender: str, chance=chance, admission=admission) -> bool:
            async with admission.place(sender) as is_there:
                for _ in range(chance.randint(0, 4)):
                    await asyncio.sleep(0)
                return is_there

        tasks = []
        for _ in range(40):
            tasks.append(asyncio.ensure_future(come(chance.choice("abc"))))
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            if chance.random() < 0.4:
                chance.choice(tasks).cancel()
        async with asyncio.timeout(4):
            said = await asyncio.gather(*tasks, return_exceptions=True)
        assert {s for s in said if not isinstance(s, asyncio.CancelledError)} <= {True}
        assert (admission._free, dict(admission._held), admission._lines) == (6, {}, {}), seed


async def test_who_holds_too_many_places_is_told_before_the_body_is_read(site: Site) -> None:
    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield json.dumps(ALERT).encode()

    was_read = False
    admission = site.app.state.admission = Admission(8, wait_s=0.05)
    async with Stack() as stack:
        await take_all(admission, stack, "ingest")
        for path in ("/api/v2/alerts", f"/in/{site.tokens['ingest']}/api/v2/alerts"):
            for _ in range(2):  # The second time the sender is known at the gate.
                refused = await site.ask("POST", path, "ingest", content=body())
                assert refused.status_code == 503
                assert refused.headers["Retry-After"] == "5"
                assert refused.headers["X-Content-Type-Options"] == "nosniff"
                assert "under way" in refused.json()
        refused = await site.ask("POST", "/api/v1/reports", "ingest", json={"title": "Slow"})
        assert refused.status_code == 503
        # Another sender, and what people do, are not concerned.
        assert (await site.ask("POST", "/api/v2/alerts", json=ALERT)).status_code == 200
        declared = {"title": "x", "service": "x"}
        made = await site.ask("POST", "/api/v1/incidents", json=declared)
        assert made.status_code == 201
    assert not was_read
    again = await site.ask("POST", "/api/v2/alerts", "ingest", json=ALERT)
    assert again.status_code == 200

    async def counted() -> bool:
        said = (await site.ask("GET", "/metrics")).text
        return 'tocsin_signals_refused_total{sender="ingest",why="busy"} 5.0' in said

    assert await eventually(counted)


async def test_a_burst_of_one_sender_waits_and_is_accepted(site: Site) -> None:
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(site.ask("POST", "/api/v2/alerts", "ingest", json=ALERT))
            for _ in range(3 * PLACES)
        ]
    assert {task.result().status_code for task in asked} == {200}


async def test_a_line_has_an_end() -> None:
    admission = Admission(2, wait_s=0.2, line_max=3)
    async with asyncio.TaskGroup() as group, admission.place("k"):
        waiting = [group.create_task(admission._take("k")) for _ in range(5)]
        await asyncio.sleep(0)
        assert len(admission._lines["k"]) == 3
    # The first of the line has the place now; the others waited in vain, or were not let into it.
    assert [task.result() for task in waiting] == [True, False, False, False, False]


async def test_the_places_are_free_again_after_every_kind_of_request(site: Site) -> None:
    for content in (b"[", b"[]", b'[{"labels":{}}]', json.dumps(ALERT).encode()):
        for _ in range(PLACES):
            answer = await site.ask("POST", "/api/v2/alerts", "ingest", content=content)
            assert answer.status_code in (200, 400)


async def test_a_full_inbox_is_503_with_when_to_come_again(site: Site) -> None:
    async def full(batch: object) -> None:
        raise Full("70 signals of ingest wait to be judged.")

    site.context.engine.receive = full  # type: ignore[method-assign]
    refused = await site.ask("POST", "/api/v2/alerts", "ingest", json=ALERT)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert "70 signals" in refused.json()


async def test_strangers_of_one_address_hold_only_places_of_their_own(site: Site) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    strangers = site.app.state.strangers = Admission(4, wait_s=0.05)
    async with Stack() as stack:
        await take_all(strangers, stack, "127.0.0.1")
        refused = await site.http.post("/login/x", content=b"token=x", headers=form)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        # Alerts, and whoever has shown a credential, are not concerned.
        sent = await site.ask("POST", "/api/v2/alerts", "ingest", json=ALERT)
        assert sent.status_code == 200
    let_in = await site.http.post("/login/x", content=b"token=x", headers=form)
    assert let_in.status_code != 503
