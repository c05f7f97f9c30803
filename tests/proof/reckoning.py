"""What was accepted and paged, against what the database says at the end.

    found = reckon(replica.sql_url, sink.calls())
    found.lost(sending.accepted())
    found.duplicates, found.wrong_states

It reads the tables themselves: what an answer of the server says could be wrong in the same way.
Every list holds sentences for a person; an empty one is the good case.
"""

from __future__ import annotations

import asyncio
import collections
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from msgspec.structs import replace

from tocsin.core.events import (
    DeskClosed,
    DeskOpened,
    Event,
    IncidentReopened,
    PageAsked,
)
from tocsin.core.evolve import evolve
from tocsin.core.incident import new_incident
from tocsin.core.state import AlertRecord, IncidentState
from tocsin.core.timers import timers_of
from tocsin.store import codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.proof.sender import Accepted
    from tests.proof.sink import Call

_INCIDENT = "incident/"


class Recorded(msgspec.Struct, frozen=True):
    """One event of the journal."""

    stream: str
    seq: int
    at: datetime
    event: Any


class Reckoning:
    """The whole database at one moment, and the calls that the sink took until then."""

    def __init__(self, tables: dict[str, list[asyncpg.Record]], calls: Sequence[Call]) -> None:
        self.calls = list(calls)
        self.tables = tables
        self.at: datetime = tables["now"][0]["now"]
        self.alerts = {
            record.signal.fingerprint: record
            for record in (codec.decode(r["record"], AlertRecord) for r in tables["alerts"])
        }
        self.incidents = {
            row["id"]: codec.decode(row["state"], IncidentState) for row in tables["incidents"]
        }
        self.journal: dict[str, list[Recorded]] = collections.defaultdict(list)
        for row in tables["journal"]:
            event = codec.decode(row["body"], Event)  # type: ignore[arg-type] # a union is no type
            self.journal[row["stream"]].append(
                Recorded(row["stream"], row["seq"], row["at"], event)
            )
        self.by_name = {
            record.signal.labels.get("alertname", ""): record for record in self.alerts.values()
        }
        self.filed = {(row["incident"], row["fingerprint"]) for row in tables["incident_alerts"]}

    # -- What was accepted -------------------------------------------------------------------------

    def lost(self, accepted: Iterable[Accepted]) -> list[str]:
        """Return the accepted alerts, each of an alertname of its own, that are not where they belong.

        That is: on a desk, on an incident that exists, and among the alerts of that incident.
        """
        found = []
        for each in accepted:
            name = each.alert["labels"]["alertname"]
            record = self.by_name.get(name)
            if record is None:
                found.append(f"{name}: accepted after {each.tries} tries, and on no desk")
            elif record.incident is None:
                if record.muted_by is None:
                    found.append(f"{name}: on its desk, unmuted, and on no incident")
            elif record.incident not in self.incidents:
                found.append(f"{name}: on {record.incident}, which there is not")
            elif (record.incident, record.signal.fingerprint) not in self.filed:
                found.append(f"{name}: {record.incident} does not know it")
        return found

    def still_firing(self, ended: Iterable[str]) -> list[str]:
        """Return those of these alertnames, whose end was accepted, that fire nevertheless."""
        return [
            f"{name}: its end was accepted, and it fires"
            for name in ended
            if name not in self.by_name or self.by_name[name].firing
        ]

    # -- What was paged ----------------------------------------------------------------------------

    @property
    def pages(self) -> list[Call]:
        return [call for call in self.calls if call.topic == "page"]

    @property
    def duplicates(self) -> int:
        """How many pages reached the sink again under a key it had taken."""
        taken = [call.key for call in self.pages if call.status < 300]
        return len(taken) - len(set(taken))

    @property
    def doubled_acts(self) -> list[str]:
        """Pages of the same incident, person, rung, repeat and contact under different keys."""
        found = []
        for stream, events in self.journal.items():
            keys: dict[tuple[Any, ...], str] = {}
            starts = 0
            for each in events:
                event = each.event
                if isinstance(event, IncidentReopened):
                    starts += 1
                if not isinstance(event, PageAsked):
                    continue
                act = (
                    *(starts, event.person, event.role, event.source.line),
                    *(event.because, event.repeat, event.contact_index),
                )
                if act in keys:
                    found.append(f"{stream}: {event.person} by {keys[act]} and {event.delivery}")
                keys[act] = event.delivery
        return found

    @property
    def strange_keys(self) -> list[str]:
        """Keys that reached the sink and that no journal knows."""
        known = {
            each.event.delivery
            for events in self.journal.values()
            for each in events
            if hasattr(each.event, "delivery")
        }
        return sorted({call.key for call in self.calls} - known)

    @property
    def undelivered(self) -> list[str]:
        """Pages that the journal asked for 30 s before the end, and the sink never took."""
        taken = {call.key for call in self.calls if call.status < 300}
        return [
            f"{stream}: {each.event.delivery} for {each.event.person}"
            for stream, events in self.journal.items()
            for each in events
            if isinstance(each.event, PageAsked)
            and each.event.contact is not None
            and each.event.delivery not in taken
            and each.at < self.at - timedelta(seconds=30)
        ]

    # -- What is left ------------------------------------------------------------------------------

    @property
    def wrong_states(self) -> list[str]:
        """Streams whose journal does not fold into the state that is stored."""
        found = []
        for row in self.tables["streams"]:
            stream, seq = row["stream"], row["seq"]
            events = self.journal[stream]
            if [e.seq for e in events] != list(range(1, seq + 1)):
                found.append(f"{stream}: at {seq}, and its journal has {len(events)} events")
            elif stream.startswith(_INCIDENT) and row["state"]:
                stored = codec.decode(row["state"], IncidentState)
                if _bare(fold(stream, events)) != _bare(stored):
                    found.append(f"{stream}: its journal folds into another state")
                elif _bare(stored) != _bare(self.incidents[stored.id]):
                    found.append(f"{stream}: the list of incidents shows another state")
            elif row["state"]:
                opened = [e.event for e in events if isinstance(e.event, (DeskOpened, DeskClosed))]
                named = opened[-1].incident if opened else None
                if named is not None and named not in self.incidents:
                    found.append(f"{stream}: opened {named}, which there is not")
        return found

    @property
    def wrong_timers(self) -> list[str]:
        """Timers that no state needs, and needed timers that there are not.

        A timer that fired and is not yet judged waits in the inbox instead of its table.
        """
        waits = {row["stream"] for row in self.tables["waiting"]}
        have: dict[str, dict[str, datetime]] = collections.defaultdict(dict)
        for row in self.tables["timers"]:
            have[row["stream"]][row["name"]] = row["due_at"]
        found = [
            f"{stream}: timers {sorted(names)} of no incident"
            for stream, names in have.items()
            if stream.removeprefix(_INCIDENT) not in self.incidents
        ]
        for state in self.incidents.values():
            wanted, timers = timers_of(state), have.get(_INCIDENT + state.id, {})
            if wanted != timers and _INCIDENT + state.id not in waits:
                over = "" if state.is_open else " although it is over"
                found.append(f"{state.id}: has {timers} and needs {wanted}{over}")
        return found

    @property
    def left_over(self) -> list[str]:
        """What waits although everything had its time: inputs, deliveries, and what was put aside."""
        found = [
            f"inbox: {row['stream']} waits for {row['count']} inputs"
            for row in self.tables["waiting_long"]
        ]
        found += [f"delivery {row['id']} is {row['state']}" for row in self.tables["pending"]]
        found += [f"quarantine: {row['source']}: {row['why']}" for row in self.tables["quarantine"]]
        return found

    def missed(self, deadlines: dict[tuple[str, str], float]) -> list[str]:
        """Return which of these (service, person) were never paged at the sink."""
        paged = {(call.body.get("service"), call.contact) for call in self.pages}
        return [f"{service}: {who} was never paged" for service, who in deadlines.keys() - paged]

    def first_pages(self) -> dict[tuple[str, str], float]:
        """Return when each (service, person) was first paged, in UNIX seconds."""
        first: dict[tuple[str, str], float] = {}
        for call in self.pages:
            if call.status < 300:
                first.setdefault((str(call.body.get("service")), call.contact), call.at)
        return first

    def story(self, service: str) -> str:
        """Tell what happened to a service: for whoever looks for the defect."""
        lines = []
        for state in self.incidents.values():
            if state.service != service:
                continue
            stream = _INCIDENT + state.id
            lines += [
                f"{e.at:%H:%M:%S.%f} {e.seq:3} {type(e.event).__name__}: {e.event}"[:230]
                for e in self.journal[stream]
            ]
            lines += [
                f"sink at {call.at:.3f}: {call.contact} {call.key} {call.topic} {call.status}"
                for call in self.calls
                if call.incident == state.id
            ]
        for stream, events in self.journal.items():
            if stream.endswith(f"/{service}"):
                lines += [
                    f"desk {e.at:%H:%M:%S.%f} {e.seq} {type(e.event).__name__}" for e in events
                ]
        return "\n".join(lines)


