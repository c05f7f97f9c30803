"""What nobody thinks of: things done to a running system from outside, while alerts come in.

Each time the same must hold: what was accepted is there, everybody who had to be paged was paged,
once per key, and nothing is left over. By hand, since it takes three minutes:
``python -m pytest -n 0 tests/proof/oddities.py``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.proof.harness import (
    Postgres,
    Replica,
    Sending,
    Sink,
    deploy,
    now_s,
    pause,
    wait_for,
    workplace,
)
from tests.proof.places import family, signal_all
from tests.proof.reckoning import reckon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEOPLE = ("on-call", "lead")


class World:
    """One deployment under a steady rain of alerts: a new service every quarter of a second."""

    def __init__(self, folder: Path, sink: Sink, database: Postgres | None) -> None:
        self.folder, self.sink, self.database = folder, sink, database
        deploy(folder, sink, {"P1": (2,)})
        self.replica = Replica(folder, self.app_url if database is not None else "")

    @property
    def app_url(self) -> str:
        """The database as seen by a user who is not its superuser."""
        assert self.database is not None
        return self.database.url.replace("//tocsin:", "//app:")

    def admin(self, sql: str) -> list:
        """Do something to the database as its superuser."""
        assert self.database is not None
        return self.database.query(sql)

    @contextlib.contextmanager
    def rain(self) -> Iterator[Sending]:
        """Send while something odd is done; then judge."""
        alerts = [
            {"labels": {"alertname": f"A{n}", "service": f"s{n // 2}", "severity": "P1"}}
            for n in range(2_000)
        ]
        sending = Sending(
            self.folder, [self.replica.inlet], alerts, 8, per_request=1, connections=4, timeout_s=5
        )
        try:
            wait_for(lambda: len(sending.accepted()) > 3, 20, "the first alerts to be accepted")
            yield sending
            self.accepts_again(sending)
            sending.stop()
            self.judge(sending)
        except Exception as error:
            rows = [r for r in self.replica.output.splitlines() if '"event": "request"' not in r]
            error.add_note("\n".join([str(sending.answers()), *rows[-40:]]))
            raise
        finally:
            sending.stop()

    def accepts_again(self, sending: Sending, seconds: float = 30) -> float:
        """Return how long it took until new alerts were accepted."""
        began, before = now_s(), len(sending.accepted())
        wait_for(lambda: len(sending.accepted()) > before + 8, seconds, "alerts to be accepted")
        return now_s() - began

    def judge(self, sending: Sending) -> None:
        accepted = sending.accepted()
        services = {each.alert["labels"]["service"] for each in accepted}
        wanted = {(service, who) for service in services for who in PEOPLE}

        def paged() -> bool:
            done = {(call.body.get("service"), call.contact) for call in self.sink.calls()}
            return wanted <= done

        wait_for(paged, 45, "everybody to be paged")
        found = reckon(self.sql_url, self.sink.calls())
        assert not found.lost(accepted)
        assert not found.doubled_acts
        assert not found.strange_keys
        assert not found.wrong_states
        assert not found.wrong_timers
        assert not found.tables["quarantine"]
        unexpected = set(sending.answers()) - {0, 200, 503}
        assert not unexpected, sending.answers()

    @property
    def sql_url(self) -> str:
        return self.database.url if self.database is not None else self.replica.sql_url


@pytest.fixture
def embedded() -> Iterator[World]:
    with workplace("oddity") as folder, Sink(folder) as sink:
        world = World(folder, sink, None)
        with world.replica:
            yield world


@pytest.fixture
def external() -> Iterator[World]:
    with workplace("oddity") as folder, Sink(folder) as sink, Postgres(folder / "pg") as database:
        world = World(folder, sink, database)
        password = database.url.split(":")[2].split("@")[0]
        world.admin(f"CREATE ROLE app LOGIN PASSWORD '{password}'")
        world.admin("GRANT ALL ON DATABASE tocsin TO app")
        world.admin("ALTER DATABASE tocsin OWNER TO app")
        with world.replica:
            yield world


SEND_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'"


def test_a_database_that_stands_still_and_goes_on(embedded: World) -> None:
    postmaster = embedded.replica.postmaster
    assert postmaster is not None
    with embedded.rain() as sending:
        signal_all(family(postmaster), signal.SIGSTOP)
        pause(8)
        answers = sending.answers()
        signal_all(family(postmaster), signal.SIGCONT)
        # Meanwhile senders were told, or gave up by themselves; nobody was told "accepted".
        assert answers[503] + answers[0] > 0


def test_a_backend_that_is_killed_takes_all_connections_along(embedded: World) -> None:
    postmaster = embedded.replica.postmaster
    assert postmaster is not None
    with embedded.rain():
        for _ in range(3):
            os.kill(family(postmaster)[-1], signal.SIGKILL)
            pause(1.5)


def test_the_folder_of_the_socket_is_deleted(embedded: World) -> None:
    with embedded.rain():
        shutil.rmtree(embedded.replica.data / "socket")
        pause(6)
        _close_connections(embedded.replica)


def _close_connections(replica: Replica) -> None:
    """End what PostgreSQL has in hand, so that new connections are needed."""
    postmaster = replica.postmaster
    if postmaster is not None:
        for pid in family(postmaster)[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def test_the_note_of_postgresql_is_deleted(embedded: World) -> None:
    postmaster = embedded.replica.postmaster
    assert postmaster is not None
    with embedded.rain():
        (embedded.replica.data / "postgres" / "postmaster.pid").unlink()
        # It looks once a minute; the signal makes it end at once as it would then.
        os.kill(postmaster, signal.SIGQUIT)
        pause(2)


def test_it_is_killed_while_it_stops(embedded: World) -> None:
    with embedded.rain():
        for wait_s in (0.02, 0.1, 0.3, 0.8):
            assert embedded.replica.pid is not None
            os.kill(embedded.replica.pid, signal.SIGTERM)
            pause(wait_s)
            embedded.replica.kill()
            embedded.replica.start()
            pause(0.5)


def test_rights_are_taken_away_and_given_back(external: World) -> None:
    with external.rain() as sending:
        external.admin("REVOKE ALL ON inbox, deliveries, journal FROM app")
        pause(4)
        answers = sending.answers()
        external.admin("GRANT ALL ON inbox, deliveries, journal TO app")
        assert answers[503] > 0


def test_nobody_is_let_in_any_more_for_a_while(external: World) -> None:
    with external.rain():
        external.admin("ALTER ROLE app NOLOGIN")
        external.admin(SEND_OFF)
        pause(5)
        external.admin("ALTER ROLE app LOGIN")


def test_a_database_that_may_only_be_read_for_a_while(external: World) -> None:
    with external.rain() as sending:
        external.admin("ALTER ROLE app SET default_transaction_read_only = on")
        external.admin(SEND_OFF)
        pause(5)
        answers = sending.answers()
        external.admin("ALTER ROLE app RESET default_transaction_read_only")
        external.admin(SEND_OFF)
        assert answers[503] > 0


def test_every_connection_is_cut_twice_a_second(external: World) -> None:
    with external.rain():
        for _ in range(12):
            external.admin(SEND_OFF)
            pause(0.5)


def test_the_tables_are_locked_for_a_while(external: World) -> None:
    with external.rain() as sending:
        lock = "LOCK TABLE inbox, streams, deliveries IN ACCESS EXCLUSIVE MODE"
        with ThreadPoolExecutor(1) as somebody:
            done = somebody.submit(
                external.admin, f"DO $$ BEGIN {lock}; PERFORM pg_sleep(12); END $$"
            )
            pause(9)
            assert not done.done()
            assert sending.answers()[503] > 0, "nobody is told within nine seconds"


def test_the_processes_are_forgotten(external: World) -> None:
    with external.rain():
        for _ in range(4):
            external.admin("DELETE FROM processes")
            pause(1)


def test_two_that_start_at_once_on_one_folder_are_one_and_a_refusal() -> None:
    with workplace("oddity") as folder, Sink(folder) as sink:
        deploy(folder, sink)
        one, two = Replica(folder, name="one"), Replica(folder, name="two")
        two.data = one.data
        try:
            one.start(wait=False)
            two.start(wait=False)
            wait_for(lambda: one.status is not None or two.status is not None, 60, "a refusal")
            serves, refused = (two, one) if one.status is not None else (one, two)
            serves.wait_until_ready()
            assert refused.status == 1
            assert "Another Tocsin" in refused.output
            assert serves.api.get("/readyz").status_code == 200
        finally:
            for replica in (one, two):
                replica.kill(database=True)


def test_a_first_start_is_killed_again_and_again(folder_of_sink: tuple[Path, Sink]) -> None:
    folder, _ = folder_of_sink
    replica = Replica(folder)
    wait_s = 0.3
    kills = 0
    while True:
        replica.start(wait=False)
        ready = _ready_within(replica, wait_s)
        if ready:
            break
        # Its children too every other time; else they run on beside the next start.
        replica.kill(database=kills % 2 == 0)
        kills += 1
        wait_s += 0.12
    assert kills > 3
    assert replica.api.get("/api/v1/incidents").status_code == 200
    replica.stop()


@pytest.fixture
def folder_of_sink() -> Iterator[tuple[Path, Sink]]:
    with workplace("oddity") as folder, Sink(folder) as sink:
        deploy(folder, sink)
        yield folder, sink


def _ready_within(replica: Replica, seconds: float) -> bool:
    end = now_s() + seconds
    while now_s() < end:
        if replica.is_ready():
            return True
        assert replica.pid is not None, replica.output
        pause(0.01)
    return False
