from __future__ import annotations

import base64
import io
import json
from datetime import timedelta

import pytest

from tests.store import samples
from tocsin.core.inputs import Acknowledged, SignalReceived
from tocsin.core.state import IncidentAlert
from tocsin.store import (
    access,
    alerts,
    backup,
    codec,
    deliveries,
    inbox,
    incident_alerts,
    incidents,
    jobs,
    journal,
    live,
    quarantine,
    silences,
    streams,
    timers,
)
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio

SOON = timedelta(minutes=5)
# Tables of which another file knows how to write them; here any row will do.
PLAIN = {
    "users": "INSERT INTO users (id, name, folded, role) VALUES ('u1', 'Ona', 'ona', 'lead')",
    "runbooks": "INSERT INTO runbooks VALUES ('r1', '\\xff00', 'policy', now())",
    "contacts": "INSERT INTO contacts (contact, detail) VALUES ('email:a', E'tab\\there')",
    "senders": "INSERT INTO senders (name, source) VALUES ('ingest', 'prometheus')",
    "audit": "INSERT INTO audit (actor, kind, action) VALUES ('Ona', 'user', E'a\\nb\\\\c\\r')",
}


async def fill(database: Database) -> None:
    """Write at least one row into every table that a backup holds, and into those it leaves out."""
    async with database.transaction() as c:
        for statement in PLAIN.values():
            await c.execute(statement)
        await access.server_secret(c)
        await access.grant(c, "admin", "a secret", ("admin",))
        await journal.append(c, "incident/INC-1", 1, [(_event(), samples.AT)] * 150, "r1")
        await streams.claim(c, "incident/INC-1")
        state = samples.incident(1, title=samples.NASTY)
        await streams.save(c, "incident/INC-1", 150, codec.encode(state))
        await incidents.next_id(c)
        await incidents.put(c, state, 1)
        nasty = IncidentAlert(samples.NASTY, "prometheus", firing=True)
        await incident_alerts.put(c, "INC-1", {"f1": nasty, samples.NASTY: nasty})
        await alerts.put(c, "api", [samples.alert("f1")], samples.AT)
        await inbox.append(c, [("desk/api", SignalReceived(samples.signal(title=samples.NASTY)))])
        [done] = await inbox.append(c, [("incident/INC-1", Acknowledged("Ona", "app"))])
        await inbox.finish(c, {done: ""}, [done])
        await timers.replace(c, "incident/INC-1", {"rung/1": samples.AT + SOON})
        await deliveries.add(c, "INC-1", [samples.page(), samples.notice()])
        await silences.put(c, samples.silence())
        await quarantine.add(c, [("prometheus", "ingest", b"\xff\x00\\", "not JSON")])
        await c.execute("INSERT INTO sign_in_links (hash, expires_at) VALUES ('x', now())")
    async with database.reading() as c:
        for table in backup.KEPT:
            assert await c.fetchval(f"SELECT count(*) FROM {table}"), f"{table} is empty"  # noqa: S608


def _event():
    from tocsin.core.events import NoteAdded

    return NoteAdded("Ona", samples.NASTY)


async def saved(database: Database) -> bytes:
    return b"".join([line async for line in backup.lines(database)])


def without_header(body: bytes) -> bytes:
    return body.partition(b"\n")[2]


async def put(database: Database, body: bytes, **options) -> backup.Contents:
    file = io.BytesIO(body)
    contents = backup.read(file)
    await backup.restore(database, file, contents, **options)
    return contents


@pytest.fixture
async def other(embedded_url_empty):
    """A second database, without any row of ours."""
    opened = await Database.open(embedded_url_empty)
    try:
        yield opened
    finally:
        await opened.close()


async def test_of_every_table_somebody_decided_whether_a_backup_holds_it(database):
    async with database.reading() as c:
        assert await backup.undecided(c) == frozenset()


async def test_what_is_restored_elsewhere_makes_the_same_backup(database, other):
    await fill(database)
    first = await saved(database)
    contents = await put(other, first)
    assert contents.rows == first.count(b"\n[")
    assert without_header(await saved(other)) == without_header(first)
    async with other.reading() as c:
        assert (await incidents.get(c, "INC-1")).title == samples.NASTY
        assert await incidents.next_id(c) == "INC-2"


async def test_what_is_numbered_after_a_restore_gets_a_number_of_its_own(database, other):
    await fill(database)
    await put(other, await saved(database))
    async with other.transaction() as c:
        taken = await c.fetchval("SELECT max(id) FROM inbox")
        [number] = await inbox.append(c, [("desk/api", SignalReceived(samples.signal()))])
        assert number > taken


async def test_no_lease_and_no_session_goes_to_another_place(database, other):
    await fill(database)
    async with database.transaction() as c:
        await c.execute("UPDATE deliveries SET leased_until = now(), leased_by = 7, attempts = 3")
    body = await saved(database)
    await put(other, body)
    async with other.reading() as c:
        rows = await c.fetch("SELECT leased_until, leased_by, attempts FROM deliveries")
        assert {tuple(row) for row in rows} == {(None, None, 3)}
        assert await c.fetchval("SELECT count(*) FROM sign_in_links") == 0
        assert await c.fetchval("SELECT count(*) FROM inbox") == 1


