"""How many deliveries a second a courier hands over and settles: to a channel that takes them at
once, inside this process, and to a receiver of webhooks on this machine.

What is to be delivered is put into the database first; the clock runs from the start of the
courier to the commit that settles the last one. PostgreSQL, and the receiver, share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop

from tests.proof.sink import Sink
from tocsin.core.effects import Message, SendPage, Topic
from tocsin.core.surroundings import Contact
from tocsin.engine.courier import Courier
from tocsin.engine.outbound import GuardedClient
from tocsin.engine.system import SystemClock
from tocsin.integrations.outbound.webhook import WEBHOOK
from tocsin.integrations.wire import (
    Credentials,
    Delivered,
    HttpRequest,
    HttpResponse,
    Links,
    Secret,
    WebhookTarget,
)
from tocsin.store import deliveries
from tocsin.store.database import Database
from tocsin.store.embedded import Embedded

if TYPE_CHECKING:
    Row = tuple[str, str, str]

BUDGET = ">= 5,000 a second"
CHANNELS = ("ona", "tom", "edda", "pia")
PAGES_PER_INCIDENT = 4


class AtOnce:
    """An integration whose channel takes everything; the request never leaves this process."""

    kind = "webhook"

    def request(self, *_: object) -> HttpRequest:
        return HttpRequest("POST", "http://127.0.0.1:1/", (), b"")

    def outcome(self, _: HttpResponse) -> Delivered:
        return Delivered()

    async def perform(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {})


def rows(folder: Path, count: int = 20_000) -> list[Row]:
    """Return both figures as rows of the table of ``make bench``."""
    return uvloop.run(_rows(folder, count))  # as the server does


async def _rows(folder: Path, count: int) -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    server = await Embedded.start(folder / "deliveries")
    try:
        database = await Database.open(server.url)
        taker = AtOnce()
        at_once = await _measure(database, count, taker, taker, "http://127.0.0.1:1")
        with Sink(folder) as sink:
            async with GuardedClient(["127.0.0.1"]) as client:
                by_http = await _measure(database, count, WEBHOOK, client, sink.url)
            received = len({call.key for call in sink.calls()})
        await database.close()
    finally:
        await server.stop()
    assert received == count, f"{received} of {count} arrived"
    return [
        ("deliveries settled, channel takes them at once", BUDGET, f"{at_once:,.0f} a second"),
        ("deliveries settled, over HTTP to a local receiver", BUDGET, f"{by_http:,.0f} a second"),
    ]


async def _measure(
    database: Database, count: int, integration: object, client: object, url: str
) -> float:
    target = {name: WebhookTarget(Secret(f"{url}/{name}"), Secret("s")) for name in CHANNELS}
    courier = Courier(
        database=database,
        outbound={"webhook": integration},  # type: ignore[dict-item] # as much of one as is used
        credentials=Credentials(webhooks=target),
        smtp=None,
        client=client,  # type: ignore[arg-type] # as above
        links=lambda incident, page: Links(f"http://t/{incident}", f"http://t/{page}"),
        clock=SystemClock(),
    )
    async with database.transaction() as c:
        await c.execute("TRUNCATE deliveries, inbox")
    await _ask(database, count)
    stop = asyncio.Event()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(courier.run(stop))
        while await _pending(database):
            await asyncio.sleep(0.05)
        took_s = time.perf_counter() - began
        stop.set()
    return count / took_s


async def _ask(database: Database, count: int) -> None:
    for start in range(0, count, 1_000):
        async with database.transaction() as c:
            for number in range(start, min(start + 1_000, count), PAGES_PER_INCIDENT):
                incident = f"INC-{number}"
                pages = [
                    SendPage(
                        f"{incident}/d{place}",
                        name,
                        name,
                        name.title(),
                        Contact("webhook", name),
                        Message(
                            Topic.PAGE,
                            incident,
                            "More than 5% of requests to checkout fail",
                            "P1",
                            1,
                            "checkout",
                            ("You are reached as On-Call Engineer.", "P1 because it says so."),
                        ),
                    )
                    for place, name in enumerate(CHANNELS)
                ]
                await deliveries.add(c, incident, pages)
    async with database.reading() as c:
        await c.execute("VACUUM ANALYZE deliveries")


async def _pending(database: Database) -> bool:
    async with database.reading() as c:
        return bool(
            await c.fetchval("SELECT EXISTS (SELECT FROM deliveries WHERE state = 'pending')")
        )


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        for row in rows(folder, options.count):
            print(*row, sep="  ")  # noqa: T201 - a command of its own


if __name__ == "__main__":
    main()
