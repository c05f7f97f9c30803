"""The same requests to a real Alertmanager and to us must be answered alike."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio import to_thread

from tests.web.site import Site, eventually, running, served

pytestmark = pytest.mark.anyio

CONFIG = """\
route:
  receiver: tocsin
  group_by: [service]
receivers:
- name: tocsin
"""
NOW = datetime.now(UTC)  # noqa: TID251 - the real Alertmanager has no other clock
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def _at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
async def oracle(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A real Alertmanager of its own."""
    program = _program("prometheus-alertmanager")
    (tmp_path / "am.yml").write_text(CONFIG)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [
        f"--config.file={tmp_path / 'am.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with running([program, *arguments]):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def ready() -> bool:
                with contextlib.suppress(httpx2.HTTPError):
                    return (await http.get("/-/ready")).status_code == 200
                return False

            await eventually(ready, within_s=20)
            yield http


ALERTS: list[dict[str, Any]] = [
    {
        "labels": {"alertname": "ApiDown", "service": "api", "empty": ""},
        "annotations": {"summary": "no answer"},
        "startsAt": _at(EARLIER),
        "generatorURL": "http://prometheus.test/graph",
    },
    {"labels": {"alertname": "Slow", "service": "api", "pod": "p-1"}, "endsAt": _at(LATER)},
    {"labels": {"alertname": "Full", "service": "db"}, "startsAt": "0001-01-01T00:00:00.000Z"},
]


def _silence(**change: Any) -> dict[str, Any]:
    return {
        "matchers": [{"name": "service", "value": "db", "isRegex": False}],
        "startsAt": _at(NOW),
        "endsAt": _at(LATER),
        "createdBy": "ana",
        "comment": "deploy",
        **change,
    }


# What may differ: ids, hashes and instants that each server makes up for itself.
_MADE_UP = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{16}\b|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
)


def _alike(answer: httpx2.Response) -> tuple[int, Any]:
    """Return what must be the same: the status, and the body without what is made up."""
    text = _MADE_UP.sub("*", answer.text).replace('\\"', "'")  # Quotes within a sentence.
    try:
        body = json.loads(text)
    except ValueError:
        return answer.status_code, text
    if isinstance(body, list):
        # Both sort alerts by fingerprints, which are our own hash here and theirs there.
        body = sorted(
            (_sorted_group(each) for each in body),
            key=lambda each: json.dumps(each, sort_keys=True),
        )
    return answer.status_code, body


def _sorted_group(each: Any) -> Any:
    if isinstance(each, dict) and "alerts" in each:
        key = json.dumps
        return {**each, "alerts": sorted(each["alerts"], key=lambda a: key(a, sort_keys=True))}
    return each


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/api/v2/alerts", None),
    ("GET", "/api/v2/alerts/groups", None),
    ("GET", '/api/v2/alerts?filter=service="api"', None),
    ("GET", "/api/v2/alerts?filter=service%3D~%22a.i%7Cx%22&filter=pod%3D%22%22", None),
    ("GET", "/api/v2/alerts?filter=alertname!=Slow", None),
    ("GET", "/api/v2/alerts?filter=alertname!~%22S.*%22", None),
    ("GET", "/api/v2/alerts?active=false", None),
    ("GET", "/api/v2/alerts?silenced=false", None),
    ("GET", "/api/v2/alerts?active=maybe", None),
    ("GET", "/api/v2/alerts?receiver=toc.*", None),
    ("GET", "/api/v2/alerts?receiver=other", None),
    ("GET", "/api/v2/alerts?filter=bad", None),
    ("GET", "/api/v2/alerts/groups?filter=service=db", None),
    ("GET", "/api/v2/receivers", None),
    ("GET", "/api/v2/silences", None),
    ("GET", "/api/v2/silences?filter=service=db", None),
    ("GET", "/api/v2/silences?filter=service=api", None),
    ("GET", "/api/v2/silence/11111111-1111-4111-8111-111111111111", None),
    ("POST", "/api/v2/alerts", []),
    ("POST", "/api/v2/alerts", [{"labels": {}}]),
    ("POST", "/api/v2/alerts", [{"labels": {"a": ""}}]),
    ("POST", "/api/v2/alerts", [{"labels": {"a b": "c"}}]),
    (
        "POST",
        "/api/v2/alerts",
        [{"labels": {"a": "b"}, "startsAt": _at(LATER), "endsAt": _at(EARLIER)}],
    ),
    ("POST", "/api/v2/silences", _silence(startsAt=_at(LATER), endsAt=_at(NOW))),
    (
        "POST",
        "/api/v2/silences",
        _silence(startsAt=_at(EARLIER - timedelta(hours=1)), endsAt=_at(EARLIER)),
    ),
    (
        "POST",
        "/api/v2/silences",
        _silence(matchers=[{"name": "a", "value": "", "isRegex": False}]),
    ),
    ("POST", "/api/v2/silences", _silence(id="11111111-1111-4111-8111-111111111111")),
    ("GET", "/-/healthy", None),
    ("GET", "/-/ready", None),
]


