"""The stream behind an open page: it says that something changed, never what, and ends in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from tests.web.pages.gallery import Gallery, open_gallery
from tests.web.site import eventually, served
from tocsin.store import live as announcements
from tocsin.store import people
from tocsin.store.database import Database
from tocsin.web.pages.live import STREAMS_EACH_MAX, Broadcaster, Stream, broadcaster_of

pytestmark = pytest.mark.anyio
BOARD = frozenset({"board"})


@pytest.fixture
async def gallery(database: Database) -> AsyncIterator[Gallery]:
    async with open_gallery(database) as opened:
        yield opened


def test_a_stream_is_told_of_its_own_topics_only() -> None:
    broadcaster = Broadcaster("boot")
    room = Stream(frozenset({"incident/INC-1"}))
    broadcaster.streams.add(room)
    broadcaster.tell("incident/INC-2")
    assert not room.changed
    broadcaster.tell("incident/INC-1")
    assert room.changed


def test_the_board_changes_with_every_incident() -> None:
    broadcaster = Broadcaster("boot")
    board = Stream(BOARD)
    broadcaster.streams.add(board)
    broadcaster.tell("incident/INC-2")
    assert board.changed


def test_a_missed_reconnection_may_have_changed_anything() -> None:
    broadcaster = Broadcaster("boot")
    mark = broadcaster.mark
    assert not broadcaster.changed_since(BOARD, mark)
    broadcaster.tell("")
    assert broadcaster.changed_since(BOARD, mark)
    assert not broadcaster.changed_since(BOARD, broadcaster.mark)


@pytest.mark.parametrize("mark", ["", "other.0", "boot.", "boot.x", "boot.²", "9" * 400])
def test_an_unknown_mark_counts_as_long_ago(mark: str) -> None:
    assert Broadcaster("boot").changed_since(BOARD, mark)


def test_a_forgotten_topic_counts_as_changed() -> None:
    broadcaster = Broadcaster("boot")
    broadcaster.tell("incident/INC-1")
    mark = broadcaster.mark
    for number in range(10_001):
        broadcaster.tell(f"incident/INC-{number + 2}")
    assert broadcaster.changed_since(frozenset({"incident/INC-1"}), mark)


async def test_what_changed_between_drawing_and_listening_is_not_lost(gallery: Gallery) -> None:
    async with served(gallery.app) as url:
        mark = broadcaster_of(gallery.app).mark
        broadcaster_of(gallery.app).tell("board")
        async with _listening(gallery, url, f"topic=board&since={mark}") as events:
            assert [await anext(events), await anext(events)] == ["hello", "changed"]


async def test_an_announcement_of_the_database_reaches_the_page(gallery: Gallery) -> None:
    async with served(gallery.app) as url:
        mark = broadcaster_of(gallery.app).mark
        async with _listening(gallery, url, f"topic=runbook&since={mark}") as events:
            assert await anext(events) == "hello"
            async with gallery.context.database.transaction() as connection:
                await announcements.announce(connection, "runbook")
            assert await anext(events) == "changed"


async def test_open_streams_end_when_the_server_closes(gallery: Gallery) -> None:
    async with served(gallery.app) as url:
        mark = broadcaster_of(gallery.app).mark
        async with _listening(gallery, url, f"topic=board&since={mark}") as events:
            assert await anext(events) == "hello"
            gallery.context.closing.set()
            async with asyncio.timeout(3):
                assert [event async for event in events] in ([], ["tick"])
    assert broadcaster_of(gallery.app).streams == set()


async def test_a_closed_tab_is_forgotten(gallery: Gallery) -> None:
    async with served(gallery.app) as url:
        async with _listening(gallery, url, "topic=board") as events:
            await anext(events)
            assert len(broadcaster_of(gallery.app).streams) == 1
        await eventually(_all_gone(gallery), within_s=5)


async def test_one_session_cannot_take_every_stream(gallery: Gallery) -> None:
    async with served(gallery.app) as url, contextlib.AsyncExitStack() as tabs:
        tab = [_listening(gallery, url, "topic=board") for _ in range(STREAMS_EACH_MAX)]
        heard = [await tabs.enter_async_context(listening) for listening in tab]
        assert {await anext(events) for events in heard} == {"hello"}
        async with httpx2.AsyncClient(base_url=url) as http:
            cookie = {"Cookie": f"tocsin_session={gallery.session}"}
            refused = await http.get("/live?topic=board", headers=cookie)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            # Somebody else still finds room.
            others = broadcaster_of(gallery.app).streams
            for stream in others:
                stream.reader = "another"
            async with http.stream("GET", "/live?topic=board", headers=cookie) as answer:
                assert answer.status_code == 200


def _all_gone(gallery: Gallery) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return not broadcaster_of(gallery.app).streams

    return look


async def test_nobody_listens_without_signing_in(gallery: Gallery) -> None:
    async with served(gallery.app) as url, httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get("/live?topic=board")).status_code == 401


class _listening:  # noqa: N801 - reads as a phrase: async with _listening(...)
    def __init__(self, gallery: Gallery, url: str, query: str) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url, cookies={"tocsin_session": gallery.session}, timeout=10
        )
        self._query = query

    async def __aenter__(self) -> AsyncIterator[str]:
        self._streaming = self._http.stream("GET", f"/live?{self._query}")
        response = await self._streaming.__aenter__()
        assert response.headers["content-type"].startswith("text/event-stream")
        return _events(response)

    async def __aexit__(self, *error: object) -> None:
        await self._streaming.__aexit__(*error)  # type: ignore[arg-type]
        await self._http.aclose()


async def _events(response: httpx2.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            yield line.removeprefix("event: ")


async def test_a_stream_ends_when_its_reader_may_look_no_longer(gallery: Gallery) -> None:
    database = gallery.context.database
    async with served(gallery.app) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        cookies = {
            name: {"Cookie": f"tocsin_session={secret}"}
            for name, secret in (("rae", gallery.reader_session), ("priya", gallery.session))
        }
        async with (
            http.stream("GET", "/live?topic=board", headers=cookies["rae"]) as hers,
            http.stream("GET", "/live?topic=board", headers=cookies["priya"]) as others,
        ):
            hears, goes_on = hers.aiter_text(), others.aiter_text()
            assert "hello" in await anext(hears)
            assert "hello" in await anext(goes_on)
            # As another process would: this one only hears of it.
            async with database.transaction() as connection:
                rae = await people.get(connection, "rae")
                assert rae is not None
                assert await people.disable(connection, rae) == ""
                await announcements.announce(connection, "access")
            async with asyncio.timeout(10):
                async for _ in hears:
                    pass
            async with database.transaction() as connection:
                await announcements.announce(connection, "board")
            async with asyncio.timeout(10):
                async for told in goes_on:
                    if "changed" in told:
                        break