async def test_bytes_that_are_text_are_read_as_text_and_others_as_base64(database):
    await fill(database)
    rows = [json.loads(line) for line in (await saved(database)).splitlines() if line[:1] == b"["]
    [raw] = [row for row in rows if row[1] == "prometheus" and row[2] == "ingest"]
    assert raw[3] == {"base64": base64.b64encode(b"\xff\x00\\").decode()}
    assert any(isinstance(v, str) and "NoteAdded" in v for row in rows for v in row)


async def test_a_database_in_use_is_replaced_only_when_told_so(database, other):
    await fill(database)
    await fill(other)
    async with other.transaction() as c:
        await c.execute("DELETE FROM audit")
    before = await saved(other)
    body = await saved(database)
    with pytest.raises(backup.NotRestored, match=r"not empty .*users.*--replace"):
        await put(other, body)
    assert without_header(await saved(other)) == without_header(before)
    await put(other, body, replace=True)
    assert without_header(await saved(other)) == without_header(body)


async def test_all_who_listen_are_told(database, other):
    await fill(database)
    body = await saved(database)
    async with live.Listener(other.direct) as listener:
        await put(other, body)
        heard = [await anext(listener) for _ in range(3)]
    assert set(heard) == {"restored", "access", "inbox"}


async def test_a_restore_waits_for_who_is_at_work_and_keeps_others_waiting(database, other):
    import asyncio

    await fill(database)
    body = await saved(database)
    async with asyncio.TaskGroup() as group, other.transaction() as c:
        await streams.claim(c, "desk/api")
        restoring = group.create_task(put(other, body, replace=True))
        await asyncio.sleep(0.3)
        assert not restoring.done()
        # Once more a table: a turn goes on to others after the stream.
        await c.execute("DELETE FROM timers")
    async with other.reading() as c:
        assert await c.fetchval("SELECT count(*) FROM timers") == 1


def damaged(body: bytes, old: bytes, new: bytes) -> bytes:
    assert old in body
    return body.replace(old, new, 1)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b[: len(b) // 2], "cut off"),
        (lambda b: b[: b.rindex(b"\n", 0, -1) + 1], "cut off"),
        (lambda b: b[:-1], "cut off"),
        (lambda b: b + b"x\n", "Something follows"),
        (lambda b: damaged(b, b"Ona", b"Eva"), "not those that were written"),
        (lambda b: damaged(b, b'"users"', b'"usurs"'), "a table 'usurs'"),
        (lambda b: damaged(b, b'["r1",', b'["r1,'), "damaged"),
        (lambda b: without_header(b), "not a backup of Tocsin"),
        (lambda b: b"\x00\xff" + b, "not a backup of Tocsin"),
        (lambda b: b"", "not a backup of Tocsin"),
        (lambda b: damaged(b, b'"tocsin_backup":1', b'"tocsin_backup":2'), "newer Tocsin"),
        (lambda b: damaged(b, b'"step":', b'"step":9'), "newer Tocsin"),
    ],
)
async def test_a_file_that_is_not_whole_is_refused_before_anything_changes(database, damage, said):
    await fill(database)
    body = damage(await saved(database))
    with pytest.raises(backup.Unfit, match=said):
        backup.read(io.BytesIO(body))


async def test_a_row_that_contradicts_another_leaves_everything_as_it_was(database, other):
    await fill(database)
    file = io.BytesIO(await saved(database))
    contents = backup.read(file)
    [users] = [s for s in contents.sections if s.table.table == "users"]
    twice = contents._replace(sections=(users, users))
    with pytest.raises(backup.NotRestored, match="contradict"):
        await backup.restore(other, file, twice)
    async with other.reading() as c:
        assert await c.fetchval("SELECT count(*) FROM users") == 0


async def test_a_backup_of_before_a_table_existed_leaves_it_empty(database, other):
    """As an older Tocsin wrote it, at an earlier step and without that table."""
    await fill(database)
    lines = (await saved(database)).splitlines(keepends=True)
    header = json.loads(lines[0]) | {"step": 1}
    first = next(n for n, line in enumerate(lines) if line.startswith(b'{"table":"audit"'))
    body = lines[1:first] + [line for line in lines[first + 1 :] if line.startswith(b'{"numbers"')]
    footer = json.loads(lines[-1])
    del footer["rows"]["audit"]
    import hashlib

    footer["sha256"] = hashlib.sha256(b"".join(body)).hexdigest()
    old = [json.dumps(header).encode() + b"\n", *body, json.dumps(footer).encode() + b"\n"]
    old[-1] = old[-1].replace(b'{"rows": ', b'{"rows":')
    await put(other, b"".join(old))
    async with other.reading() as c:
        assert await c.fetchval("SELECT count(*) FROM audit") == 0
        assert await c.fetchval("SELECT count(*) FROM users") == 1


async def test_progress_is_told(database, other):
    await fill(database)
    told: list[tuple[str, int]] = []
    body = b"".join([line async for line in backup.lines(database, lambda *a: told.append(a))])
    assert ("journal", 150) in told
    told.clear()
    await put(other, body, progress=lambda *a: told.append(a))
    assert ("journal", 150) in told


async def test_jobs_of_the_library_are_no_part_of_it(database):
    await fill(database)
    assert jobs is not None
    assert b"tocsin_pgqueuer" not in await saved(database)
