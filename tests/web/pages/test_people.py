"""Pages about people, tokens and the audit trail, as a browser without script meets them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.web.pages.conftest import browser
from tests.web.pages.gallery import READER, Gallery, open_gallery
from tests.web.pages.test_routes import link_for, user
from tocsin.base.rights import Role
from tocsin.store import access, audit, people
from tocsin.store.audit import Entry
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def night(database: Database) -> AsyncIterator[Gallery]:
    """An application in which nothing happens but people."""
    async with open_gallery(database) as gallery:
        yield gallery


async def secret_on(answer: httpx2.Response) -> str:
    assert answer.headers["cache-control"] == "no-store"
    [shown] = re.findall(r'<p class="out"><code>([^<]+)</code></p>', answer.text)
    return str(shown)


async def test_an_admin_adds_somebody_and_hands_them_a_link(
    night: Gallery, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    added = await http.post("/people", data={"name": "Kim Ng", "role": "viewer"})
    assert (added.status_code, added.headers["location"]) == (303, "/people/kim-ng")
    assert "Kim Ng is a viewer." in (await http.get("/people/kim-ng")).text
    link = await secret_on(await http.post("/people/kim-ng/link"))
    path = link.removeprefix("http://tocsin.test")
    assert (await stranger.post(path)).status_code == 303
    assert "You are Kim Ng." in (await stranger.get("/me")).text
    # What a viewer sees leads nowhere that they may not go.
    board = (await stranger.get("/")).text
    assert 'href="/people"' not in board
    assert 'href="/audit"' not in board
    assert link.rpartition("/")[2] not in (await http.get("/people/kim-ng")).text


async def test_a_changed_role_counts_from_the_next_click(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    async with browser(night, night.reader_session) as rae:
        assert (await rae.get("/audit")).status_code == 403
        assert (await http.post("/people/rae/role", data={"role": "lead"})).status_code == 303
        assert (await rae.get("/audit")).status_code == 200
        assert (await rae.get("/people")).status_code == 403
        assert (await http.post("/people/rae/disable")).status_code == 303
        assert (await rae.get("/")).status_code == 401
        assert (await http.post("/people/rae/enable")).status_code == 303
        assert (await rae.get("/")).status_code == 401
    assert (await user(night, "rae")).role is Role.LEAD


async def test_a_refusal_stands_on_the_page_and_what_was_written_stays(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    answer = await http.post("/people", data={"name": READER, "role": "lead"})
    assert answer.status_code == 409
    assert "<strong>Not done.</strong> The user priya has this id or this name" in answer.text
    assert f'value="{READER}"' in answer.text
    answer = await http.post("/tokens", data={"name": "ci", "expires": "7d"})
    assert answer.status_code == 422
    assert "A token needs at least one scope." in answer.text
    assert 'value="ci"' in answer.text
    async with night.context.database.transaction() as connection:
        [token] = [t for t in await access.tokens(connection) if "admin" in t.scopes]
        assert await people.revoke(connection, token, "x") == ""
    for act, data in (("role", {"role": "viewer"}), ("disable", {})):
        answer = await http.post(f"/people/priya/{act}", data=data)
        assert answer.status_code == 409
        assert f"{READER} is the last admin" in answer.text
    assert (await http.get("/people/nobody")).status_code == 404


async def test_a_token_is_shown_once_and_ends_when_it_is_revoked(
    night: Gallery, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    data = {"name": "ci", "scope-read": "yes", "scope-respond": "yes", "expires": "90d"}
    secret = await secret_on(await http.post("/tokens", data=data))
    bearer = {"Authorization": f"Bearer {secret}"}
    assert (await stranger.get("/api/v1/incidents", headers=bearer)).status_code == 200
    page = (await http.get("/people")).text
    assert secret not in page
    assert "read, respond" in page
    async with night.context.database.reading() as connection:
        [token] = [t for t in await access.tokens(connection) if t.name == "ci"]
    assert (await http.post(f"/tokens/{token.number}/revoke")).status_code == 303
    assert (await stranger.get("/api/v1/incidents", headers=bearer)).status_code == 401
    assert (await http.post(f"/tokens/{token.number}/revoke")).status_code == 404
    assert secret not in (await http.get("/audit")).text


async def test_one_sees_and_ends_ones_own_sessions(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    mine = (await http.get("/me")).text
    assert "Firefox on Linux" in mine
    assert "Safari on an iPhone" in mine
    numbers = re.findall(r'action="/me/sessions/([0-9a-f]+)/end"', mine)
    assert len(numbers) == 2
    # The one that looks comes first; the other is ended and this one goes on.
    assert (await http.post(f"/me/sessions/{numbers[1]}/end")).status_code == 303
    assert "iPhone" not in (await http.get("/me")).text
    async with browser(night, night.reader_session) as rae:
        assert (await rae.post(f"/me/sessions/{numbers[0]}/end")).status_code == 404
    assert (await http.post(f"/me/sessions/{numbers[0]}/end")).status_code == 303
    assert (await http.get("/me")).status_code == 401


async def test_an_admin_ends_the_sessions_of_others(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    [number] = re.findall(r"/sessions/([0-9a-f]+)/end", (await http.get("/people/rae")).text)
    assert (await http.post(f"/people/sam/sessions/{number}/end")).status_code == 404
    async with browser(night, night.reader_session) as rae:
        assert (await rae.get("/")).status_code == 200
        assert (await http.post(f"/people/rae/sessions/{number}/end")).status_code == 303
        assert (await rae.get("/")).status_code == 401
    assert (await http.post("/people/priya/sign-out")).status_code == 303
    assert (await http.get("/")).status_code == 401


async def test_the_trail_tells_acts_in_words_newest_first(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    await http.post("/people", data={"name": "Kim Ng", "role": "viewer"})
    text = (await http.get("/audit")).text
    first = re.search(r'<ol class="time trail".*?</li>', text, re.DOTALL)
    assert first is not None
    assert f"<strong>{READER}</strong> added a user" in first[0]
    assert "kim-ng, Kim Ng, viewer" in first[0]
    assert "The server put a runbook in force" in text
    assert "Others were refused" in text
    assert "more than two attempts" in text.lower()
    mine = (await http.get("/audit", params={"actor": "Sam Okafor", "since": "day"})).text
    acts = re.findall(r"<strong>([^<]+)</strong> (?:\w+)", mine)
    assert set(acts) == {"Sam Okafor"}
    assert "Nothing here." in (await http.get("/audit?actor=nobody")).text


@pytest.mark.parametrize(
    "query", ["before=x", "before=99999999999999999999", "before=-1", "since=soon", "actor=%00"]
)
async def test_odd_questions_still_get_the_trail(http: httpx2.AsyncClient, query: str) -> None:
    assert (await http.get(f"/audit?{query}")).status_code == 200


async def test_the_trail_is_paged(night: Gallery, http: httpx2.AsyncClient) -> None:
    at = night.context.clock.now()
    rows = [(at, Entry("Kim", "user", f"act {number:03d}"), 200) for number in range(120)]
    async with night.context.database.transaction() as connection:
        await audit.add(connection, rows)
    seen: list[str] = []
    path = "/audit?actor=Kim"
    while path:
        text = (await http.get(path)).text
        seen += re.findall(r"act \d{3}", text)
        older = re.search(r'href="([^"]+before=\d+)"', text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"act {number:03d}" for number in reversed(range(120))]


async def test_hostile_names_stay_text(
    night: Gallery, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    name = '"><script>alert(1)</script>'
    link = await link_for(night, None)
    assert (await stranger.post(f"/login/{link}", data={"name": name})).status_code == 303
    async with night.context.database.transaction() as connection:
        await people.add_token(connection, "<img src=x>", "s", [], by=name)
        await audit.add(
            connection,
            [(night.context.clock.now(), Entry(name, "user", name, name, name, name), 500)],
        )
    for path in ("/people", "/audit", "/people/script-alert-1-script", "/login"):
        text = (await http.get(path)).text
        assert "<script>alert" not in text, path
        assert "<img" not in text, path
    link = await link_for(night, None)
    assert "<script>alert" not in (await http.get(f"/login/{link}")).text
