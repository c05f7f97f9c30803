"""A backup and a rebuild by the API: who may have them, and what comes."""

from __future__ import annotations

import io
import json

import pytest

from tests.web.site import Site
from tocsin.store import backup

pytestmark = pytest.mark.anyio


async def test_a_backup_is_streamed_and_whole(site: Site) -> None:
    await site.ask("POST", "/api/v1/incidents", json={"title": "All is lost", "severity": "P1"})
    answer = await site.ask("GET", "/api/v1/backup")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"].startswith('attachment; filename="tocsin-')
    assert answer.headers["cache-control"] == "no-store"
    contents = backup.read(io.BytesIO(answer.content))
    rows = {section.table.table: section.rows for section in contents.sections}
    assert rows["incidents"] == 1
    assert rows["grants"] > 0


async def test_only_an_admin_gets_a_backup_or_a_rebuild(site: Site) -> None:
    for name in ("reader", "ingest"):
        assert (await site.ask("GET", "/api/v1/backup", name)).status_code == 403
        assert (await site.ask("POST", "/api/v1/rebuild", name, json={})).status_code == 403


async def test_a_backup_is_on_the_audit_trail_before_it_leaves(site: Site) -> None:
    content = (await site.ask("GET", "/api/v1/backup")).content
    assert b"GET /api/v1/backup" in content


async def test_a_rebuild_tells_what_differs_and_ends_with_the_sum(site: Site) -> None:
    await site.ask("POST", "/api/v1/incidents", json={"title": "All is lost", "severity": "P1"})
    async with site.context.database.transaction() as c:
        await c.execute("DELETE FROM incidents")
    for check in (True, False):
        answer = await site.ask("POST", "/api/v1/rebuild", json={"check": check})
        *found, last = map(json.loads, answer.text.splitlines())
        assert [(each["verdict"], each["what"]) for each in found] == [("differs", ["the view"])]
        assert last == {
            "done": True,
            "streams": 2,
            "events": last["events"],
            "same": 1,
            "differs": 1,
            "pruned": 0,
            "unreadable": 0,
        }
    assert (await site.ask("GET", "/api/v1/incidents")).json()["incidents"] != []
    answer = await site.ask("POST", "/api/v1/rebuild", json={"chek": True})
    assert answer.status_code == 422
