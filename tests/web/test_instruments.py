"""Metrics: cheap to ask for, the same on every replica, and there when the database is not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.web.site import Site, eventually
from tocsin.engine.about import About
from tocsin.engine.instruments import Instruments
from tocsin.integrations.signals import Received, Rejected
from tocsin.store import contacts
from tocsin.store.contacts import Noted
from tocsin.web.door import door_of
from tocsin.web.instruments import area_of

pytestmark = pytest.mark.anyio


class Beat(msgspec.Struct, frozen=True):
    name: str
    last_at: datetime | None
    limit_s: float
    is_late: bool
    detail: str = ""
    is_vital: bool = True


def values(text: str) -> dict[str, float]:
    """Return what was exposed, by series."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in found, "a series is exposed twice"
            found[name] = float(value)
    return found


async def scraped(site: Site) -> dict[str, float]:
    answer = await site.ask("GET", "/metrics", "reader")
    assert answer.status_code == 200
    return values(answer.text)


def about(site: Site, **what: object) -> None:
    """Change what the process of a site says of itself."""
    object.__setattr__(site.context, "about", About(**what))  # type: ignore[arg-type]


async def test_while_the_database_is_away_the_process_says_what_it_knows(site: Site) -> None:
    before = await scraped(site)
    assert before["tocsin_database_up"] == 1
    await site.context.database.close()
    door_of(site.app).remembered.forget(lost=True)
    site.app.state.lookout._looked_at = float("-inf")
    after = await scraped(site)
    assert after["tocsin_database_up"] == 0
    assert after['tocsin_http_request_seconds_count{area="health",status="200"}'] >= 1
    # What is not known is not said: an old number would be taken for a new one.
    assert "tocsin_timer_oldest_due_seconds" not in after
    assert before.keys() - after.keys() >= {"tocsin_quarantined", "tocsin_clock_offset_seconds"}
    # A token that was never seen is not let in, and what else it may do needs the database.
    assert (await site.ask("GET", "/metrics", "ingest")).status_code == 503
    assert (await site.ask("GET", "/api/v1/incidents", "reader")).status_code == 503


async def test_many_scrapes_at_once_ask_the_database_once(site: Site) -> None:
    asked = 0
    ask = site.app.state.lookout._ask

    async def counted(context: object) -> object:
        nonlocal asked
        asked += 1
        return await ask(context)

    site.app.state.lookout._ask = counted
    await asyncio.gather(*(scraped(site) for _ in range(5)))
    assert asked == 1


async def test_a_turn_a_commit_and_a_request_are_timed(site: Site) -> None:
    labels = '{"alertname":"A","service":"api","severity":"critical"}'
    body = f'[{{"labels":{labels},"startsAt":"2026-03-01T10:00:00Z"}}]'
    await site.ask("POST", "/api/v2/alerts", "ingest", content=body)
    await site.ask("POST", "/api/v2/alerts", "ingest", content=body)

    async def decided() -> dict[str, float] | None:
        found = await scraped(site)
        seen = found.get('tocsin_turn_inputs_count{stream="incident"}', 0)
        return found if seen >= 1 else None

    found = await eventually(decided)
    assert found['tocsin_turn_seconds_count{stream="desk"}'] >= 1
    assert found["tocsin_commit_seconds_count"] > 2
    assert found['tocsin_http_request_seconds_count{area="alerts",status="200"}'] == 2
    signals = 'tocsin_signals_total{{outcome="{}",sender="ingest",source="prometheus"}}'
    assert found[signals.format("accepted")] == 1
    assert found[signals.format("repeated")] == 1
    # Nought is said, not left out: a rate sees a first time only beside one.
    assert found['tocsin_http_request_seconds_count{area="alerts",status="503"}'] == 0
    assert found['tocsin_turns_failed_total{stream="desk"}'] == 0


async def test_a_loop_that_stands_still_is_shown_and_named(site: Site) -> None:
    at = site.context.clock.now()
    beats = (
        Beat("the auditor", at - timedelta(seconds=50), 30.0, is_late=True),
        Beat("turns", at, 10.0, is_late=False),
        Beat("listener", None, 10.0, is_late=False),
        Beat("heartbeat", at, 0.0, is_late=True, detail="it answers 404", is_vital=False),
        Beat("database", None, 0.0, is_late=True, detail="it is read-only"),
    )
    about(site, beats=lambda: beats)
    found = await scraped(site)
    assert found['tocsin_loop_late{loop="the auditor",vital="yes"}'] == 1
    assert found['tocsin_loop_late{loop="turns",vital="yes"}'] == 0
    assert found['tocsin_loop_late{loop="heartbeat",vital="no"}'] == 1
    assert 50 <= found['tocsin_loop_silent_seconds{loop="the auditor"}'] < 60
    assert 'tocsin_loop_silent_seconds{loop="listener"}' not in found
    answer = await site.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"] == (
        "the auditor has shown no life for more than 30 s. database: it is read-only."
    )


async def test_contacts_are_counted_by_how_they_did(site: Site) -> None:
    async with site.context.database.transaction() as c:
        await contacts.note(c, [Noted("email:nobody@example.org", False, "it left the settings")])
    found = await scraped(site)
    states = ("delivered", "failing", "untested")
    # Nobody in this directory has a contact; what is no longer in the settings does not count.
    assert [found[f'tocsin_contacts{{state="{state}"}}'] for state in states] == [0, 0, 0]


async def test_the_disk_of_the_data_folder_is_shown(site: Site, enterable_dir: object) -> None:
    about(site, data=enterable_dir)
    found = await scraped(site)
    assert 0 < found["tocsin_disk_free_bytes"] <= found["tocsin_disk_size_bytes"]


async def test_health_may_be_asked_for_without_its_words(site: Site) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await site.http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("/api/v2/alerts", "alerts"),
        ("/in/some-key/api/v2/alerts", "alerts"),
        ("/in/some-key", "pages"),
        ("/api/v2/silences", "alertmanager"),
        ("/api/v1/incidents/INC-1", "api"),
        ("/api/v1/reports", "reports"),
        ("/metrics", "health"),
        ("/-/ready", "health"),
        ("/incidents/INC-1", "pages"),
        ("/" + "x" * 5000, "pages"),
    ],
)
def test_a_path_belongs_to_one_of_few_areas(path: str, area: str) -> None:
    assert area_of(path) == area


def test_senders_without_end_share_one_series() -> None:
    instruments = Instruments()
    for number in range(1000):
        batch = Received((), (Rejected(b"x", "no name"),), "prometheus", f"sender-{number}")
        instruments.received(batch, 0)
    [family] = [f for f in instruments.registry.collect() if f.name == "tocsin_signals"]
    samples = {s.labels["sender"]: s.value for s in family.samples if s.name.endswith("_total")}
    assert len(samples) == 201
    assert samples["(others)"] == 800


async def test_a_loop_that_was_held_up_says_so() -> None:
    instruments, stop = Instruments(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(instruments.watch_loop(stop))
        await asyncio.sleep(0)
        end = asyncio.get_running_loop().time() + 0.6
        while asyncio.get_running_loop().time() < end:
            datetime.now(UTC)  # noqa: TID251 - anything that does not let go
        stop.set()
    [family] = [
        f for f in instruments.registry.collect() if f.name == "tocsin_event_loop_lag_seconds"
    ]
    assert family.samples[0].value > 0.2
