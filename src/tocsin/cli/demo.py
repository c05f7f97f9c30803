"""``tocsin demo``: a real backend breaks, and the example runbook runs. Nothing here is staged.

The backend is a process of its own; a small watcher asks it for its health and posts alerts to
Tocsin as Prometheus would; pages leave through the signed webhook and arrive at the team's pagers,
notices leave for a channel and for mailboxes, all of them in the backend's process; the on-call
engineer presses the link in the page. What is printed is the incident's own timeline, read from the
API. Only the clock is helped: an hour of the runbook passes in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from rich.console import Console
from rich.text import Text

from tocsin.app import CannotStart, Plan, give_up_on_signal, running, stop_on_signal
from tocsin.cli.backend import UNTIL_EOF
from tocsin.cli.main import examples
from tocsin.cli.serving import DEFAULT_LISTEN, configure_logging, plan_of
from tocsin.config import Settings
from tocsin.core.surroundings import Contact, Directory, Person, Tuning, role_key
from tocsin.engine.outbound import SmtpServer
from tocsin.engine.system import SystemClock, SystemIds
from tocsin.integrations.wire import (
    Credentials,
    EmailCredentials,
    Secret,
    SlackCredentials,
    WebhookTarget,
)
from tocsin.store import access
from tocsin.store.embedded import reachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from tocsin.app import Running

HOUR_PASSES_IN_S = 6
QUIET_WATCH_S = 4
STORY_S_MAX = 60.0
_PEOPLE = {
    "ona": ("Ona Vale", "On-Call Engineer"),
    "tomas": ("Tomas Reed", "Team Lead"),
    "edda": ("Edda Marsh", "Engineering Manager"),
    "cyrus": ("Cyrus Hale", "CTO"),
}
_STAGES = {
    "IncidentOpened": "Detected",
    "SeverityGraded": "Graded",
    "NoticeAsked": "Told",
    "PageAsked": "Paged",
    "IncidentAcknowledged": "Acknowledged",
    "AlertCleared": "Fixed",
    "IncidentResolved": "Resolved",
}


async def play(listen: str | None, data: Path | None, *, once: bool) -> None:
    """Run the demo; with ``once`` return when the post-mortem is written.

    Raises CannotStart when it cannot, or when the story does not come to its end.
    """
    console = Console(highlight=False, soft_wrap=True)
    folder = data or _default_folder(console)
    folder.mkdir(parents=True, exist_ok=True)
    runbook = folder / "incident-response.md"
    if not runbook.exists():
        shutil.copyfile(examples() / "incident-response.md", runbook)
    configure_logging(folder / "tocsin.log")
    give_up_on_signal()
    async with _backend() as (backend, mail_port):
        plan = _plan(listen, folder, runbook, backend, mail_port)
        async with running(plan) as server:
            await _tell(console, plan, server, backend)
            if once:
                return
            stop_on_signal(server.stop)
            console.print()
            console.print(f"Tocsin stays up at {server.url}. The board, signed in once:")
            console.print(f"  {server.login_url}", style="bold")
            console.print(f"The runbook is {runbook}: edit it and see it recompiled.")
            console.print("Stop with Ctrl-C.")
            await server.stop.wait()


async def _tell(console: Console, plan: Plan, server: Running, backend: str) -> None:
    console.print("Tocsin demo", style="bold")
    console.print(f"  Runbook  {plan.runbook}")
    console.print(f"  Tocsin   {server.url}")
    console.print(f"  Backend  {backend}, a real process with /healthz and /metrics")
    console.print(
        f"  Hours are shortened: one hour of the runbook passes in {HOUR_PASSES_IN_S} s, "
        f"the quiet watch lasts {QUIET_WATCH_S} s.",
        style="dim",
    )
    console.print()
    story = _Story(console, server, backend)
    try:
        async with asyncio.timeout(STORY_S_MAX), asyncio.TaskGroup() as group:
            watching = group.create_task(story.watch())
            await story.run(plan.data)
            watching.cancel()
    except TimeoutError:
        raise CannotStart(
            f"The demo did not come to its end in {STORY_S_MAX:.0f} s. "
            f"What happened stands in {plan.data / 'tocsin.log'}."
        ) from None
    finally:
        await story.close()


class _Story:
    """The acts of the demo, and the narrator who reads the timeline aloud."""

    def __init__(self, console: Console, server: Running, backend: str) -> None:
        self.console = console
        self.server = server
        self.backend = httpx2.AsyncClient(base_url=backend, timeout=5)
        self.tocsin = httpx2.AsyncClient(
            base_url=server.url,
            timeout=10,
            headers={"Authorization": f"Bearer {server.admin_token}"},
        )
        self.clock = SystemClock()
        self.began = self.clock.now()
        self.incident = ""
        self.told = 0
        self.stages: set[str] = set()

    async def close(self) -> None:
        await self.backend.aclose()
        await self.tocsin.aclose()

    async def run(self, folder: Path) -> None:
        await self._clear_table()
        await self.backend.get("/")
        self._act("The backend answers. Now it is broken on purpose.")
        await self.backend.post("/break")
        await self._until_opened()
        link = await self._page_of("ona")
        self._act("Ona's telephone shows the page. She opens its link and acknowledges.")
        answer = await httpx2.AsyncClient(timeout=10).post(
            link, headers={"Origin": self.server.url}
        )
        if answer.status_code >= 400:
            raise CannotStart(f"The acknowledgement link answered {answer.status_code}.")
        await self._until("acknowledged_at")
        await self._sign_in_as("Ona Vale")
        await self._post("phase", phase="investigating")
        await self._post("notes", text="Every request answers 500 because of the last deploy.")
        await self._narrate()
        await asyncio.sleep(1)
        self._act("The backend is mended.")
        await self._post("phase", phase="fixing")
        await self.backend.post("/mend")
        await self._until("resolved_at")
        response = await self.tocsin.get(f"/api/v1/incidents/{self.incident}/postmortem")
        response.raise_for_status()
        file = folder / f"post-mortem-{self.incident}.md"
        file.write_text(response.text, encoding="utf-8")
        self.console.print()
        self.console.print(f"Post-mortem written: {file}", style="bold")

    async def _clear_table(self) -> None:
        """Resolve what an interrupted demo left open in this folder, so that this one begins."""
        found = await self.tocsin.get("/api/v1/incidents", params={"service": "backend"})
        for incident in found.raise_for_status().json()["incidents"]:
            if incident["phase"] not in ("resolved", "reviewed"):
                self._act(f"An earlier demo left {incident['id']} open. It is resolved first.")
                self.incident = incident["id"]
                await self._post("resolve", because="left over from an earlier demo")
        self.incident = ""

    async def watch(self) -> None:
        """Ask the backend for its health, and post alerts as Prometheus would."""
        key = self.server.ingest_key
        failing_since: datetime | None = None
        posted: bool | None = None
        while True:
            health = await self.backend.get("/healthz")
            root = await self.backend.get("/api/v1/score")
            failing = health.status_code != 200 and root.status_code != 200
            now = self.clock.now()
            if failing and failing_since is None:
                failing_since = now
            if failing != posted and (failing or posted):
                ends = now + timedelta(minutes=5) if failing else now
                alerts = _alerts(failing_since or now, ends)
                response = await self.tocsin.post(f"/in/{key}/api/v2/alerts", json=alerts)
                response.raise_for_status()
                posted = failing
                failing_since = failing_since if failing else None
            await asyncio.sleep(0.25)

    async def _until_opened(self) -> None:
        while not self.incident:
            found = (await self.tocsin.get("/api/v1/incidents")).json()["incidents"]
            fresh = [i for i in found if i["opened_at"] >= self.began.isoformat()[:19]]
            if fresh:
                self.incident = fresh[0]["id"]
            await asyncio.sleep(0.05)
        await self._narrate()

    async def _page_of(self, person: str) -> str:
        """Wait for the page at that person's pager; return its link."""
        while True:
            for page in (await self.backend.get(f"/pages/{person}")).json():
                link = page["links"]["acknowledge"]
                if page["incident"] == self.incident and link:
                    await self._narrate()
                    return str(link)
            await asyncio.sleep(0.05)

    async def _sign_in_as(self, name: str) -> None:
        """From now on act under that name, with a token that may respond and nothing more."""
        token = SystemIds().secret()
        async with self.server.database.transaction() as connection:
            await access.grant(connection, name, token, ("read", "respond"))
        self.tocsin.headers["Authorization"] = f"Bearer {token}"

    async def _until(self, field: str) -> None:
        while True:
            state = (await self.tocsin.get(f"/api/v1/incidents/{self.incident}")).json()
            await self._narrate()
            if state.get(field):
                return
            await asyncio.sleep(0.1)

    async def _post(self, what: str, **body: str) -> None:
        path = f"/api/v1/incidents/{self.incident}/{what}"
        (await self.tocsin.post(path, json=body)).raise_for_status()

    async def _narrate(self) -> None:
        path = f"/api/v1/incidents/{self.incident}/timeline"
        entries: list[dict[str, Any]] = (await self.tocsin.get(path)).json()["timeline"]
        for entry in entries[self.told :]:
            line = Text(f"{self._elapsed():>7}  ")
            stage = _STAGES.get(entry["event"], "")
            if entry["event"] == "PhaseChanged" and entry["text"].startswith("Monitoring"):
                stage = "Watched"
            if stage in self.stages:
                stage = ""
            self.stages.add(stage)
            # "Paged" stands in the column already where the sentence begins with it.
            text = entry["text"].removeprefix(stage).lstrip(": ") if stage else entry["text"]
            line.append(f"{stage:<13}", style="bold")
            line.append(text)
            if entry.get("words"):
                line.append(f": “{entry['words']}”")
            if entry.get("line"):
                line.append(f"  L{entry['line']} “{entry.get('quote', '')}”", style="blue")
            self.console.print(line)
        self.told = len(entries)

    def _act(self, sentence: str) -> None:
        self.console.print(Text(f"{self._elapsed():>7}  {'':<13}{sentence}", style="italic dim"))

    def _elapsed(self) -> str:
        return f"{(self.clock.now() - self.began).total_seconds():.1f} s"


