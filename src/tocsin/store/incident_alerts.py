"""The alerts of every incident, a row each: its state counts them and holds none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tocsin.core.state import IncidentAlert, IncidentState
from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("incident_alerts")
_STATE = statements("incidents")["get"]
_WRITTEN_AT_ONCE = 5_000


class _Kept(msgspec.Struct, frozen=True):
    """What the bytes of a row hold: the column may be a shortened form of the fingerprint."""

    fingerprint: str
    alert: IncidentAlert


async def load(
    c: Connection, incident: str, fingerprints: Sequence[str]
) -> dict[str, IncidentAlert]:
    """Return these alerts of an incident by fingerprint; those it does not know are missing."""
    rows = await c.fetch(_SQL["load"], codec.key(incident), [codec.key(f) for f in fingerprints])
    return _by_fingerprint(row["record"] for row in rows)


async def put(c: Connection, incident: str, alerts: Mapping[str, IncidentAlert]) -> None:
    """Write alerts as the incident now sees them, by fingerprint."""
    if not alerts:
        return
    await c.execute(
        _SQL["put"],
        codec.key(incident),
        [codec.key(fingerprint) for fingerprint in alerts],
        [alert.firing for alert in alerts.values()],
        [None if a.muted_by is None else codec.key(a.muted_by) for a in alerts.values()],
        [codec.encode(_Kept(fingerprint, alert)) for fingerprint, alert in alerts.items()],
    )


async def find(c: Connection, incident: str, limit: int = 500) -> dict[str, IncidentAlert]:
    """Return alerts of an incident by fingerprint: what fires first, then as they joined."""
    name = codec.key(incident)
    rows = await c.fetch(_SQL["find"], name, limit)
    if rows:
        return _by_fingerprint(row["record"] for row in rows)
    # An incident of the time when states held their alerts, and that had no turn since.
    held = await c.fetchval(_STATE, name)
    alerts = codec.decode(held, IncidentState).alerts if held else {}
    order = sorted(alerts, key=lambda fingerprint: not alerts[fingerprint].firing)
    return {fingerprint: alerts[fingerprint] for fingerprint in order[:limit]}


async def find_each(
    c: Connection, incidents: Sequence[str], each: int
) -> dict[str, dict[str, IncidentAlert]]:
    """Return what ``find`` does, of many incidents, at most ``each`` of one; by incident."""
    found: dict[str, dict[str, IncidentAlert]] = {name: {} for name in incidents}
    names = {codec.key(name): name for name in incidents}
    for row in await c.fetch(_SQL["find_each"], list(names), each):
        found[names[row["incident"]]].update(_by_fingerprint([row["record"]]))
    return found


async def all_of(c: Connection, incident: str) -> dict[str, IncidentAlert | None]:
    """Return every row of an incident by its key, in the order they joined.

    The key is that of the row (``codec.key``). None stands for a row that is damaged: unreadable,
    or with columns that say something else.
    """
    rows = await c.fetch(_SQL["all"], codec.key(incident))
    return {row["fingerprint"]: _sound(row) for row in rows}


def _sound(row: Record) -> IncidentAlert | None:
    try:
        kept = codec.decode(row["record"], _Kept)
    except msgspec.DecodeError:
        return None
    muted_by = None if kept.alert.muted_by is None else codec.key(kept.alert.muted_by)
    columns = (row["fingerprint"], row["firing"], row["muted_by"])
    said = (codec.key(kept.fingerprint), kept.alert.firing, muted_by)
    return kept.alert if columns == said else None


async def replace(c: Connection, incident: str, alerts: Mapping[str, IncidentAlert]) -> None:
    """Make the rows of an incident exactly these, in this order."""
    await c.execute(_SQL["forget"], codec.key(incident))
    names = list(alerts)
    for first in range(0, len(names), _WRITTEN_AT_ONCE):
        part = names[first : first + _WRITTEN_AT_ONCE]
        await put(c, incident, {name: alerts[name] for name in part})


async def muting(c: Connection, incident: str) -> frozenset[str]:
    """Return the ids of the silences that mute alerts of an incident that fire."""
    return frozenset(row["muted_by"] for row in await c.fetch(_SQL["muting"], codec.key(incident)))


def _by_fingerprint(records: Iterable[bytes]) -> dict[str, IncidentAlert]:
    kept = (codec.decode(record, _Kept) for record in records)
    return {each.fingerprint: each.alert for each in kept}
