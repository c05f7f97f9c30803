"""People at work while everything is being killed: they acknowledge, note, resolve and silence.

Each tries again until told that it is done, as a person presses a button again, and remembers what
was done, so that the end can be compared with it.
"""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self

import httpx2
import msgspec

from tests.proof.places import now_s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.proof.reckoning import Reckoning
    from tests.proof.replica import Replica

_TRY_AGAIN_S = 0.25
Kind = Literal["acknowledge", "notes", "resolve", "silence"]


class Act(msgspec.Struct):
    """One act: on which incident, when it was first tried, and when it was accepted, if it was."""

    kind: Kind
    target: str
    began: float
    text: str = ""
    done: float | None = None
    tries: int = 0


class People:
    """A crowd of one thread. ``every_s`` is the pause after each act."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        chance: random.Random,
        *,
        every_s: float = 0.3,
        resolve: bool = True,
    ) -> None:
        self.replicas = list(replicas)
        self.chance = chance
        self.every_s = every_s
        self.kinds: list[Kind] = ["acknowledge", "acknowledge", "notes", "notes", "silence"]
        if resolve:
            self.kinds.append("resolve")
        self.acts: list[Act] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="people")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop when the act in hand is done, or cannot be done soon."""
        self._stop.set()
        self._thread.join(30)

    @property
    def done(self) -> list[Act]:
        return [act for act in self.acts if act.done is not None]

    def ended(self) -> set[str]:
        """Return the incidents that somebody ended, or tried to."""
        return {act.target for act in self.acts if act.kind == "resolve"}

    def forgotten(self, found: Reckoning) -> list[str]:
        """Return the acts that were accepted and that the database does not know."""
        said = {
            stream: [(type(e.event).__name__, getattr(e.event, "text", "")) for e in events]
            for stream, events in found.journal.items()
        }
        silences = {row["id"] for row in found.tables["silences"]}
        missing = []
        for act in self.done:
            events = said.get(f"incident/{act.target}", [])
            names = {name for name, _ in events}
            if (
                (act.kind == "acknowledge" and not names & {"IncidentAcknowledged"})
                or (act.kind == "notes" and ("NoteAdded", act.text) not in events)
                or (act.kind == "resolve" and "IncidentResolved" not in names)
                or (act.kind == "silence" and act.target not in silences)
            ):
                missing.append(f"{act.kind} of {act.target} was accepted and is not in the journal")
        return missing

    # -- The thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        with httpx2.Client(timeout=5) as client:
            while not self._stop.wait(self.every_s):
                kind = self.chance.choice(self.kinds)
                if kind == "silence":
                    self._silence(client)
                else:
                    target = self._some_incident(client)
                    if target:
                        self._act(client, kind, target)

    def _some_incident(self, client: httpx2.Client) -> str:
        answer = self._ask(client, "GET", "/api/v1/incidents?limit=100")
        if answer is None or answer.status_code != 200:
            return ""
        known = [row["id"] for row in answer.json()["incidents"]]
        return self.chance.choice(known) if known else ""

    def _act(self, client: httpx2.Client, kind: Kind, target: str) -> None:
        act = Act(kind, target, now_s(), text=f"note {len(self.acts)}" if kind == "notes" else "")
        self.acts.append(act)
        body = {"text": act.text} if kind == "notes" else {}
        path = f"/api/v1/incidents/{target}/{kind}"
        while not self._stop.is_set():
            act.tries += 1
            answer = self._ask(client, "POST", path, body)
            if answer is not None and answer.status_code < 300:
                act.done = now_s()
                return
            if answer is not None and answer.status_code < 500:
                return  # It is over already, or was resolved by the try that was cut short.
            self._stop.wait(_TRY_AGAIN_S)

    def _silence(self, client: httpx2.Client) -> None:
        act = Act("silence", "", now_s())
        self.acts.append(act)
        at = datetime.now(UTC)  # noqa: TID251 - a person's own watch
        body = {
            "matchers": [
                {"name": "service", "value": f"nobody-{len(self.acts)}", "isRegex": False}
            ],
            "startsAt": at.isoformat(),
            "endsAt": (at + timedelta(hours=2)).isoformat(),
            "createdBy": "proof",
            "comment": "never matches",
        }
        while not self._stop.is_set():
            act.tries += 1
            answer = self._ask(client, "POST", "/api/v2/silences", body)
            if answer is not None and answer.status_code < 300:
                act.target, act.done = answer.json()["silenceID"], now_s()
                return
            if answer is not None and answer.status_code < 500:
                return
            self._stop.wait(_TRY_AGAIN_S)

    def _ask(
        self, client: httpx2.Client, method: str, path: str, body: dict | None = None
    ) -> httpx2.Response | None:
        replica = self.chance.choice(self.replicas)
        try:
            headers = {"Authorization": f"Bearer {replica.token}"}
            return client.request(method, replica.url + path, json=body, headers=headers)
        except (httpx2.HTTPError, OSError):
            return None
