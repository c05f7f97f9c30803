"""How long a start takes, how much memory an idle process has, and how soon a page is handed over.

Start-up is measured from the start of the process to its first line of output, which it prints when
it answers requests.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.benches.shares import Row, in_ms, in_s, percentile
from tests.e2e.programs import ROOT, Tocsin
from tests.fakes.webhook import FakeWebhook

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


def starts(folder: Path, again_times: int = 5) -> list[Row]:
    """Return how long the first start takes, and the following ones."""
    data = folder / "starts"
    first_s, server = _started(data)
    rss_mb = _resident_mb(server)
    server.stop()
    again = []
    for _ in range(again_times):
        took_s, server = _started(data)
        again.append(took_s)
        server.stop()
    again_s = statistics.median(again)
    return [
        ("serve ready, first start", "<= 3 s", in_s(first_s)),
        (f"serve ready, again (median of {again_times})", "<= 1.5 s", in_s(again_s)),
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


def pages(folder: Path, count: int = 100) -> list[Row]:
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
        took = []
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
            took.append(time.perf_counter() - began)
            time.sleep(0.05)  # noqa: TID251 - idle between alerts
        server.stop()
    took = took[5:]
    what = "alert posted to page handed over"
    return [
        (f"{what}, p50 of {count}", "", in_ms(percentile(took, 50))),
        (f"{what}, p99 of {count}", "<= 100 ms", in_ms(percentile(took, 99))),
    ]
