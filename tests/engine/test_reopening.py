"""Reopening on a real database: the desk of the service is asked in the same transaction."""

from __future__ import annotations

import pytest

from tests.engine.test_engine import batch, engine_on, eventually, now_signal, running
from tocsin.core.inputs import ReopenedByPerson, ResolvedByPerson
from tocsin.store import incidents

pytestmark = pytest.mark.anyio


async def _open(database) -> list[str]:
    async with database.reading() as c:
        return [state.id for state in await incidents.find(c, open_only=True)]


async def test_an_incident_is_reopened_only_where_no_other_takes_its_alerts(database):
    engine = engine_on(database)

    async def one_is_open():
        return len(await _open(database)) == 1

    async def none_is_open():
        return not await _open(database)

    async with running(engine):
        await engine.receive(batch(now_signal()))
        await eventually(one_is_open)
        assert await engine.act("INC-1", ResolvedByPerson("ona")) == ""
        await eventually(none_is_open)
        await engine.receive(batch(now_signal("DiskFull")))
        await eventually(one_is_open)
        said = await engine.act("INC-1", ReopenedByPerson("tom"))
        assert said.startswith("INC-2 is open for backend")
        assert await _open(database) == ["INC-2"]
        assert await engine.act("INC-2", ResolvedByPerson("ona")) == ""

        async def reopened():
            return await engine.act("INC-1", ReopenedByPerson("tom")) == ""

        await eventually(reopened)
    assert await _open(database) == ["INC-1"]
