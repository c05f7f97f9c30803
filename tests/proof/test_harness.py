"""The parts of the proofs do what the proofs take for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.proof.figures import Figures
from tests.proof.harness import (
    Postgres,
    Replica,
    Sending,
    Sink,
    Trouble,
    deploy,
    send,
    wait_for,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("proof")


@pytest.fixture
def folder() -> Iterator[Path]:
    with workplace("harness") as place:
        yield place


def alerts(count: int, services: int = 1) -> list[dict]:
    return [
        {"labels": {"alertname": f"A{n}", "service": f"s{n % services}", "severity": "P1"}}
        for n in range(count)
    ]


def test_a_replica_pages_up_the_ladder_and_is_killed_and_started_again(folder: Path) -> None:
    with Sink(folder) as sink:
        deploy(folder, sink, {"P1": (2, 3)})
        with Replica(folder) as replica:
            [accepted] = send([replica], alerts(1), rate=100)
            assert accepted.tries == 1
            wait_for(sink.calls, 10, "the first page")
            replica.kill(database=True)
            assert replica.postmaster is None
            assert replica.status == -9
            replica.start()
            calls = wait_for(lambda: len(sink.calls()) >= 3 and sink.calls(), 30, "three pages")
            assert [call.contact for call in calls[:3]] == ["on-call", "lead", "manager"]
            assert len({call.key for call in calls}) == len(calls)
            assert {call.incident for call in calls} == {"INC-1"}
            [row] = replica.api.get("/api/v1/incidents").raise_for_status().json()["incidents"]
            assert row["id"] == "INC-1"


def test_a_replica_dies_at_the_point_that_it_was_told(folder: Path) -> None:
    with Sink(folder) as sink:
        deploy(folder, sink)
        replica = Replica(folder, crash_at="turn.nowhere:1")
        with pytest.raises(Trouble, match=r"no crash point called 'turn\.nowhere'"):
            replica.start()


def test_a_database_of_somebody_else_is_stopped_in_every_way_and_keeps_its_rows(
    folder: Path,
) -> None:
    with Postgres(folder / "pg") as database:
        database.query("CREATE TABLE kept (n int)")
        for n, how in enumerate(("fast", "immediate", "kill", "smart")):
            database.query("INSERT INTO kept VALUES ($1)", n)
            database.restart(how)  # type: ignore[arg-type] # one of its words
        assert len(database.query("SELECT n FROM kept")) == 4
        assert database.query("SHOW fsync")[0][0] == "on"
        assert database.query("SHOW max_connections")[0][0] == "200"
        database.freeze()
        database.thaw()
        wrong = database.url.replace(":", ":x", 2).replace(":x//", "://")
        with pytest.raises(asyncpg.InvalidPasswordError):
            _ask(wrong)


def _ask(url: str) -> None:
    import asyncio

    from tests.proof.harness import query

    asyncio.run(query(url, "SELECT 1"))


def test_the_sink_answers_as_told_and_keeps_what_it_was_sent(folder: Path) -> None:
    with Sink(folder) as sink:
        sink.answer(status=503)
        sending = Sending(folder, [f"{sink.url}/lead"], alerts(20), 1000, per_request=5)
        wait_for(sink.calls, 5, "a call")
        sink.answer(status=200)
        sending.wait(10)
        assert len(sending.accepted()) == 20
        assert max(a.tries for a in sending.accepted()) > 1
        assert sending.answers()[503] > 0
        assert sending.answers()[200] == 4
        assert {call.contact for call in sink.calls()} == {"lead"}


def test_a_sender_sends_again_until_somebody_listens(folder: Path) -> None:
    with Sink(folder) as sink:
        inlets = ["http://127.0.0.1:9/nobody", f"{sink.url}/somebody"]
        accepted = send(inlets, alerts(40), rate=2000, per_request=1)
        assert sorted(a.number for a in accepted) == list(range(40))
        assert any(a.tries > 1 for a in accepted)
        with pytest.raises(Trouble, match="of 1 alerts 0 were accepted"):
            send(inlets[:1], alerts(1), rate=1, seconds_max=1)


def test_a_figure_outside_of_its_budget_fails_the_proof(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = Figures("crash", scale="20 kills", seed=7)
    figures.add("alerts lost", 0, "0", ok=True)
    assert figures.finish() == 0
    figures.add("escalations missed", 1, "0", ok=False)
    assert figures.finish(write=True) == 1
    assert "BROKEN" in capsys.readouterr().out
    assert "| escalations missed | 1 | 0 |" in figures.block()
    assert "20 kills; seed 7." in figures.block()