async def test_we_answer_as_a_real_alertmanager_does(
    site: Site, oracle: httpx2.AsyncClient
) -> None:
    ours = httpx2.AsyncClient(
        transport=site.http._transport,
        base_url="http://tocsin.test",
        headers=site.bearer("admin"),
    )
    names: list[str] = []
    for server in (oracle, ours):
        answer = await server.post("/api/v2/alerts", json=ALERTS)
        assert (answer.status_code, answer.content) == (200, b"")
        answer = await server.post("/api/v2/silences", json=_silence())
        assert set(answer.json()) == {"silenceID"}
        names.append(answer.json()["silenceID"])
        await eventually(lambda server=server: _settled(server))
    for method, path, body in REQUESTS:
        theirs, mine = [
            _alike(await server.request(method, path, json=body)) for server in (oracle, ours)
        ]
        assert mine == theirs, (method, path, body)
    # By id: shown, ended, shown as ended, ended once more.
    for method in ("GET", "DELETE", "GET", "DELETE"):
        theirs, mine = [
            _alike(await server.request(method, f"/api/v2/silence/{name}"))
            for server, name in zip((oracle, ours), names, strict=True)
        ]
        assert mine == theirs, method
    theirs, mine = [(await server.get("/api/v2/status")).json() for server in (oracle, ours)]
    assert _shape(mine) == _shape(theirs)


async def _settled(server: httpx2.AsyncClient) -> bool:
    """Say whether all alerts are listed, in groups too, which a dispatcher makes in its own time."""
    found = (await server.get("/api/v2/alerts")).json()
    groups = (await server.get("/api/v2/alerts/groups")).json()
    return len(found) == 3 and len(groups) == 2


def _shape(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _shape(value) for key, value in node.items()}
    return type(node).__name__


# -- amtool, beyond what the end-to-end tests do ---------------------------------------------------


@pytest.fixture
async def amtool(site: Site) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that runs amtool against us; credentials go into the address."""
    program = _program("amtool")
    async with served(site.app) as url:

        async def run(*arguments: str, name: str = "admin", path: bool = False) -> Any:
            token = site.tokens[name]
            address = f"{url}/in/{token}/" if path else url.replace("//", f"//amtool:{token}@")
            command = [program, f"--alertmanager.url={address}", *arguments]
            return await to_thread.run_sync(
                lambda: subprocess.run(
                    command, capture_output=True, text=True, timeout=30, check=False
                )
            )

        yield run


@pytest.mark.parametrize("path", [False, True])
async def test_amtool_reads_our_status_and_our_configuration(
    amtool: Callable[..., Any], path: bool
) -> None:
    for name in ("admin", "ingest"):
        done = await amtool("config", "show", name=name, path=path)
        assert done.returncode == 0, done.stderr
        assert "receiver: tocsin" in done.stdout
        assert (await amtool("config", "routes", name=name, path=path)).returncode == 0
        assert (await amtool("cluster", "show", name=name, path=path)).returncode == 0


async def test_amtool_changes_and_filters_silences(amtool: Callable[..., Any]) -> None:
    arguments = ("silence", "add", "--comment=c", "--author=ana", "--duration=1h", "service=~a.*")
    name = (await amtool(*arguments)).stdout.strip()
    assert re.fullmatch(r"[0-9a-f-]{36}", name)
    done = await amtool("silence", "update", "--duration=3h", "--comment=longer", name)
    assert done.returncode == 0, done.stderr
    done = await amtool("silence", "query", "-o", "json", "--created-by=ana")
    [found] = json.loads(done.stdout)
    assert found["comment"] == "longer"
    assert found["matchers"] == [
        {"name": "service", "value": "a.*", "isRegex": True, "isEqual": True}
    ]
    done = await amtool("silence", "expire", found["id"])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((await amtool("silence", "query", "-o", "json")).stdout or "[]") == []


async def test_amtool_hears_why_it_is_refused(amtool: Callable[..., Any]) -> None:
    arguments = ("silence", "add", "--comment=c", "--duration=1h", "service=api")
    for path in (False, True):
        done = await amtool(*arguments, name="ingest", path=path)
        assert done.returncode != 0
        assert "403" in done.stderr or "Forbidden" in done.stderr, done.stderr
    done = await amtool("alert", "query", name="useless")
    assert done.returncode != 0
