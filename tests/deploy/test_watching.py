"""A real Prometheus watches a real Tocsin by the shipped rules, and sees what goes wrong."""

from __future__ import annotations

import re

import httpx2

from tests.deploy.test_rules import RULES, alerts, expressions, name_of
from tests.e2e.programs import ROOT, program, prometheus, tocsin, wait_until
from tests.fakes.webhook import FakeWebhook

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"
SETTINGS = """
[people.ona]
name = "Ona Vale"
contacts = ["webhook:pager"]
[roles]
"On-Call Engineer" = ["ona"]
"Team Lead" = ["ona"]
[webhooks.pager]
url = "{pager}"
secret = {{ env = "PAGER_SECRET" }}
[outbound]
allow = ["127.0.0.1"]
"""
CONFIG = """
global:
  scrape_interval: 500ms
  evaluation_interval: 500ms
rule_files: [rules.yml]
scrape_configs:
  - job_name: tocsin
    authorization: {{credentials: "{token}"}}
    static_configs: [{{targets: ["{target}"]}}]
"""
# Said only once there is something to say of, by a name that the rules and panels know.
_NOT_OURS = {"ALERTS", "up"}
_METRIC = re.compile(r"\b(?:tocsin|process)_[a-z_]+\b|\bup\b|\bALERTS\b")


def quickly(rules: str) -> str:
    """Return the rules as they are, but evaluated twice a second and without waiting long."""
    rules = rules.replace("interval: 15s", "interval: 500ms")
    return re.sub(r"^( +for:) .*$", r"\1 1s", rules, flags=re.MULTILINE)


def test_a_prometheus_finds_every_metric_and_sees_a_failing_contact(enterable_dir, tmp_path):
    program("prometheus")
    with FakeWebhook() as pager:
        settings = tmp_path / "tocsin.toml"
        settings.write_text(SETTINGS.format(pager=pager.url))
        data = enterable_dir / "deploy-watching"
        with (
            tocsin(EXAMPLE, data, "--config", str(settings), PAGER_SECRET=pager.secret) as server,
            prometheus(
                tmp_path,
                CONFIG.format(token=server.token, target=server.url.removeprefix("http://")),
                quickly(RULES.read_text("utf-8")),
            ) as watcher,
        ):

            def ask(path: str, **query: str) -> list | dict:
                answer = httpx2.get(f"{watcher}/api/v1/{path}", params=query, timeout=10)
                assert answer.status_code == 200, answer.text
                return answer.json()["data"]

            def firing() -> set[str]:
                found = ask("alerts")["alerts"]
                return {a["labels"]["alertname"] for a in found if a["state"] == "firing"}

            loaded = [r["name"] for g in ask("rules")["groups"] for r in g["rules"]]
            assert loaded == [name_of(alert) for alert in alerts()]

            # All is well: one incident, paged, and no rule has anything to say.
            alert = {"labels": {"alertname": "Down", "service": "api", "severity": "critical"}}
            path = f"/in/{server.key}/api/v2/alerts"
            server.api.post(path, json=[alert]).raise_for_status()
            pager.wait_for(1)
            wait_until(
                lambda: ask("query", query='sum(tocsin_deliveries_total{outcome="delivered"}) > 0')[
                    "result"
                ],
                why="the delivery to be counted",
            )
            wait_until(lambda: firing() == set(), why="all to be well")

            # Every metric that the rules and the dashboard name is really there.
            told = "\n".join([*(a.partition("annotations:")[0] for a in alerts()), *expressions()])
            names = set(_METRIC.findall(told)) - _NOT_OURS
            assert len(names) > 35
            # Senders are written down, and what is too old is looked for, a minute after the start.
            wait_until(
                lambda: names <= set(ask("label/__name__/values")),
                seconds=150,
                why=f"all metrics, of which there are {names}",
            )
            # And what is asked for has an answer.
            empty = []
            for expression in expressions():
                if not ask("query", query=expression)["result"]:
                    empty.append(expression)
            # Nothing failed and no rule fires; all else has a value.
            assert all("delivered" in e or "ALERTS" in e for e in empty), empty

            # The pager goes away: it is refused, seen, and said.
            pager.fail(404, times=50)
            alert["labels"]["service"] = "web"
            server.api.post(path, json=[alert]).raise_for_status()
            wait_until(
                lambda: {"TocsinDeliveriesFail", "TocsinContactFails"} <= firing(),
                why="the rules to see it",
            )
