"""A real Prometheus takes us for its Alertmanager, by a path prefix or with a Bearer token."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.web.site import Site, eventually, running, served

pytestmark = pytest.mark.anyio

RULES = """\
groups:
- name: always
  rules:
  - alert: AlwaysFiring
    expr: vector(1)
    labels: {service: api, severity: critical}
    annotations: {summary: It always fires}
"""
CONFIG = """\
global: {{evaluation_interval: 250ms}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - static_configs: [{{targets: ["{target}"]}}]
    {way}
"""


@pytest.mark.parametrize("way", ["path", "bearer"])
async def test_prometheus_sends_and_an_incident_opens(site: Site, tmp_path: Path, way: str) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    key = site.tokens["ingest"]
    line = (
        f"path_prefix: /in/{key}/" if way == "path" else f'authorization: {{credentials: "{key}"}}'
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with served(site.app) as url:
        target = url.removeprefix("http://")
        (tmp_path / "rules.yml").write_text(RULES)
        (tmp_path / "prometheus.yml").write_text(CONFIG.format(target=target, way=line))
        arguments = [
            program,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--rules.alert.resend-delay=500ms",
            "--log.level=error",
        ]
        with running(arguments):

            async def opened() -> list[dict[str, str]]:
                answer = await site.ask("GET", "/api/v1/incidents")
                found: list[dict[str, str]] = answer.json()["incidents"]
                return found

            [incident] = await eventually(opened, within_s=30)

            async def resent() -> bool:
                text = (await site.ask("GET", "/metrics")).text
                series = "tocsin_signals_total{"
                counts = [line for line in text.splitlines() if line.startswith(series)]
                return sum(float(line.rpartition(" ")[2]) for line in counts) >= 3

            # It keeps sending, which is one alert and one incident all the same.
            await eventually(resent, within_s=30)
            assert len(await opened()) == 1
    assert (incident["severity"], incident["service"]) == ("P0", "api")
    [alert] = (await site.ask("GET", "/api/v1/alerts")).json()["alerts"]
    assert alert["sender"] == "ingest"
    assert alert["labels"]["alertname"] == "AlwaysFiring"
