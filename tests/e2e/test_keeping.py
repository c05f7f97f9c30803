"""Backup, restore and rebuild as a person runs them, beside a server that goes on or comes back."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.proof.harness import Postgres, Replica, Sink, deploy, send, wait_for, workplace
from tests.proof.places import ROOT, query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("keeping")

ALERT = {"labels": {"alertname": "Down", "service": "api", "severity": "P1"}}
OTHER = {"labels": {"alertname": "Slow", "service": "web", "severity": "P1"}}


@pytest.fixture
def folder() -> Iterator[Path]:
    with workplace("keeping") as place:
        yield place


def tocsin(*arguments: object, code: int = 0, database_url: str = "", **environment: str) -> str:
    """Run the command and return what it said; standard output is the second half."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE", "TOCSIN"))}  # noqa: TID251
    if database_url:
        environment["DATABASE_URL"] = database_url
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**inherited, **environment},
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stderr + done.stdout


def paged(sink: Sink) -> list[tuple[str, str]]:
    return [(call.contact, call.title) for call in sink.calls() if call.topic == "page"]


def through(replica: Replica) -> tuple[str, ...]:
    return "--server", replica.url, "--token", replica.token


def open_incidents(replica: Replica) -> list[dict]:
    answer = replica.api.get("/api/v1/incidents").raise_for_status()
    return [each for each in answer.json()["incidents"] if each["is_open"]]


def delivered(replica: Replica) -> list[str]:
    pages = [page for each in open_incidents(replica) for page in each["pages"]]
    return [page["incident"] for page in pages if page["delivered_at"]]


def test_an_incident_goes_on_escalating_in_another_place_after_a_restore(folder: Path) -> None:
    file = folder / "tocsin.backup"
    with Sink(folder) as sink:
        deploy(folder, sink, {"P1": (12, 3600)})
        with Replica(folder) as one:
            send([one], [ALERT], rate=50)
            wait_for(lambda: ("on-call", "Down") in paged(sink), 20, "the first page")
            said = tocsin("backup", file, *through(one))
            assert "It was read again and is whole." in said
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert list(folder.glob(".tocsin*")) == []
            one.kill()
        before = [call.key for call in sink.calls()]
        said = tocsin("restore", file, "--data", folder / "data-two")
        assert "Restored." in said
        with Replica(folder, name="two") as two:
            [incident] = open_incidents(two)
            assert (incident["id"], incident["alert_counts"]["firing"]) == ("INC-1", 1)
            wait_for(lambda: ("lead", "Down") in paged(sink), 40, "the rung after the restore")
            since = [call.key for call in sink.calls()][len(before) :]
            assert len(set(since)) == len(since)
            two.api.post("/api/v1/incidents/INC-1/acknowledge").raise_for_status()
            # The token and the key of the first place still open the second.
            two.api.get(
                "/api/v1/incidents", headers={"Authorization": f"Bearer {one.token}"}
            ).raise_for_status()
            two.api.post(f"/in/{one.key}/api/v2/alerts", json=[OTHER]).raise_for_status()
            wait_for(lambda: len(open_incidents(two)) == 2, 20, "an alert by the first key")
            assert {each["id"] for each in open_incidents(two)} == {"INC-1", "INC-2"}


def test_running_replicas_forget_what_a_restore_took_away(folder: Path) -> None:
    file = folder / "tocsin.backup"
    with Sink(folder) as sink, Postgres(folder / "db") as database:
        deploy(folder, sink)
        with (
            Replica(folder, database.url, name="one") as one,
            Replica(folder, database.url, name="two") as two,
        ):
            send([one], [ALERT], rate=50)
            wait_for(lambda: len(open_incidents(one)) == 1, 20, "an incident")
            tocsin("backup", file, database_url=database.url)
            send([one, two], [OTHER, OTHER], rate=50)
            wait_for(lambda: len(open_incidents(two)) == 2, 20, "another incident")
            said = tocsin("restore", file, database_url=database.url, code=1)
            assert "The database is not empty" in said
            assert len(open_incidents(one)) == 2
            tocsin("restore", file, "--replace", database_url=database.url)
            wait_for(lambda: len(open_incidents(one)) == 1, 20, "what was there before")
            # Both knew this alert for durable, and it is not any more.
            send([one, two], [OTHER, OTHER], rate=50)
            wait_for(lambda: len(open_incidents(two)) == 2, 20, "the alert taken in anew")
            wait_for(lambda: len(open_incidents(one)) == 2, 20, "the same everywhere")


def test_views_are_rebuilt_beside_a_server_that_goes_on(folder: Path) -> None:
    with Sink(folder) as sink:
        deploy(folder, sink, {"P1": (3600,)})
        with Replica(folder) as one:
            send([one], [ALERT, OTHER], rate=50)
            wait_for(lambda: len(delivered(one)) == 2, 20, "two incidents that are quiet for now")
            said = tocsin("rebuild", "--check", *through(one))
            assert "0 that differ, 0 pruned, 0 unreadable." in said
            for damage in (
                "DELETE FROM incidents WHERE id = 'INC-2'",
                "UPDATE incident_alerts SET firing = false WHERE incident = 'INC-1'",
            ):
                asyncio.run(query(one.sql_url, damage))
            said = tocsin("rebuild", "--check", *through(one), code=1)
            assert "incident/INC-1  differs: 1 of its alerts" in said
            assert "incident/INC-2  differs: the view" in said
            assert len(open_incidents(one)) == 1
            said = tocsin("rebuild", *through(one))
            assert "2 made so again" in said
            assert len(open_incidents(one)) == 2
            trail = one.api.get("/api/v1/audit").raise_for_status().text
            assert "POST /api/v1/rebuild" in trail
        said = tocsin("rebuild", "--check", "--data", one.data)
        assert "0 that differ" in said


def test_nothing_is_written_where_there_is_no_database(folder: Path) -> None:
    file = folder / "tocsin.backup"
    said = tocsin("backup", file, "--data", folder / "none", code=1)
    assert "there is no database" in said
    assert not file.exists()
    assert not (folder / "none").exists()
    assert list(folder.iterdir()) == []


def test_a_damaged_file_makes_no_database(folder: Path) -> None:
    file = folder / "tocsin.backup"
    file.write_bytes(b'{"tocsin_backup":1,"step":1,"version":"0.1.0","at":"x"}\n{"ta')
    said = tocsin("restore", file, "--data", folder / "new", code=1)
    assert "cut off" in said
    assert not (folder / "new").exists()
    said = tocsin("restore", folder / "none", "--data", folder / "new", code=1)
    assert "cannot be read: No such file" in said


def test_a_backup_needs_the_scope_admin_and_stands_on_the_audit_trail(folder: Path) -> None:
    with Sink(folder) as sink:
        deploy(folder, sink)
        with Replica(folder) as one:
            refused = tocsin("backup", "-", "--server", one.url, "--token", one.key, code=1)
            assert "does not have the scope admin" in refused
            tocsin("backup", folder / "x", *through(one))
            [act] = [
                each
                for each in one.api.get("/api/v1/audit").raise_for_status().json()["audit"]
                if each["action"] == "GET /api/v1/backup" and each["status"] == 200
            ]
            assert act["actor"] == "admin"
