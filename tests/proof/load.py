"""``make load``: what comes in is taken in, and where it cannot be, nobody else suffers for it.

First five senders together send 500 requests a second for ten minutes, each
a few alerts: most only repeat, one in ten brings a new one, each of which ends a minute later. Then
five times as much is offered, nearly all of it by one key over 1,200 connections and all of that
new, while four quiet keys send one request a second each. A connection that waits for its answer
sends nothing more, so that what the flood cannot deliver is counted apart.

What must hold:

- no answer but 2xx and 503, every 503 with Retry-After, and no connection cut;
- the quiet keys are accepted at the first try, always, and within a second (99 in 100, counted from
  when the request was due);
- the memory of our process is flat: what it holds a tenth of the time after the beginning it holds
  at the end, but for what it remembers of each new alert;
- every accepted alert is paged, which means: once nothing waits any more, it stands on an incident,
  and a page of that incident came to the sink. An incident pages once for all its alerts, which is
  why most alerts have services in common; one in forty has a service, and so a page, of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import secrets
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.proof.flood import FloodPlan, SenderPlan, SenderReport, labels_of
from tests.proof.harness import (
    ROOT,
    Figures,
    Replica,
    Sink,
    Trouble,
    arguments,
    deploy,
    now_s,
    pause,
    query,
    wait_for,
    workplace,
)
from tocsin.integrations.inbound.alertmanager import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEMS = ("eu", "us", "asia", "lab", "edge")
QUIET = ("quiet-1", "quiet-2", "quiet-3", "quiet-4")
NOISY = "noisy"
SAMPLE_S = 0.5
REMEMBERED_BYTES = 2_000
"""What one alert may cost our memory: it is remembered, so that its repeats are cheap."""


class Memory:
    """The resident memory of a process, sampled twice a second, in MB."""

    def __init__(self, pid: int) -> None:
        self.samples: list[float] = []
        self._file = Path(f"/proc/{pid}/status")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.samples.append(self.now())

    def now(self) -> float:
        rows = self._file.read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def growth(self) -> float:
        """Return how much more it holds in the last tenth of the time than after the first."""
        tenth = max(1, len(self.samples) // 10)
        begin, end = self.samples[tenth : 2 * tenth], self.samples[-tenth:]
        return statistics.median(end) - statistics.median(begin)


class Flood:
    """A flood at work in its own process."""

    def __init__(self, folder: Path, plan: FloodPlan) -> None:
        self.plan = plan
        self.folder = folder / plan.name
        self.folder.mkdir()
        (self.folder / "flood.json").write_bytes(msgspec.json.encode(plan))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.flood", str(self.folder)], cwd=ROOT
        )

    def reports(self) -> dict[str, SenderReport]:
        """Wait for its end and return what became of each sender."""
        try:
            status = self._process.wait(self.plan.seconds + 60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise Trouble(f"the flood {self.plan.name} does not end") from None
        if status:
            raise Trouble(f"the flood {self.plan.name} ended with {status}")
        found = msgspec.json.decode(
            (self.folder / "report.json").read_bytes(), type=list[SenderReport]
        )
        return {report.name: report for report in found}


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    scale = (
        f"{options.rate:,} requests/s for {options.seconds:g} s, "
        f"then {5 * options.rate:,} for {options.overload_seconds:g} s"
    )
    figures = Figures("load", scale=scale)
    with workplace("load", keep=options.keep) as folder, Sink(folder) as sink:
        deploy(folder, sink, {"P2": ()}, repeat_every="never")
        with Replica(folder) as replica:
            keys = asyncio.run(_grant(replica.sql_url, [*SYSTEMS, *QUIET, NOISY]))
            _prove(options, figures, folder, sink, replica, keys)
            if "Traceback" in replica.output or '"level": "error"' in replica.output:
                figures.add("errors in the log", replica.log, "none", ok=False)
    return figures.finish(write=options.write)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = arguments("load", __doc__)
    parser.add_argument("--rate", type=int, default=0, help="requests a second (500)")
    parser.add_argument("--seconds", type=float, default=0, help="of the steady load (600)")
    parser.add_argument("--overload-seconds", type=float, default=0, help="(120)")
    parser.add_argument("--p99", type=float, default=0, help="seconds for the quiet keys (1)")
    parser.add_argument("--keep", action="store_true", help="keep the files of the run")
    options = parser.parse_args(argv)
    usual = (150, 8.0, 6.0, 10.0) if options.short else (500, 600.0, 120.0, 1.0)
    for name, value in zip(("rate", "seconds", "overload_seconds", "p99"), usual, strict=True):
        setattr(options, name, getattr(options, name) or value)
    return options


def _prove(
    options: argparse.Namespace,
    figures: Figures,
    folder: Path,
    sink: Sink,
    replica: Replica,
    keys: dict[str, str],
) -> None:
    assert replica.pid is not None
    memory = Memory(replica.pid)
    steady = _steady(replica.port, options.rate, options.seconds, keys)
    overload = _overload(replica.port, options.rate, options.overload_seconds, keys)
    reports = Flood(folder, steady).reports()
    memory.stop()
    fresh = sum(len(report.accepted) for report in reports.values())
    _say_load(figures, "steady", steady, reports.values())
    growth_mb = memory.growth()
    allowed_mb = 16 + fresh * REMEMBERED_BYTES / 1_048_576
    figures.add(
        "steady: memory of our process, growth",
        f"{growth_mb:+.1f} MB, to {memory.samples[-1]:.0f} MB",
        f"<= {allowed_mb:.0f} MB",
        ok=growth_mb <= allowed_mb,
    )
    waited_s = _drain(replica, options)
    figures.add("steady: all decided after the last request", f"{waited_s:.1f} s")
    paged = _paged(sink, replica, steady, reports)
    figures.add(*paged)

    memory = Memory(replica.pid)
    flooded = Flood(folder, overload).reports()
    _say_load(figures, "overload", overload, flooded.values())
    _say_quiet(figures, [flooded[name] for name in QUIET], options.p99)
    noisy = flooded[NOISY]
    figures.add("overload: noisy key, accepted", f"{len(noisy.accepted):,} of {noisy.offered:,}")
    waited_s = _drain(replica, options)
    memory.stop()
    figures.add("overload: all decided after the last request", f"{waited_s:.1f} s")
    figures.add(
        "overload: memory of our process, highest",
        f"{max(memory.samples):.0f} MB",
        "<= 400 MB",
        ok=max(memory.samples) <= 400,
    )
    figures.add(*_paged(sink, replica, overload, flooded))


def _steady(port: int, rate: int, seconds: float, keys: dict[str, str]) -> FloodPlan:
    senders = [
        SenderPlan(
            name=name,
            key=keys[name],
            rate=rate / len(SYSTEMS),
            connections=16,
            fresh=0.1,
            repeats=4,
            services=8,
            solo=40,
        )
        for name in SYSTEMS
    ]
    return FloodPlan(port, seconds, senders, "steady")


def _overload(port: int, rate: int, seconds: float, keys: dict[str, str]) -> FloodPlan:
    quiet = [
        SenderPlan(
            name, keys[name], 1.0, connections=4, fresh=1.0, repeats=2, services=1, given_up_s=60
        )
        for name in QUIET
    ]
    noisy = SenderPlan(
        NOISY, keys[NOISY], 5.0 * rate, connections=1_200, fresh=1.0, repeats=0, services=20
    )
    return FloodPlan(port, seconds, [*quiet, noisy], "overload")


def _say_load(
    figures: Figures, phase: str, plan: FloodPlan, reports: Sequence[SenderReport]
) -> None:
    reports = list(reports)
    answers: dict[str, int] = {}
    for report in reports:
        for status, number in report.answers.items():
            answers[status] = answers.get(status, 0) + number
    said = ", ".join(f"{number:,} x {status}" for status, number in sorted(answers.items()))
    offered = sum(report.offered for report in reports)
    given_up = sum(report.given_up for report in reports)
    rate = sum(answers.values()) / plan.seconds
    figures.add(f"{phase}: offered", f"{offered:,}; no connection was free for {given_up:,}")
    figures.add(f"{phase}: answers", f"{said}; {rate:,.0f}/s")
    wrong = sum(n for status, n in answers.items() if status[0] != "2" and status != "503")
    figures.add(f"{phase}: answers but 2xx and 503", wrong, "0", ok=wrong == 0)
    broken = sum(report.broken for report in reports)
    figures.add(f"{phase}: connections cut, answers missing", broken, "0", ok=broken == 0)
    silent = sum(report.without_retry_after for report in reports)
    figures.add(f"{phase}: 503 without Retry-After", silent, "0", ok=silent == 0)
    took = sorted(t for report in reports for t in report.latencies)
    if took:
        figures.add(f"{phase}: answered within, p50 / p99", f"{_at(took, 50)} / {_at(took, 99)}")


def _say_quiet(figures: Figures, quiet: Sequence[SenderReport], p99_s: float) -> None:
    offered = sum(report.offered for report in quiet)
    accepted = sum(n for r in quiet for status, n in r.answers.items() if status[0] == "2")
    figures.add(
        "overload: quiet keys, accepted", f"{accepted} of {offered}", "100%", accepted == offered
    )
    took = sorted(t for report in quiet for t in report.latencies)
    figures.add(
        "overload: quiet keys, answered within, p50 / p99 / most",
        f"{_at(took, 50)} / {_at(took, 99)} / {took[-1] * 1000:,.0f} ms",
        f"p99 <= {p99_s:g} s",
        ok=took[min(len(took) - 1, int(len(took) * 0.99))] <= p99_s,
    )


def _at(ordered: Sequence[float], percent: int) -> str:
    return f"{ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000:,.0f} ms"


def _drain(replica: Replica, options: argparse.Namespace) -> float:
    """Wait until nothing waits and everything due was delivered; return how long that took."""
    began = now_s()

    def is_empty() -> bool:
        [row] = asyncio.run(
            query(
                replica.sql_url,
                "SELECT (SELECT count(*) FROM inbox WHERE done_at IS NULL)"
                " + (SELECT count(*) FROM deliveries WHERE state = 'pending') AS left",
            )
        )
        pause(0.2)
        return row["left"] == 0

    wait_for(is_empty, 120 + options.seconds, "the inbox to be empty and all pages to be taken")
    return now_s() - began


def _paged(
    sink: Sink, replica: Replica, plan: FloodPlan, reports: dict[str, SenderReport]
) -> tuple[str, str, str, bool]:
    """Return the figure: accepted alerts that are on no incident, or on one that paged nobody."""
    placed = {
        row["fingerprint"]: row["incident"]
        for row in asyncio.run(
            query(replica.sql_url, "SELECT fingerprint, incident FROM incident_alerts")
        )
    }
    paged = {call.incident for call in sink.calls() if call.topic == "page" and call.status == 200}
    accepted = lost = unpaged = 0
    incidents = set()
    for sender in plan.senders:
        for number in reports[sender.name].accepted:
            labels = labels_of(plan.name, sender.name, number, sender.services, sender.solo)
            incident = placed.get(fingerprint_of(labels))
            accepted += 1
            incidents.add(incident)
            if incident is None:
                lost += 1
            elif incident not in paged:
                unpaged += 1
    return (
        f"{plan.name}: alerts accepted and not paged",
        f"{lost} on no incident, {unpaged} on one that paged nobody; "
        f"of {accepted:,} on {len(incidents):,} incidents",
        "0",
        lost == unpaged == 0,
    )


async def _grant(url: str, names: Sequence[str]) -> dict[str, str]:
    """Make an ingest key for each name."""
    keys = {name: secrets.token_urlsafe(24) for name in names}
    for name, key in keys.items():
        digest = hashlib.sha256(key.encode()).digest()
        await query(
            url, "INSERT INTO grants (hash, name, scopes) VALUES ($1, $2, '{ingest}')", digest, name
        )
    return keys


if __name__ == "__main__":
    sys.exit(main())
