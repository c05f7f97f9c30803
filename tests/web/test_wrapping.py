"""What holds for every request: the cap, the headers, the log, the answer when nobody is home."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
import structlog

from tests.web.site import PUBLIC_URL, Site, served
from tocsin.core.inputs import IncidentDeclared
from tocsin.web.bodies import BODY_BYTES_MAX
from tocsin.web.guard import declared_routes
from tocsin.web.wrapping import SAFE_HEADERS, masked

pytestmark = pytest.mark.anyio


# -- Bodies ----------------------------------------------------------------------------------------


async def _raw(url: str, head: list[str], chunks: list[bytes]) -> tuple[int, bytes]:
    """Send a request by hand and return the status and the whole answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write("\r\n".join([*head, "", ""]).encode())
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass  # The server need not read to the end of what it refuses.
    async with asyncio.timeout(10):
        answer = await reader.read(65_536)
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/api/v1/incidents", "/api/v1/reports"])
async def test_a_body_announced_too_long_is_refused_before_it_is_read(
    site: Site, path: str
) -> None:
    async with served(site.app) as url:
        status, answer = await _raw(
            url,
            [
                f"POST {path} HTTP/1.1",
                "Host: x",
                f"Authorization: Bearer {site.tokens['admin']}",
                f"Content-Length: {BODY_BYTES_MAX + 1}",
            ],
            [],
        )
    assert status == 413
    assert b"1,048,576 bytes" in answer
    assert b"connection: close" in answer.lower()


async def test_a_chunked_body_is_refused_once_it_is_too_long(site: Site) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with served(site.app) as url:
        head = [
            "POST /api/v2/alerts HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {site.tokens['ingest']}",
            "Transfer-Encoding: chunked",
        ]
        status, _ = await _raw(url, head, [chunk] * 17)
        assert status == 413
        status, _ = await _raw(url, head, [b"2\r\n[]\r\n", b"0\r\n\r\n"])
        assert status == 200


async def test_a_body_of_just_the_size_is_read(site: Site) -> None:
    body = b"[" + b" " * (BODY_BYTES_MAX - 2) + b"]"
    assert (await site.ask("POST", "/api/v2/alerts", content=body)).status_code == 200
    assert (await site.ask("POST", "/api/v2/alerts", content=body + b" ")).status_code == 413


async def test_a_compressed_body_is_not_unpacked(site: Site) -> None:
    bomb = gzip.compress(b"[" + b" " * 10_000_000 + b"]")
    for path in ("/api/v2/alerts", "/api/v1/incidents"):
        answer = await site.ask("POST", path, content=bomb, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 415


# -- Headers ---------------------------------------------------------------------------------------


async def test_every_answer_tells_browsers_to_trust_nothing_but_us(site: Site) -> None:
    answers = [
        await site.ask("GET", "/api/v1/incidents"),
        await site.http.get("/api/v1/incidents"),
        await site.http.get("/nowhere"),
        await site.ask("PATCH", "/api/v1/incidents"),
        await site.http.get("/healthz"),
        await site.http.get("/login", headers={"Accept": "text/html"}),
        await site.ask("POST", "/api/v2/alerts", content=b" " * (BODY_BYTES_MAX + 1)),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 405, 200, 200, 413]
    for answer in answers:
        assert answer.headers["content-security-policy"] == SAFE_HEADERS["Content-Security-Policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        # Pages say where they come from: without it some browsers call our own forms foreign.
        assert answer.headers["referrer-policy"] in ("no-referrer", "strict-origin")
    assert "unsafe" not in SAFE_HEADERS["Content-Security-Policy"]


async def test_a_defect_of_ours_answers_500_in_the_same_dress(site: Site) -> None:
    site.app.state.lookout = None
    answer = await site.ask("GET", "/metrics")
    assert answer.status_code == 500
    assert "defect" in answer.json()["error"]["hint"]
    assert "Traceback" not in answer.text
    for name, value in SAFE_HEADERS.items():
        assert answer.headers[name] == value


# -- The log ---------------------------------------------------------------------------------------


async def test_no_secret_reaches_the_log(site: Site) -> None:
    key, token = site.tokens["ingest"], site.tokens["admin"]
    link = site.context.signer.ack_token("INC-1", "priya", site.context.clock.now())
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("GET", f"/in/{key}/api/v2/alerts", {}),
        ("GET", f"/in/{key}/nowhere", {}),
        ("POST", f"{PUBLIC_URL}//in/{key}/api/v2/alerts", {}),
        ("GET", f"/%69n/{key}/api/v2/alerts", {}),
        ("GET", f"/ack/{link}", {}),
        ("GET", f"/login/{token}", {}),
        ("GET", f"/api/v1/incidents?token={token}", {"Authorization": f"Bearer {token}"}),
    ]
    with structlog.testing.capture_logs() as lines:
        for method, path, headers in requests:
            await site.http.request(method, path, headers=headers)
    said = repr(lines)
    assert len([line for line in lines if line["event"] == "request"]) == len(requests)
    for secret in (key, token, link):
        assert secret not in said
    assert lines[0]["path"] == "/in/***/api/v2/alerts"
    assert lines[0]["caller"] == "ingest"
    assert lines[0]["status"] == 200


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/in/KEY/api/v2/alerts", "/in/***/api/v2/alerts"),
        ("/in/KEY", "/in/***"),
        ("//in//KEY/x", "//in//***/x"),
        ("/ack/TOKEN", "/ack/***"),
        ("/login/SECRET", "/login/***"),
        ("/proxied/in/KEY/api/v2/alerts", "/proxied/in/***/api/v2/alerts"),
        ("/IN/KEY/api/v2/alerts", "/IN/***/api/v2/alerts"),
        ("/incidents/INC-1", "/incidents/INC-1"),
        ("/inside/out", "/inside/out"),
        ("/" + "x" * 999, "/" + "x" * 299),
    ],
)
def test_paths_are_masked(path: str, shown: str) -> None:
    assert masked(path) == shown


