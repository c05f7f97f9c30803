"""Hundreds of connections that mean harm, and a real server that good clients do not notice it by."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.programs import ROOT, Tocsin, tocsin

RUNBOOK = ROOT / "examples" / "neurocred" / "incident-response.md"
SECONDS = 6.0
OF_EACH_KIND = 25
# Generous: the suite shares its processors with everything else.
GOOD_WITHIN_S = 5.0
GROWTH_MB_MAX = 80


@pytest.fixture
def server(enterable_dir: Path) -> Tocsin:
    with tocsin(RUNBOOK, enterable_dir / "hostile") as running:
        yield running


def test_hundreds_of_hostile_connections_harm_nobody(server: Tocsin) -> None:
    took_s, statuses, grown_mb = asyncio.run(_besiege(server))
    assert set(statuses) == {200}, statuses
    assert len(statuses) >= 3
    took_s.sort()
    assert took_s[int(len(took_s) * 0.99)] < GOOD_WITHIN_S, took_s
    assert grown_mb < GROWTH_MB_MAX
    # And when they are gone everything is as before.
    assert server.api.get("/readyz").status_code == 200
    assert "Traceback" not in server.output
    names = {a["labels"]["alertname"] for a in server.api.get("/api/v2/alerts").json()}
    assert names == {f"Good{n}" for n in range(len(statuses))}


async def _besiege(server: Tocsin) -> tuple[list[float], list[int], float]:
    port = int(server.url.rpartition(":")[2])
    before_mb = _resident_mb(server)
    most_mb = before_mb
    took_s: list[float] = []
    statuses: list[int] = []
    async with _enemies(port, server.key), _good(server) as good:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            began = time.monotonic()
            alert = {"labels": {"alertname": f"Good{len(statuses)}", "service": "good"}}
            # A connection for each, as a load balancer's health check would.
            answer = await good.post("/api/v2/alerts", content=json.dumps([alert]))
            statuses.append(answer.status_code)
            took_s.append(time.monotonic() - began)
            most_mb = max(most_mb, _resident_mb(server))
            await asyncio.sleep(0.1)
    return took_s, statuses, most_mb - before_mb


@contextlib.asynccontextmanager
async def _good(server: Tocsin) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_keepalive_connections=0)
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx2.AsyncClient(
        base_url=server.url, headers=headers, limits=limits, timeout=20
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def _enemies(port: int, key: str) -> AsyncIterator[None]:
    arguments = ("-m", "tests.e2e.enemies", str(port), key, str(OF_EACH_KIND))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=pipe, stdout=pipe, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert await process.stdout.readline() == b"here we are\n"
        yield
        assert process.returncode is None
    finally:
        process.stdin.close()
        await process.wait()


def _resident_mb(server: Tocsin) -> float:
    rows = Path(f"/proc/{server.child.pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024
