from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from tests.store.samples import page
from tocsin.store import deliveries, jobs, timers
from tocsin.store.database import Database, Unavailable
from tocsin.store.embedded import Embedded
from tocsin.store.route import Route

pytestmark = pytest.mark.anyio
STREAM = "incident/INC-1"
NOW = timedelta(0)


class Heard:
    """A handler that keeps what it was given."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self._came = asyncio.Event()

    async def __call__(self, payload: str) -> None:
        self.payloads.append(payload)
        self._came.set()

    async def wait_for(self, count: int, within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            while len(self.payloads) < count:
                self._came.clear()
                await self._came.wait()


async def _nothing(payload: str) -> None:
    raise AssertionError(f"nobody expected {payload}")


@contextlib.asynccontextmanager
async def _running(
    route: Route, handlers: Mapping[str, Callable[[str], Awaitable[None]]]
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            jobs.run(route, {"timer": _nothing, "delivery": _nothing, **handlers}, stop)
        )
        try:
            yield stop
        finally:
            stop.set()


async def _enqueue(database: Database, *items: tuple[str, str, timedelta]) -> None:
    async with database.transaction() as c:
        await jobs.enqueue(c, items)


async def _left(database: Database) -> int:
    async with database.reading() as c:
        return int(await c.fetchval("SELECT count(*) FROM tocsin_pgqueuer"))


async def test_each_job_reaches_the_handler_of_its_kind_once(database: Database) -> None:
    delivery, timer = Heard(), Heard()
    names = [f"INC-1/d{i}" for i in range(200)]
    async with _running(database.direct, {"delivery": delivery, "timer": timer}):
        await _enqueue(database, *(("delivery", name, NOW) for name in names))
        await _enqueue(database, ("timer", f"{STREAM}\nrung/é", NOW))
        await delivery.wait_for(200)
        await timer.wait_for(1)
        await asyncio.sleep(0.3)
    assert sorted(delivery.payloads) == sorted(names)
    assert timer.payloads == [f"{STREAM}\nrung/é"]
    assert await _left(database) == 0


async def test_two_workers_share_the_work(database: Database) -> None:
    first, second = Heard(), Heard()
    async with (
        _running(database.direct, {"delivery": first}),
        _running(database.direct, {"delivery": second}),
    ):
        await _enqueue(database, *(("delivery", str(i), NOW) for i in range(300)))
        async with asyncio.timeout(10):
            while len(first.payloads) + len(second.payloads) < 300:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
    assert sorted(map(int, first.payloads + second.payloads)) == list(range(300))


async def test_a_job_comes_after_its_time_and_not_before(database: Database) -> None:
    timer = Heard()
    now = await database.now()
    due_at = now + timedelta(seconds=0.5)
    taken = []

    async def take(payload: str) -> None:
        stream, name = payload.split("\n")
        async with database.transaction() as c:
            taken.append((await timers.take_due(c, stream, name), await database.now(c)))
        await timer(payload)

    async with _running(database.direct, {"timer": take}):
        async with database.transaction() as c:
            await timers.replace(c, STREAM, {"rung/1": due_at})
        await timer.wait_for(1)
    ((was_due_at, at),) = taken
    assert was_due_at == due_at
    assert due_at <= at < due_at + timedelta(seconds=2)


async def test_the_job_of_a_timer_that_is_gone_finds_nothing(database: Database) -> None:
    timer = Heard()
    found = []
    now = await database.now()

    async def take(payload: str) -> None:
        stream, name = payload.split("\n")
        async with database.transaction() as c:
            found.append(await timers.take_due(c, stream, name))
        await timer(payload)

    async with database.transaction() as c:
        await timers.replace(c, STREAM, {"gone": now, "moved": now})
        await timers.replace(c, STREAM, {"moved": now + timedelta(hours=1)})
    async with _running(database.direct, {"timer": take}):
        await timer.wait_for(2)
    assert found == [None, None]


async def test_what_a_transaction_took_back_is_never_handled(database: Database) -> None:
    heard = Heard()

    async def fail() -> None:
        async with database.transaction() as c:
            await jobs.enqueue(c, [("delivery", "lost", NOW)])
            raise ZeroDivisionError

    async with _running(database.direct, {"delivery": heard}):
        with pytest.raises(ZeroDivisionError):
            await fail()
        await _enqueue(database, ("delivery", "kept", NOW))
        await heard.wait_for(1)
        await asyncio.sleep(0.2)
    assert heard.payloads == ["kept"]


async def test_a_job_whose_handler_fails_is_held_and_the_others_go_on(database: Database) -> None:
    heard = Heard()

    async def handle(payload: str) -> None:
        if payload == "poison":
            raise ZeroDivisionError
        await heard(payload)

    async with _running(database.direct, {"delivery": handle}):
        await _enqueue(database, ("delivery", "poison", NOW), ("delivery", "good", NOW))
        await heard.wait_for(1)
    async with database.reading() as c:
        rows = await c.fetch("SELECT status::text, payload FROM tocsin_pgqueuer")
    assert [(row["status"], row["payload"]) for row in rows] == [("failed", b"poison")]


async def test_a_job_that_found_the_database_away_comes_again(database: Database) -> None:
    heard = Heard()

    async def handle(payload: str) -> None:
        await heard(payload)
        if len(heard.payloads) == 1:
            raise Unavailable("The database does not answer: test.")

    async with _running(database.direct, {"delivery": handle}):
        await _enqueue(database, ("delivery", "d1", NOW))
        await heard.wait_for(2)
    assert heard.payloads == ["d1", "d1"]
    assert await _left(database) == 0


async def test_the_job_of_a_worker_that_died_goes_to_another(database: Database) -> None:
    heard = Heard()
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        # As a worker leaves it that was killed while it worked on it.
        await c.execute(
            "UPDATE tocsin_pgqueuer SET status = 'picked', queue_manager_id = gen_random_uuid(),"
            " heartbeat = now() - interval '2 s'"
        )
    async with _running(database.direct, {"delivery": heard}):
        await heard.wait_for(1, within_s=12)
    assert heard.payloads == ["INC-1/d1"]


async def test_stopping_is_prompt_even_while_a_handler_hangs(database: Database) -> None:
    heard = Heard()
    loop = asyncio.get_running_loop()

    async def hang(payload: str) -> None:
        await heard(payload)
        await asyncio.sleep(600)

    async with _running(database.direct, {"delivery": hang}) as stop:
        await _enqueue(database, ("delivery", "d1", NOW))
        await heard.wait_for(1)
        stop.set()
        began = loop.time()
    assert loop.time() - began < 6


async def test_stopping_an_idle_worker_is_prompt(database: Database) -> None:
    heard = Heard()
    loop = asyncio.get_running_loop()
    async with _running(database.direct, {"delivery": heard}) as stop:
        await _enqueue(database, ("delivery", "d1", NOW))
        await heard.wait_for(1)
        stop.set()
        began = loop.time()
    assert loop.time() - began < 1.5


@pytest.fixture
def place(enterable_dir: Path) -> Path:
    """A directory of this test's own, where the database's user may go."""
    folder = Path(tempfile.mkdtemp(dir=enterable_dir))
    folder.chmod(0o711)
    return folder


async def test_work_goes_on_after_the_database_was_restarted(place: Path) -> None:
    heard = Heard()
    server = await Embedded.start(place / "data")
    database = await Database.open(server.url)
    try:
        async with _running(database.direct, {"delivery": heard}):
            await _enqueue(database, ("delivery", "before", NOW))
            await heard.wait_for(1)
            await server.stop()
            await asyncio.sleep(0.3)
            server = await Embedded.start(place / "data")
            await _enqueue(database, ("delivery", "after", NOW))
            await heard.wait_for(2, within_s=15)
            # It hears again, and does not only look once a second.
            began = asyncio.get_running_loop().time()
            for number in range(5):
                await _enqueue(database, ("delivery", f"prompt {number}", NOW))
                await heard.wait_for(3 + number)
            assert asyncio.get_running_loop().time() - began < 3
    finally:
        await database.close()
        await server.stop()
    assert heard.payloads[:2] == ["before", "after"]


async def test_a_lost_connection_of_the_worker_is_made_again(database: Database) -> None:
    heard = Heard()
    async with _running(database.direct, {"delivery": heard}):
        await _enqueue(database, ("delivery", "before", NOW))
        await heard.wait_for(1)
        async with database.transaction() as c:
            await c.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'tocsin jobs' AND datname = current_database()"
            )
        await _enqueue(database, ("delivery", "after", NOW))
        async with asyncio.timeout(10):
            while "after" not in heard.payloads:
                await asyncio.sleep(0.02)


async def test_the_log_of_the_library_is_pruned(database: Database) -> None:
    heard = Heard()
    async with database.transaction() as c:
        await c.execute(
            "INSERT INTO tocsin_pgqueuer_log (created, job_id, status, priority, entrypoint)"
            " SELECT now() - age, -1, status::tocsin_pgqueuer_status, 0, 'delivery'"
            " FROM (VALUES (interval '1 hour', 'successful'), (interval '1 hour', 'failed'),"
            " (interval '8 days', 'failed'), (interval '1 minute', 'successful')) v (age, status)"
        )
    async with _running(database.direct, {"delivery": heard}):
        await _enqueue(database, ("delivery", "d1", NOW))
        await heard.wait_for(1)
    async with database.reading() as c:
        rows = await c.fetch("SELECT status::text FROM tocsin_pgqueuer_log WHERE job_id = -1")
    assert sorted(row["status"] for row in rows) == ["failed", "successful"]


async def test_a_listener_that_went_deaf_is_noticed_and_made_anew(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    async with _running(database.direct, {"delivery": heard}):
        await _enqueue(database, ("delivery", "before", NOW))
        await heard.wait_for(1)
        _make_deaf(database.direct)
        # Nobody is told, so it comes at the next look.
        await _enqueue(database, ("delivery", "unheard", NOW))
        await heard.wait_for(2, within_s=5)
        async with asyncio.timeout(40):
            while "The job queue stopped" not in caplog.text:
                await asyncio.sleep(0.1)
        await _enqueue(database, ("delivery", "after", NOW))
        await heard.wait_for(3)
    assert "FailingListenerError" in caplog.text
    assert heard.payloads == ["before", "unheard", "after"]


def _make_deaf(route: Route) -> None:
    """Let the driver forget who listens: the server goes on telling, and nobody hears it."""
    for connection in route._connections:
        connection._listeners.clear()


async def test_a_hundred_thousand_jobs_that_wait_do_not_slow_down_those_that_are_due(
    database: Database,
) -> None:
    loop = asyncio.get_running_loop()
    heard = Heard()
    later = timedelta(hours=1)
    for _ in range(10):
        await _enqueue(database, *(("timer", f"{STREAM}\n{n}", later) for n in range(10_000)))
    async with database.transaction() as c:
        await c.execute("ANALYZE tocsin_pgqueuer")
    async with _running(database.direct, {"delivery": heard}):
        await _enqueue(database, ("delivery", "first", NOW))
        await heard.wait_for(1)
        began = loop.time()
        await _enqueue(database, *(("delivery", str(n), NOW) for n in range(2_000)))
        await heard.wait_for(2_001, within_s=60)
        took_s = loop.time() - began
        late_s = []
        for number in range(20):
            began = loop.time()
            await _enqueue(database, ("delivery", f"prompt {number}", NOW))
            await heard.wait_for(2_002 + number)
            late_s.append(loop.time() - began)
    # Here it is some thousands a second, and milliseconds; a loaded machine has its excuse.
    assert took_s < 20
    assert sorted(late_s)[10] < 0.5


async def test_names_do_not_follow_the_environment() -> None:
    code = (
        "from tocsin.store import jobs\n"
        "names = jobs._names()\n"
        "assert names.channel == 'tocsin_jobs', names.channel\n"
        "assert names.queue_table == 'tocsin_pgqueuer', names.queue_table\n"
        "assert names.function == 'tocsin_fn_pgqueuer_changed', names.function\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        env={
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "CHANNEL": "elsewhere",
            "PGQUEUER_CHANNEL": "elsewhere",
            "QUEUE_TABLE": "elsewhere",
            "FUNCTION": "elsewhere",
        },
    )
    assert await process.wait() == 0


def test_all_of_it_runs_on_uvloop_too(place: Path) -> None:
    async def live() -> None:
        server = await Embedded.start(place / "data")
        database = await Database.open(server.url)
        heard = Heard()
        async with _running(database.direct, {"delivery": heard}):
            await _enqueue(database, ("delivery", "d1", NOW))
            await heard.wait_for(1)
        await database.close()
        await server.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())
