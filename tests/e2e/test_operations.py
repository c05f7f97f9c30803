"""What somebody does who looks after a server: ask the doctor, try contacts, watch it break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from tests.e2e.programs import ROOT, Process, Tocsin, tocsin, wait_until
from tests.fakes.webhook import FakeWebhook

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"
SETTINGS = """
[people.ona]
name = "Ona Vale"
contacts = ["webhook:pager"]
[roles]
"On-Call Engineer" = ["ona"]
[webhooks.pager]
url = "{pager}"
secret = {{ env = "PAGER_SECRET" }}
[outbound]
allow = ["127.0.0.1"]
"""


def command(server: Tocsin, *arguments: str) -> tuple[int, str]:
    """Run a command against a server; return its status and all it said."""
    program = Process(
        sys.executable, "-m", "tocsin", *arguments,
        TOCSIN_SERVER=server.url, TOCSIN_TOKEN=server.token,
    )  # fmt: skip
    status = program.child.wait(120)
    wait_until(lambda: program.lines, why="a word")
    return status, program.output


def checks(server: Tocsin) -> dict[tuple[str, str], str]:
    """Return what the doctor says, by what it is about and how that is."""
    _, said = command(server, "doctor", "--format", "json")
    found: list[dict[str, Any]] = json.loads(said)["checks"]
    return {(c["about"], c["verdict"]): c["says"] for c in found}


def test_a_contact_is_tried_by_the_way_that_pages_go(enterable_dir, tmp_path):
    with FakeWebhook() as pager:
        settings = tmp_path / "tocsin.toml"
        settings.write_text(SETTINGS.format(pager=pager.url))
        data = enterable_dir / "e2e-contacts"
        with tocsin(EXAMPLE, data, "--config", str(settings), PAGER_SECRET=pager.secret) as server:
            assert "1 contact has never been used" in checks(server)["contacts", "warning"]

            assert command(server, "contacts", "test", "ona") == (
                0,
                "webhook:pager: delivered. Did it arrive?",
            )
            [call] = pager.calls
            assert call.body["topic"] == "test"
            assert call.body["title"] == "Test message from Tocsin. Nothing is wrong"
            assert call.body["links"] == {"acknowledge": None, "room": None}
            assert "delivered" in command(server, "contacts")[1]
            assert ("contacts", "warning") not in checks(server)

            # Its address moved: the channel's own word is passed on, and the doctor remembers.
            pager.fail(404)
            status, said = command(server, "contacts", "test", "Ona Vale")
            assert status == 1
            assert said.startswith("webhook:pager: failed. ")
            assert "webhook:pager (Ona Vale) failed" in checks(server)["contacts", "problem"]
            assert server.incidents() == []


def test_a_frozen_database_is_named_by_the_doctor_the_metrics_and_readyz(enterable_dir):
    data = enterable_dir / "e2e-frozen"
    with tocsin(EXAMPLE, data) as server:
        assert server.api.get("/metrics").status_code == 200
        postgres = [int((data / "postgres" / "postmaster.pid").read_text().split()[0])]
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(postgres[0])],
            capture_output=True,
            text=True,
            check=True,
        )
        postgres += [int(pid) for pid in found.stdout.split()]
        for pid in postgres:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: server.api.get("/readyz").status_code == 503, why="it to be missed")
            assert server.api.get("/readyz").json()["why"].startswith("The database d")
            assert server.api.head("/healthz").status_code == 200
            wait_until(
                lambda: "\ntocsin_database_up 0.0\n" in server.api.get("/metrics").text,
                why="the metrics to say so",
            )
            said = checks(server)
            assert list(said) == [("database", "problem")]
        finally:
            for pid in postgres:
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: server.api.get("/readyz").status_code == 200, why="it to be back")
        assert ("database", "ok") in checks(server)


def test_a_replica_that_is_frozen_or_killed_is_missed_by_the_other(enterable_dir, tmp_path):
    from tests.proof.postgres import Postgres

    with Postgres(enterable_dir / "e2e-lost-postgres") as postgres:
        one, two = enterable_dir / "e2e-lost-one", enterable_dir / "e2e-lost-two"
        with tocsin(EXAMPLE, one, DATABASE_URL=postgres.url) as first:
            second = Tocsin(EXAMPLE, two, DATABASE_URL=postgres.url)
            assert checks(first)["processes", "ok"] == "2 are alive: 2 all."
            os.kill(second.child.pid, signal.SIGSTOP)
            said = wait_until(
                lambda: checks(first).get(("processes", "warning")), why="it to be missed"
            )
            assert "has shown no life for" in str(said)
            status, words = command(second, "doctor", "--data", str(two))
            assert status == 1
            assert "takes connections but did not answer" in words
            second.kill()