# -- Nobody home -----------------------------------------------------------------------------------


async def test_without_a_database_senders_are_told_to_come_again(site: Site) -> None:
    # The key is remembered, so that the sender gets as far as the commit.
    assert (await site.ask("POST", "/api/v2/alerts", "ingest", content="[]")).status_code == 200
    await site.context.database.close()
    sent = [{"labels": {"alertname": "A", "service": "api"}}]
    answer = await site.ask("POST", "/api/v2/alerts", "ingest", json=sent)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "database" in answer.json()


async def test_without_a_database_nobody_gets_in(site: Site) -> None:
    await site.context.database.close()
    for route in declared_routes(site.app):
        if route.needs is None:
            continue
        path = route.path.replace("{ingest_key}", site.tokens["admin"])
        answer = await site.ask(min(route.methods), path)
        assert answer.status_code == 503, path


async def test_without_a_database_we_are_alive_and_not_ready(site: Site) -> None:
    assert (await site.http.get("/readyz")).json() == {"status": "ready"}
    assert (await site.http.get("/-/ready")).text == "OK"
    await site.context.database.close()
    assert (await site.http.get("/healthz")).status_code == 200
    assert (await site.http.get("/-/healthy")).text == "OK"
    answer = await site.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"] == "The database does not answer."
    assert (await site.http.get("/-/ready")).status_code == 503


# -- Metrics ---------------------------------------------------------------------------------------


async def test_metrics_count_what_came_and_what_stands(site: Site) -> None:
    body = '[{"labels":{"alertname":"A","service":"api","severity":"critical"}},{"labels":{}}]'
    await site.ask("POST", "/api/v2/alerts", "ingest", content=body)
    await site.ask("POST", "/api/v1/reports", "ingest", json={"title": "It is slow"})
    await site.context.engine.declare("web", IncidentDeclared("Down", "ana", "P0"))
    answer = await site.ask("GET", "/metrics", "reader")
    assert answer.headers["content-type"].startswith("text/plain")
    values = _values(answer.text)
    signals = 'tocsin_signals_total{{outcome="{}",sender="ingest",source="{}"}}'
    assert values[signals.format("accepted", "prometheus")] == 1
    assert values[signals.format("accepted", "report")] == 1
    assert values[signals.format("quarantined", "prometheus")] == 1
    assert values["tocsin_quarantined"] == 1
    assert values['tocsin_incidents_open{severity="P0"}'] >= 1
    assert values["tocsin_timer_oldest_due_seconds"] == 0
    assert "tocsin_alerts_firing" in values
    assert 'tocsin_inputs_waiting{priority="others"}' in values


def _values(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in found, "a series is exposed twice"
            found[name] = float(value)
    return found


async def test_errors_have_one_shape_outside_of_alertmanagers_routes(site: Site) -> None:
    def shape(text: str) -> Any:
        return json.loads(text)

    assert set(shape((await site.http.get("/nowhere")).text)) == {"error"}
    assert set(shape((await site.http.get("/api/v1/incidents")).text)["error"]) == {
        "message",
        "hint",
    }
    assert isinstance(shape((await site.http.get("/api/v2/alerts")).text), str)
    assert isinstance(shape((await site.http.get("/in/wrong/api/v2/alerts")).text), str)
