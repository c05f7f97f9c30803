"""Nobody's requests keep out anybody else's, and people are not kept out at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from tests.web.site import Site, eventually
from tocsin.engine.room import Full
from tocsin.web.admission import PLACES, Admission, admission_of

pytestmark = pytest.mark.anyio
ALERT = [{"labels": {"alertname": "Down", "service": "api"}}]


def take_all(admission: Admission, stack: contextlib.ExitStack, *senders: str) -> dict[str, int]:
    held = dict.fromkeys(senders, 0)
    left = set(senders)
    while left:
        for sender in senders:
            if sender in left and stack.enter_context(admission.place(sender)):
                held[sender] += 1
            else:
                left.discard(sender)
    return held


@pytest.mark.parametrize("greedy", [1, 2, 7])
def test_the_greedy_share_alike_and_somebody_new_finds_a_place(greedy: int) -> None:
    admission = Admission(96)
    with contextlib.ExitStack() as stack:
        held = take_all(admission, stack, *(f"k{n}" for n in range(greedy)))
        assert all(abs(n - 96 / (greedy + 1)) <= 1 for n in held.values())
        with admission.place("quiet") as is_there:
            assert is_there


def test_places_are_given_back_also_by_what_breaks() -> None:
    admission = Admission(4)
    for _ in range(10):
        with contextlib.suppress(ZeroDivisionError), admission.place("k") as is_there:
            assert is_there
            raise ZeroDivisionError
    with contextlib.ExitStack() as stack:
        assert take_all(admission, stack, "k") == {"k": 2}


async def test_who_holds_too_many_places_is_told_before_the_body_is_read(site: Site) -> None:
    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield json.dumps(ALERT).encode()

    was_read = False
    with contextlib.ExitStack() as stack:
        take_all(admission_of(site.app), stack, "ingest")
        for path in ("/api/v2/alerts", f"/in/{site.tokens['ingest']}/api/v2/alerts"):
            refused = await site.ask("POST", path, "ingest", content=body())
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "5"
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
        return 'tocsin_signals_refused_total{sender="ingest",why="busy"} 3.0' in said

    assert await eventually(counted)


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
    strangers = site.app.state.strangers = Admission(4)
    with contextlib.ExitStack() as stack:
        take_all(strangers, stack, "127.0.0.1")
        refused = await site.http.post("/login/x", content=b"token=x", headers=form)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        # Alerts, and whoever has shown a credential, are not concerned.
        sent = await site.ask("POST", "/api/v2/alerts", "ingest", json=ALERT)
        assert sent.status_code == 200
    let_in = await site.http.post("/login/x", content=b"token=x", headers=form)
    assert let_in.status_code != 503
