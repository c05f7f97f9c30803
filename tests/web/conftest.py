from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.site import Site, open_site
from tocsin.store.database import Database


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    """A Tocsin of its own: real store, real engine, real application."""
    async with open_site(database) as opened:
        yield opened