def fold(stream: str, events: Sequence[Recorded]) -> IncidentState:
    state = new_incident(stream.removeprefix(_INCIDENT))
    for each in events:
        state = evolve(state, each.event, each.at)
    return state


def _bare(state: IncidentState) -> IncidentState:
    """A state without the alerts it was last about: those are rows."""
    return replace(state, alerts={})


_QUERIES = {
    "now": "SELECT now()",
    "alerts": "SELECT record FROM alerts",
    "incidents": "SELECT id, state, is_open FROM incidents",
    "incident_alerts": "SELECT incident, fingerprint, firing FROM incident_alerts",
    "journal": "SELECT stream, seq, at, body FROM journal ORDER BY stream, seq",
    "streams": "SELECT stream, seq, state FROM streams",
    "timers": "SELECT stream, name, due_at FROM timers",
    "waiting": "SELECT stream, count(*) FROM inbox WHERE done_at IS NULL GROUP BY stream",
    "waiting_long": "SELECT stream, count(*) FROM inbox WHERE done_at IS NULL"
    " AND received_at < now() - interval '10 s' GROUP BY stream",
    "pending": "SELECT id, state FROM deliveries WHERE state = 'pending'"
    " AND due_at < now() - interval '20 s'",
    "quarantine": "SELECT source, why FROM quarantine",
    "silences": "SELECT id FROM silences",
}


def reckon(url: str, calls: Sequence[Call]) -> Reckoning:
    """Read everything, as of one moment."""
    return Reckoning(asyncio.run(_read(url)), calls)


async def _read(url: str) -> dict[str, list[asyncpg.Record]]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {name: await connection.fetch(sql) for name, sql in _QUERIES.items()}
    finally:
        await connection.close()


class Uptime:
    """When a system could work: it was up from each ``up`` to the ``down`` that follows."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        self._since: float | None = None

    def up(self, at: float) -> None:
        if self._since is None:
            self._since = at

    def down(self, at: float) -> None:
        if self._since is not None:
            self.spans.append((self._since, at))
            self._since = None

    def between(self, begin: float, end: float) -> float:
        """Return for how many of these seconds it was up."""
        spans = [*self.spans, *([(self._since, end)] if self._since is not None else [])]
        return sum(max(0.0, min(end, to) - max(begin, since)) for since, to in spans)
