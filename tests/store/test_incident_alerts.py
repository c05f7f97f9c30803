from __future__ import annotations

import pytest
from msgspec.structs import replace

from tocsin.core.state import IncidentAlert, IncidentState
from tocsin.store import incident_alerts, incidents

pytestmark = pytest.mark.anyio

FIRES = IncidentAlert("A", "prometheus", firing=True)
ENDED = replace(FIRES, firing=False)


async def test_what_fires_is_found_first_and_then_what_joined_first(database) -> None:
    async with database.transaction() as c:
        await incident_alerts.put(c, "INC-1", {"a": ENDED, "b": FIRES, "c": FIRES})
        await incident_alerts.put(c, "INC-2", {"a": FIRES})
        assert list(await incident_alerts.find(c, "INC-1")) == ["b", "c", "a"]
        assert list(await incident_alerts.find(c, "INC-1", 2)) == ["b", "c"]
        assert await incident_alerts.load(c, "INC-1", ["a", "x"]) == {"a": ENDED}


async def test_an_alert_written_again_keeps_its_place(database) -> None:
    async with database.transaction() as c:
        await incident_alerts.put(c, "INC-1", {"a": FIRES, "b": FIRES})
        await incident_alerts.put(c, "INC-1", {"a": ENDED})
        assert await incident_alerts.find(c, "INC-1") == {"b": FIRES, "a": ENDED}
        await incident_alerts.put(c, "INC-1", {"a": FIRES})
        assert list(await incident_alerts.find(c, "INC-1")) == ["a", "b"]


async def test_the_first_alerts_of_many_incidents_are_found_at_once(database) -> None:
    async with database.transaction() as c:
        await incident_alerts.put(c, "INC-1", {"a": ENDED, "b": FIRES, "c": FIRES})
        await incident_alerts.put(c, "INC-2", {"a": FIRES})
        found = await incident_alerts.find_each(c, ["INC-1", "INC-2", "INC-3"], 2)
    assert {name: list(held) for name, held in found.items()} == {
        "INC-1": ["b", "c"],
        "INC-2": ["a"],
        "INC-3": [],
    }


async def test_a_fingerprint_of_any_length_and_letters_comes_back_as_it_was(database) -> None:
    odd = {"\x00" + "x" * 5_000: FIRES, "\ud800": replace(FIRES, title="\ud800")}
    async with database.transaction() as c:
        await incident_alerts.put(c, "INC-1", odd)
        assert await incident_alerts.load(c, "INC-1", list(odd)) == odd


async def test_only_silences_of_what_fires_are_muting(database) -> None:
    async with database.transaction() as c:
        held = {"a": replace(FIRES, muted_by="s1"), "b": replace(ENDED, muted_by="s2"), "c": FIRES}
        await incident_alerts.put(c, "INC-1", held)
        assert await incident_alerts.muting(c, "INC-1") == {"s1"}


async def test_the_alerts_inside_of_an_old_state_are_found_and_counted(database) -> None:
    old = IncidentState(id="INC-1", title="Old", service="backend", alerts={"a": ENDED, "b": FIRES})
    async with database.transaction() as c:
        await incidents.put(c, old, 0)
        assert await incident_alerts.find(c, "INC-1") == {"b": FIRES, "a": ENDED}
        seen = await incidents.get(c, "INC-1")
    assert (seen.alert_counts.total, seen.alert_counts.firing) == (2, 1)
