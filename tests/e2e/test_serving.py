"""Starting, stopping, crashing, refusing: what a person sees who runs ``tocsin serve``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import sys

import httpx2
import pytest

from tests.e2e.programs import ROOT, Process, Tocsin, tocsin, wait_until

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"
SECONDS = """# Small runbook

## Severity levels

### P0 - Critical
- Complete service outage

### P1 - High
- Database connectivity issues

## Escalation

### Escalation Path
1. **On-Call Engineer**: Initial response
2. **Team Lead**: For P1+ incidents

### Escalation Criteria
- P0: Escalate immediately
- P1: Escalate if not resolved in {seconds} seconds
"""


@pytest.fixture
def runbook(tmp_path):
    path = tmp_path / "runbook.md"
    path.write_text(SECONDS.format(seconds=3))
    return path


@pytest.fixture
def data(enterable_dir, request):
    folder = enterable_dir / request.node.name.replace("[", "-").replace("]", "")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def own(server) -> dict[str, str]:
    """Return the headers that a browser sends with a form of our own pages."""
    return {"Origin": server.url}


def refused(*options: str, **environment: str) -> str:
    """Run ``tocsin serve`` where it must refuse; return what it said."""
    process = Process(sys.executable, "-m", "tocsin", "serve", *options, **environment)
    assert process.child.wait(30) == 1, process.output
    wait_until(lambda: process.lines, why="a sentence")
    assert "Traceback" not in process.output
    return process.output


def serving(runbook, data):
    return ("--runbook", str(runbook), "--data", str(data), "--listen", "127.0.0.1:0")


class TestFirstStart:
    def test_tokens_are_written_for_the_owner_only_and_explained(self, runbook, data):
        with tocsin(runbook, data) as server:
            assert stat.S_IMODE((data / "compiled.msgpack").stat().st_mode) == 0o600
            for name in ("admin.token", "ingest.key"):
                assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
                assert (data / name).read_text().strip() not in server.output
                assert name in server.output
            assert "pages appear in the app only" in server.output

    def test_the_printed_link_signs_in_once(self, runbook, data):
        with tocsin(runbook, data) as server, httpx2.Client() as browser:
            link = server.line(r"http://\S+/login/\S+")[0]
            assert browser.get(f"{server.url}/", headers={"Accept": "text/html"}).status_code == 401
            asked = browser.get(link)
            assert "You are the first here, and will be an admin." in asked.text
            answer = browser.post(link, data={"name": "Ona Vale"}, headers=own(server))
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            assert browser.get(f"{server.url}/people").status_code == 200
            with httpx2.Client() as somebody_else:
                again = somebody_else.post(link, data={"name": "Kim"}, headers=own(server))
                assert again.status_code == 410
                assert somebody_else.get(f"{server.url}/").status_code == 401

    def test_a_revoked_file_stays_revoked_until_it_is_removed(self, runbook, data):
        with tocsin(runbook, data) as server:
            link = server.line(r"http://\S+/login/\S+")[0]
            httpx2.post(link, data={"name": "Ona Vale"}, headers=own(server))
            answer = server.api.post("/api/v1/tokens/admin/revoke")
            assert answer.json()["revoked"][0]["kept_in"] == "admin.token"
            assert server.api.get("/api/v1/incidents").status_code == 401
        with tocsin(runbook, data) as again:
            assert "was revoked and opens nothing" in again.output
            assert again.api.get("/api/v1/incidents").status_code == 401
        (data / "admin.token").unlink()
        with tocsin(runbook, data) as fresh:
            assert fresh.api.get("/api/v1/incidents").status_code == 200

    def test_a_token_file_that_a_power_cut_left_empty_gets_a_token(self, runbook, data):
        data.mkdir(mode=0o711)
        for name in ("admin.token", "ingest.key"):
            (data / name).touch(0o600)
        with tocsin(runbook, data) as server:
            assert server.token
            assert server.key
            assert server.api.get("/api/v1/incidents").status_code == 200
            assert stat.S_IMODE((data / "admin.token").stat().st_mode) == 0o600


class TestRefusals:
    def test_a_runbook_that_is_not_there(self, tmp_path, data):
        said = refused(*serving(tmp_path / "none.md", data))
        assert said == f"tocsin: {tmp_path / 'none.md'}: there is no such file or folder."

    def test_a_runbook_with_errors_names_them_and_their_lines(self, runbook, data):
        runbook.write_text(runbook.read_text() + "- P7: Escalate if not resolved in 1 hour\n")
        said = refused(*serving(runbook, data))
        assert re.search(rf"{re.escape(str(runbook))}:\d+:\d+ T\d+ .*P7", said)
        assert "cannot be put in force" in said
        # Nothing was kept in it, so nothing is left of it.
        assert not data.exists()

    def test_a_runbook_with_errors_does_no_harm_to_what_is_there(self, runbook, data):
        good = runbook.read_text()
        with tocsin(runbook, data) as server:
            path = f"/in/{server.key}/api/v2/alerts"
            server.api.post(path, json=[{"labels": {"alertname": "A", "service": "api"}}])
            wait_until(server.incidents, why="an incident to open")
        runbook.write_text(good + "- P7: Escalate if not resolved in 1 hour\n")
        refused(*serving(runbook, data))
        runbook.write_text(good)
        with tocsin(runbook, data) as server:
            assert len(server.incidents()) == 1

    def test_an_unknown_setting(self, runbook, data):
        settings = runbook.with_name("tocsin.toml")
        settings.write_text("[servr]\nurl = 'http://x'\n")
        said = refused(*serving(runbook, data))
        assert said == f"tocsin: {settings}:1: servr is not a setting. Did you mean 'server'?"

    def test_a_port_in_use(self, runbook, data):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = refused(
                "--runbook", str(runbook), "--data", str(data), "--listen", f"127.0.0.1:{port}"
            )
        assert f"127.0.0.1:{port}: cannot listen there" in said
        assert "--listen" in said

    @pytest.mark.root_only
    def test_a_token_that_somebody_else_put_there(self, runbook, data):
        data.mkdir()
        (data / "admin.token").write_text("known-to-somebody-else\n")
        os.chown(data / "admin.token", 65534, 65534)
        said = refused(*serving(runbook, data))
        assert f"{data / 'admin.token'}: belongs to another user" in said

    @pytest.mark.anyio
    async def test_a_database_that_will_never_let_us_in(self, embedded_url_empty, runbook, data):
        url = embedded_url_empty.replace(":", ":wrong", 2).replace(":wrong", ":", 1)
        said = refused(*serving(runbook, data), DATABASE_URL=url)
        assert "The database does not answer: password authentication failed" in said
        assert len(said.splitlines()) == 1

    def test_a_second_server_on_one_data_directory(self, runbook, data):
        with tocsin(runbook, data) as first:
            said = refused(*serving(runbook, data))
            assert str(data) in said
            assert len(said.splitlines()) == 1
            assert first.api.get("/readyz").status_code == 200

    def test_an_address_without_a_port(self, runbook, data):
        said = refused("--runbook", str(runbook), "--data", str(data), "--listen", "here")
        assert "wants HOST:PORT" in said

    @pytest.mark.skipif(os.name != "posix", reason="needs file modes")
    def test_a_file_that_is_not_text(self, runbook, data):
        runbook.write_bytes(b"# x\n\xff\xfe\n")
        assert "is not UTF-8" in refused(*serving(runbook, data))


class TestCrash:
    def test_after_kill_9_the_incident_and_its_timer_are_still_there(self, runbook, data):
        runbook.write_text(SECONDS.format(seconds=4))
        server = Tocsin(runbook, data)
        server.api.post(
            "/api/v2/alerts", json=[{"labels": {"alertname": "Slow", "severity": "P1"}}]
        ).raise_for_status()
        [incident] = wait_until(server.incidents, why="the incident")
        server.kill()
        with tocsin(runbook, data) as again:
            [found] = again.incidents()
            assert found["id"] == incident["id"]
            roles = wait_until(
                lambda: (
                    "Team Lead"
                    in str(again.api.get(f"/api/v1/incidents/{found['id']}").json()["pages"])
                ),
                why="the team lead to be paged after the restart",
            )
            assert roles

    def test_an_alert_answered_with_200_survives_a_kill_at_once(self, runbook, data):
        server = Tocsin(runbook, data)
        alerts = [{"labels": {"alertname": f"A{n}", "service": f"s{n}"}} for n in range(50)]
        server.api.post("/api/v2/alerts", json=alerts).raise_for_status()
        server.kill()
        with tocsin(runbook, data) as again:
            found = wait_until(
                lambda: len(again.incidents()) == 50 and again.incidents(), why="50 incidents"
            )
            assert {i["service"] for i in found} == {f"s{n}" for n in range(50)}

    def test_a_signal_ends_it_quickly_though_a_stream_is_open(self, runbook, data):
        server = Tocsin(runbook, data)
        link = server.line(r"http://\S+/login/\S+")[0]
        with httpx2.Client(timeout=20) as browser:
            browser.post(link, data={"name": "Ona Vale"}, headers=own(server))
            with browser.stream("GET", f"{server.url}/live") as stream:
                assert stream.status_code == 200
                next(stream.iter_raw())
                assert server.stop(signal.SIGTERM, seconds=8) == 0


class TestEditing:
    def test_an_edit_comes_into_force_and_open_incidents_keep_theirs(self, runbook, data):
        runbook.write_text(SECONDS.format(seconds=3000))
        with tocsin(runbook, data) as server:
            old = server.api.get("/api/v1/runbook").json()["revision"]
            post = [{"labels": {"alertname": "Slow", "service": "a", "severity": "P1"}}]
            server.api.post("/api/v2/alerts", json=post).raise_for_status()
            [first] = wait_until(server.incidents, why="the first incident")
            runbook.write_text(SECONDS.format(seconds=6000))
            wait_until(
                lambda: server.api.get("/api/v1/runbook").json()["revision"] != old,
                why="the edit to be in force",
            )
            post[0]["labels"]["service"] = "b"
            server.api.post("/api/v2/alerts", json=post).raise_for_status()
            both = wait_until(
                lambda: len(server.incidents()) == 2 and server.incidents(), why="the second"
            )
            second = next(i for i in both if i["id"] != first["id"])
            waits = {}
            for incident in (first, second):
                path = f"/api/v1/incidents/{incident['id']}/upcoming"
                rungs = [
                    u["name"]
                    for u in server.api.get(path).json()["upcoming"]
                    if u["name"].startswith("rung/")
                ]
                waits[incident["service"]] = rungs
            assert "3000s" in waits["a"][0]
            assert "6000s" in waits["b"][0]

    def test_an_edit_with_errors_is_refused_and_says_so(self, runbook, data):
        with tocsin(runbook, data) as server:
            old = server.api.get("/api/v1/runbook").json()["revision"]
            runbook.write_text(runbook.read_text() + "- P7: Escalate if not resolved in 1 hour\n")
            answer = wait_until(
                lambda: server.api.get("/api/v1/runbook").json()["refused"], why="the refusal"
            )
            assert "P7" in str(answer)
            assert server.api.get("/api/v1/runbook").json()["revision"] == old

    def test_nobody_chooses_the_address_they_are_known_by(self, runbook, data):
        with tocsin(runbook, data) as server:
            claimed = {"X-Forwarded-For": "203.0.113.6", "X-Forwarded-Proto": "https"}
            server.api.get("/api/v1/incidents", headers=claimed)
            wait_until(lambda: "/api/v1/incidents" in server.output, why="the line of the log")
            assert "203.0.113.6" not in server.output

    def test_a_runbook_that_is_taken_away_is_missed_aloud(self, runbook, data):
        with tocsin(runbook, data) as server:
            before = server.api.get("/api/v1/runbook").json()
            words = runbook.read_text()
            runbook.unlink()
            answer = wait_until(
                lambda: server.api.get("/api/v1/runbook").json()["refused"], why="the refusal"
            )
            assert "there is no such file" in str(answer)
            runbook.write_text(words)
            wait_until(
                lambda: server.api.get("/api/v1/runbook").json()["refused"] is None,
                why="the runbook to be back",
            )
            assert server.api.get("/api/v1/runbook").json()["revision"] == before["revision"]


def test_init_makes_something_that_check_and_serve_take(tmp_path, data):
    folder = tmp_path / "mine"
    made = Process(sys.executable, "-m", "tocsin", "init", str(folder))
    assert made.child.wait(30) == 0, made.output
    checked = Process(sys.executable, "-m", "tocsin", "check", str(folder))
    assert checked.child.wait(30) == 0, checked.output
    with tocsin(folder, data) as server:
        assert server.api.get("/readyz").status_code == 200
    again = Process(sys.executable, "-m", "tocsin", "init", str(folder))
    assert again.child.wait(30) != 0
