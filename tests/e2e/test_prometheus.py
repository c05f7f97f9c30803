"""The spine: a real Prometheus drives an incident from the first alert to its post-mortem."""

from __future__ import annotations

import re

import httpx2
import pytest

from tests.e2e.programs import ROOT, backend, program, prometheus, tocsin, wait_until
from tests.fakes.slack import FakeSlack
from tests.fakes.smtp import FakeSmtp

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"

SETTINGS = """
[people.ona]
contacts = ["email:ona@team.test"]
[people.tomas]
contacts = ["slack:U0TOMAS"]
[people.edda]
contacts = ["email:edda@team.test"]
[people.cyrus]
contacts = ["email:cyrus@team.test"]
[roles]
"On-Call Engineer" = ["ona"]
"Team Lead" = ["tomas"]
"Engineering Manager" = ["edda"]
"CTO" = ["cyrus"]
[audiences]
team = ["email:team@team.test"]
users = ["email:users@team.test"]
[slack]
token = {{ env = "SLACK_TOKEN" }}
api_url = "{slack}"
[email]
host = "127.0.0.1"
port = {smtp}
tls = "none"
from = "tocsin@team.test"
[paging]
repeat_every = "1h"
[incidents]
stability = "2s"
[outbound]
allow = ["127.0.0.1"]
"""

PROMETHEUS = """
global:
  scrape_interval: 250ms
  evaluation_interval: 250ms
rule_files: [rules.yml]
scrape_configs:
  - job_name: backend
    static_configs: [{{targets: ["{backend}"]}}]
alerting:
  alertmanagers:
    - scheme: http
      path_prefix: /in/{key}/
      static_configs: [{{targets: ["{tocsin}"]}}]
"""

RULES = """
groups:
  - name: api
    rules:
      - alert: ApiAllEndpointsFailing
        expr: backend_healthy == 0
        labels: {service: backend}
        annotations:
          summary: All API endpoints are returning 500
"""


def host(url: str) -> str:
    return url.removeprefix("http://")


def test_a_real_prometheus_drives_an_incident_from_alert_to_postmortem(enterable_dir, tmp_path):
    program("prometheus")
    with FakeSmtp() as smtp, FakeSlack(token="xoxb-e2e") as slack, backend() as service:
        settings = tmp_path / "tocsin.toml"
        settings.write_text(SETTINGS.format(slack=slack.api_url, smtp=smtp.port))
        data = enterable_dir / "e2e-prometheus"
        with (
            tocsin(EXAMPLE, data, "--config", str(settings), SLACK_TOKEN="xoxb-e2e") as server,
            prometheus(
                tmp_path,
                PROMETHEUS.format(backend=host(service), key=server.key, tocsin=host(server.url)),
                RULES,
            ),
        ):
            assert server.incidents() == []
            httpx2.post(f"{service}/break").raise_for_status()

            # Graded by the runbook's own words.
            [incident] = wait_until(server.incidents, why="an incident to open")
            assert incident["severity"] == "P0"
            assert incident["service"] == "backend"
            assert incident["severity_because"]["quote"]

            # Paged and told: exactly whom the runbook names, and nobody else.
            mails = smtp.wait_for(4, timeout_s=20)
            to = sorted(m.recipients[0] for m in mails)
            assert to == [
                "edda@team.test", "ona@team.test", "team@team.test", "users@team.test",
            ]  # fmt: skip
            messages = slack.wait_for(2, timeout_s=20)
            assert sorted(m.channel for m in messages) == ["#neurocred-incidents", "U0TOMAS"]

            # Acknowledged from the page itself: looking at it does nothing, the button does.
            page = next(m for m in mails if m.recipients == ("ona@team.test",))
            link = re.search(r"http://\S+/ack/\S+", page.text)[0]
            assert httpx2.get(link).status_code == 200
            assert server.incidents()[0]["acknowledged_at"] is None
            answer = httpx2.post(link, headers={"Origin": server.url})
            assert answer.status_code < 400
            state = server.api.get(f"/api/v1/incidents/{incident['id']}").json()
            assert (state["phase"], state["acknowledged_by"]) == ("acknowledged", "ona")

            # Mended: all alerts resolved, watched, resolved.
            httpx2.post(f"{service}/mend").raise_for_status()
            wait_until(
                lambda: server.incidents(phase="resolved"), why="the incident to be resolved"
            )

            told = [entry["text"] for entry in server.timeline(incident["id"])]
            assert any("acknowledged" in t for t in told)
            assert any(t.startswith("Monitoring") for t in told)

            # Whoever was told hears the end, and still nobody else hears anything.
            smtp.wait_for(6, timeout_s=20)
            slack.wait_for(3, timeout_s=20)
            everybody = {m.recipients[0] for m in smtp.mails} | {m.channel for m in slack.messages}
            assert everybody == {*to, "#neurocred-incidents", "U0TOMAS"}
            assert len(smtp.mails) == 6
            assert len(slack.messages) == 3

            written = server.api.get(f"/api/v1/incidents/{incident['id']}/postmortem").text
            assert "ona" in written
            assert re.search(r"Resolution", written)


@pytest.mark.parametrize("way", ["path", "bearer"])
def test_amtool_adds_queries_and_silences(enterable_dir, tmp_path, way):
    amtool = program("amtool")
    import subprocess

    with tocsin(EXAMPLE, enterable_dir / f"e2e-amtool-{way}") as server:
        options = [f"--alertmanager.url={server.url}/in/{server.key}/"]
        config = tmp_path / "http.yml"
        config.write_text(f"authorization:\n  type: Bearer\n  credentials: {server.token}\n")
        admin = [f"--alertmanager.url={server.url}", f"--http.config.file={config}"]
        if way == "bearer":
            options = admin

        def run(*arguments: str, ok: bool = True) -> str:
            done = subprocess.run(
                [amtool, *arguments], capture_output=True, text=True, timeout=30, check=False
            )
            assert (done.returncode == 0) is ok, done.stdout + done.stderr
            return done.stdout

        run(*options, "alert", "add", "DiskFull", "service=store", "severity=P2")
        [incident] = wait_until(server.incidents, why="an incident to open")
        assert (incident["severity"], incident["service"]) == ("P2", "store")
        assert "DiskFull" in run(*options, "alert", "query", "service=store")

        silencing = ["silence", "add", "--comment=quiet", "--duration=1h", "service=cache"]
        if way == "path":
            run(*options, *silencing, ok=False)
            return
        silence = run(*options, *silencing).strip()
        run(*options, "alert", "add", "CacheCold", "service=cache", "severity=P0")
        assert silence in run(*options, "silence", "query", "-q")
        assert "CacheCold" in run(*options, "alert", "query", "--silenced", "service=cache")
        assert len(server.incidents()) == 1
        run(*options, "silence", "expire", silence)
        wait_until(lambda: len(server.incidents()) == 2, why="what still fires to be handled")
