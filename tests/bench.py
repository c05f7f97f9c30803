"""``make bench``: what the documents claim, measured on this machine, printed as a table.

Nothing here passes or fails: the budget stands beside the figure. Start-up is measured from the
start of the process to its first line of output, which it prints when it answers requests.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benches import deliveries, watching
from tests.core.world import signal, world
from tests.e2e.programs import ROOT, Tocsin
from tests.fakes.webhook import FakeWebhook
from tocsin.core.inputs import ResolvedByPerson

EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"
SETTINGS = """
[people.ona]
contacts = ["webhook:pager"]
[roles]
"On-Call Engineer" = ["ona"]
[webhooks.pager]
url = "{url}"
secret = {{ env = "PAGER_SECRET" }}
[outbound]
allow = ["127.0.0.1"]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=100, help="alerts for the page latency")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    table = Table("what", "budget", "measured", title="Tocsin on this machine")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    folder.chmod(0o711)
    try:
        rows = [
            *_starts(folder),
            *_pages(folder, options.alerts),
            *deliveries.rows(folder),
            *watching.rows(folder),
            *_core(),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _starts(folder: Path) -> list[tuple[str, str, str]]:
    data = folder / "starts"
    first_s, server = _started(data)
    rss_mb = _resident_mb(server)
    server.stop()
    again = []
    for _ in range(5):
        took_s, server = _started(data)
        again.append(took_s)
        server.stop()
    return [
        ("serve ready, first start", "<= 3 s", f"{first_s:.2f} s"),
        ("serve ready, again (median of 5)", "<= 1.5 s", f"{statistics.median(again):.2f} s"),
        ("resident memory of our process, idle", "<= 150 MB", f"{rss_mb:.0f} MB"),
    ]


def _started(data: Path, *options: str, **environment: str) -> tuple[float, Tocsin]:
    began = time.perf_counter()
    server = Tocsin(EXAMPLE, data, *options, **environment)
    return time.perf_counter() - began, server


def _resident_mb(server: Tocsin) -> float:
    time.sleep(3)  # noqa: TID251 - idle means after the start has settled
    status = Path(f"/proc/{server.child.pid}/status").read_text()
    kib = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS"))
    return kib / 1024


def _pages(folder: Path, count: int) -> list[tuple[str, str, str]]:
    """Post one new alert at a time to an idle server; wait for its page at a webhook."""
    with FakeWebhook(secret="bench") as pager:
        settings = folder / "tocsin.toml"
        settings.write_text(SETTINGS.format(url=pager.url))
        _, server = _started(
            folder / "pages",
            "--config",
            str(settings),
            PAGER_SECRET="bench",
        )
        took_ms = []
        for number in range(count + 5):
            now = datetime.now(UTC).isoformat()  # noqa: TID251 - a real sender's time
            labels = {"alertname": "Bench", "service": f"s{number}", "severity": "P2"}
            before = len(pager.calls)
            began = time.perf_counter()
            server.api.post("/api/v2/alerts", json=[{"labels": labels, "startsAt": now}])
            while len(pager.calls) == before:
                time.sleep(0.0005)  # noqa: TID251 - the finest a poll can be without spinning
                if time.perf_counter() - began > 10:
                    raise SystemExit(f"no page within 10 s:\n{server.output}")
            took_ms.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)  # noqa: TID251 - idle between alerts
        server.stop()
    took_ms = sorted(took_ms[5:])
    p50, p99 = statistics.median(took_ms), took_ms[int(len(took_ms) * 0.99) - 1]
    return [
        (f"alert posted to page handed over, p50 of {count}", "", f"{p50:.0f} ms"),
        (f"alert posted to page handed over, p99 of {count}", "<= 100 ms", f"{p99:.0f} ms"),
    ]


def _core() -> list[tuple[str, str, str]]:
    count = 2_000
    began = time.perf_counter()
    for _ in range(count):
        w = world()
        w.receive(signal(severity="P1"))
        w.act("INC-1", ResolvedByPerson("Ona"))
    rate = count / (time.perf_counter() - began)
    return [("core: incidents opened, paged and resolved", "", f"{rate:,.0f} a second")]


if __name__ == "__main__":
    main()
