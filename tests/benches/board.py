"""How it answers people while ten thousand incidents are open.

A real server on the embedded database. Each incident comes of an alert of its own service, pages
its people and has its timers, as in any other hour. Requests go one after the other.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benches.shares import Row, in_ms, percentile
from tests.proof.harness import Replica, Sink, deploy, send, wait_for

if TYPE_CHECKING:
    import httpx2

LISTS, ACTS, ROOMS = 100, 500, 100


def rows(folder: Path, incidents: int = 10_000) -> list[Row]:
    """Open so many incidents, and return how long lists, acknowledgements and rooms take."""
    place = folder / "board"
    place.mkdir(mode=0o711)
    with Sink(place) as sink:
        deploy(place, sink, {"P1": (36_000,)})
        with Replica(place) as server:
            alerts = [
                {"labels": {"alertname": "Down", "service": f"s{n}", "severity": "P1"}}
                for n in range(incidents)
            ]
            send([server], alerts, rate=2_000)
            wait_for(lambda: _open(server.api) >= incidents, 600, "every incident to be open")
            wait_for(lambda: len(sink.calls()) >= incidents, 600, "everybody to be paged")
            return _measured(server.api, incidents)


def _open(api: httpx2.Client) -> int:
    text = api.get("/metrics").text
    prefix = "tocsin_incidents_open{"
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if prefix in line[:30])


def _measured(api: httpx2.Client, incidents: int) -> list[Row]:
    chance = random.Random(7)  # noqa: S311 - which ones is of no matter, but the same each time
    lists = [_took(api, "GET", "/api/v1/incidents?limit=100") for _ in range(LISTS)]
    names = [f"INC-{n}" for n in chance.sample(range(1, incidents + 1), ACTS)]
    acts = [_took(api, "POST", f"/api/v1/incidents/{name}/acknowledge") for name in names]
    rooms = [_took(api, "GET", f"/api/v1/incidents/{name}") for name in names[:ROOMS]]
    of = f"with {incidents:,} open"
    return [
        (f"list of 100 incidents {of}, p50", "<= 50 ms", in_ms(percentile(lists, 50))),
        (f"list of 100 incidents {of}, p99", "<= 50 ms", in_ms(percentile(lists, 99))),
        (f"acknowledge {of}, p50", "", in_ms(percentile(acts, 50))),
        (f"acknowledge {of}, p99", "<= 50 ms", in_ms(percentile(acts, 99))),
        (f"one incident {of}, p99", "<= 50 ms", in_ms(percentile(rooms, 99))),
    ]


def _took(api: httpx2.Client, method: str, path: str) -> float:
    began = time.perf_counter()
    api.request(method, path).raise_for_status()
    return time.perf_counter() - began
