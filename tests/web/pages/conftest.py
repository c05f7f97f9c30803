from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest

from tests.web.pages.gallery import Gallery, busy_night, open_gallery, store_world
from tocsin.store.database import Database


@pytest.fixture
def utc_now() -> datetime:
    """A fixed instant for what needs one."""
    return datetime(2026, 11, 23, 3, 1, 24, tzinfo=UTC)


@pytest.fixture
async def night(database: Database) -> AsyncIterator[Gallery]:
    """An application in the middle of a busy night."""
    async with open_gallery(database) as gallery:
        policy = gallery.context.book.current.policy
        await store_world(database, busy_night(policy, gallery.context.clock.now()))
        yield gallery


@pytest.fixture
async def http(night: Gallery) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser, as far as headers go, that is signed in as Priya Shah."""
    async with browser(night, night.session) as opened:
        yield opened


@pytest.fixture
async def stranger(night: Gallery) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser that is not signed in."""
    async with browser(night, "") as opened:
        yield opened


def browser(gallery: Gallery, session: str) -> httpx2.AsyncClient:
    """Return a client with a browser's headers and a session cookie."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=gallery.app),
        base_url="http://tocsin.test",
        cookies={"tocsin_session": session} if session else {},
        headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
    )
