"""Two servers on one PostgreSQL: each keeps its own keys, and they share the work."""

from __future__ import annotations

import pytest

from tests.e2e.programs import ROOT, tocsin, wait_until

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"


@pytest.mark.anyio  # for the fixture that makes the database
async def test_a_second_server_voids_no_key_of_the_first(embedded_url_empty, enterable_dir):
    one, two = enterable_dir / "replica-one", enterable_dir / "replica-two"
    with (
        tocsin(EXAMPLE, one, DATABASE_URL=embedded_url_empty) as first,
        tocsin(EXAMPLE, two, DATABASE_URL=embedded_url_empty) as second,
    ):
        assert first.token != second.token
        for server in (first, second):
            path = f"/in/{server.key}/api/v2/alerts"
            alert = {"labels": {"alertname": "Slow", "service": "api", "severity": "P2"}}
            server.api.post(path, json=[alert]).raise_for_status()
        [incident] = wait_until(second.incidents, why="one incident, seen by both")
        assert [i["id"] for i in first.incidents()] == [incident["id"]]
        acknowledged = second.api.post(f"/api/v1/incidents/{incident['id']}/acknowledge")
        acknowledged.raise_for_status()
        [seen] = first.incidents()
        assert seen["acknowledged_by"] == "admin"