def _alerts(starts: datetime, ends: datetime) -> list[dict[str, Any]]:
    labels = {"service": "backend", "namespace": "neurocred-prod", "job": "backend"}
    span = {"startsAt": starts.isoformat(), "endsAt": ends.isoformat()}
    return [
        {
            "labels": {"alertname": "ApiAllEndpointsFailing", **labels},
            "annotations": {"summary": "All API endpoints are returning 500"},
            **span,
        },
        {
            "labels": {"alertname": "HealthCheckFailing", **labels},
            "annotations": {"summary": "Health checks of the backend are failing"},
            **span,
        },
    ]


def _plan(listen: str | None, folder: Path, runbook: Path, backend: str, mail_port: int) -> Plan:
    chosen = listen or (DEFAULT_LISTEN if _is_free(DEFAULT_LISTEN) else "127.0.0.1:0")
    plan = plan_of(runbook, None, folder, chosen, "")
    return replace(plan, settings=_settings(backend, mail_port), shorten_by=3600 / HOUR_PASSES_IN_S)


def _settings(backend: str, mail_port: int) -> Settings:
    people = {
        key: Person(key, name, (Contact("webhook", key),)) for key, (name, _) in _PEOPLE.items()
    }
    channel = "webhook:#neurocred-incidents"
    secret = Secret(SystemIds().secret())
    return Settings(
        directory=Directory(
            people=people,
            roles={role_key(role): (key,) for key, (_, role) in _PEOPLE.items()},
            audiences={
                name: (Contact("email", f"{name}@neurocred.example"),) for name in ("team", "users")
            },
            channels={role_key("#neurocred-incidents"): Contact("slack", channel)},
        ),
        tuning=Tuning(repeat_every_s=300, stability_s=QUIET_WATCH_S),
        credentials=Credentials(
            slack=SlackCredentials(webhooks={channel: Secret(f"{backend}/slack")}),
            email=EmailCredentials("tocsin@neurocred.example"),
            webhooks={
                key: WebhookTarget(Secret(f"{backend}/pager/{key}"), secret) for key in people
            },
        ),
        smtp=SmtpServer("127.0.0.1", mail_port, "none"),
        outbound_allow=("127.0.0.1",),
    )


def _default_folder(console: Console) -> Path:
    """Return ./tocsin-demo, or a fresh folder where the database's user may not go there."""
    here = Path("tocsin-demo")
    blocked = reachable(here.absolute())
    if blocked is None:
        return here
    folder = Path(tempfile.mkdtemp(prefix="tocsin-demo-", dir="/var/tmp"))
    folder.chmod(0o711)
    console.print(
        f"The user who runs the database may not enter {blocked}, so the demo's files are in {folder}."
    )
    return folder


def _is_free(listen: str) -> bool:
    import socket

    host, _, port = listen.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True


@contextlib.asynccontextmanager
async def _backend() -> AsyncIterator[tuple[str, int]]:
    """Run the backend process; yield its address and its mail port; end it afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.cli.backend", UNTIL_EOF),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None  # it was asked for
        async with asyncio.timeout(10):
            ports = (await process.stdout.readline()).decode().split()
        if len(ports) != 2:
            raise CannotStart("The demo's backend process did not start.")
        yield f"http://127.0.0.1:{ports[0]}", int(ports[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
