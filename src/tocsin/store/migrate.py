"""Numbered SQL, each applied once, under a lock that all starting processes share.

Tables first grow and then shrink, in two releases. A step that *expands* leaves alone all that an
older Tocsin knows, so old and new processes run side by side on the new tables, and going back is
possible. A step that *contracts* takes something away; it waits until no live process knows less
than it, and an older Tocsin does not start on what it leaves. An expanding step rests only on
expanding ones, since a contracting one may be applied much later.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal, NamedTuple

import asyncpg

from tocsin.store import jobs
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("migrate")
_LOG = logging.getLogger(__name__)
_FILE = re.compile(r"^(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql$")
_KIND = re.compile(r"^-- kind: (expand|contract)\n")
# Any constant will do, as long as nobody else locks it: "tocsin" in a row of bytes.
_LOCK = int.from_bytes(b"tocsin", "big")
_PATIENCE_S = 120.0
_LOOK_AGAIN_S = 5.0
# Whoever waits for a table keeps all others from it, so a step gives way and tries again.
_TABLE_S_MAX = 2.0
_GIVE_WAY_S = 0.5
# A process that freezes while it migrates loses the lock after this.
_IDLE_S_MAX = 10

Kind = Literal["expand", "contract"]


class MigrationError(Exception):
    """The tables cannot be brought to what this Tocsin needs: <why>."""


class OutdatedError(MigrationError):
    """A newer Tocsin took away what this one needs: <which step>."""


class Migration(NamedTuple):
    """One step of the tables' history. ``number`` counts from 1 without holes."""

    number: int
    name: str
    kind: Kind
    sql: str


def migrations(folder: Traversable | None = None) -> list[Migration]:
    """Return all steps in order: those of this release, or of another folder.

    Raises ValueError for a file that does not open with its kind: nobody could know who can live
    with it.
    """
    steps = []
    ours = resources.files("tocsin.store").joinpath("migrations")
    for file in (folder or ours).iterdir():
        matched = _FILE.match(file.name)
        if matched:
            sql = file.read_text("utf-8")
            kind = _KIND.match(sql)
            if kind is None:
                raise ValueError(f"{file.name} must open with '-- kind: expand' or 'contract'.")
            grows: Kind = "expand" if kind[1] == "expand" else "contract"
            steps.append(Migration(int(matched["number"]), matched["name"], grows, sql))
    steps.sort()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1)), "a hole, or a twin"
    return steps


def newest_step() -> int:
    """Return the number of the newest step that this release knows."""
    return len(migrations())


async def apply(
    connection: Any,
    steps: Sequence[Migration] | None = None,
    *,
    has_session: bool = True,
    patience_s: float = _PATIENCE_S,
) -> tuple[str, ...]:
    """Apply what is missing and return the names of the steps that have to wait.

    Those contract, and older processes still run. ``connection`` is a whole asyncpg connection
    outside of a transaction; ``has_session`` is False where a pooler gives each transaction
    another session. ``steps`` are those of this release.

    Raises MigrationError where the database was changed in a way that this release does not know,
    where our role may not make tables, and where another process holds the lock, or a table, for
    longer than ``patience_s``.
    """
    known = migrations() if steps is None else steps
    left: dict[int, str] = {}
    loop = asyncio.get_running_loop()
    ends, has_said = loop.time() + patience_s, False
    try:
        while True:
            try:
                if not await _next(connection, known, left):
                    break
                ends = loop.time() + patience_s
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                why = await _who_holds_it(connection)
                if loop.time() >= ends:
                    raise MigrationError(why) from None
                if not has_said:
                    _LOG.warning("%s Waiting for it.", why)
                    has_said = True
                await asyncio.sleep(_GIVE_WAY_S)
        await jobs.upgrade(connection, has_session=has_session)
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"The database does not let us make our tables: {error}. "
            "Grant the role of DATABASE_URL the right to create in its schema."
        ) from error
    if left:
        _LOG.warning(
            "Processes of an older Tocsin still run on this database, so what they need stays; "
            "waiting until they are gone: %s.",
            ", ".join(left.values()),
        )
    return tuple(left.values())


async def must_be_ours(c: Connection, steps: Sequence[Migration] | None = None) -> None:
    """Raise MigrationError where a newer Tocsin took away what this release needs."""
    known = newest_step() if steps is None else len(steps)
    row = await c.fetchrow(_SQL["newest_contract"])
    if row is not None:
        _refuse_newer(row["number"], row["name"], known)


async def _next(connection: Any, known: Sequence[Migration], left: dict[int, str]) -> bool:
    """Apply the first step that is missing and not ``left``; return whether there was one."""
    async with connection.transaction():
        await _give_up_after(connection, _LOOK_AGAIN_S)
        await connection.execute(_SQL["lock"], _LOCK)
        if not await connection.fetchval(_SQL["has_history"]):
            await connection.execute(_SQL["make_history"])
            await connection.execute(_SQL["tell_kinds"])
        history = await connection.fetch(_SQL["history"])
        for row in history:
            if row["kind"] == "contract":
                _refuse_newer(row["number"], row["name"], len(known))
        gone_by = left.keys() | {row["number"] for row in history}
        step = next((step for step in known if step.number not in gone_by), None)
        if step is None:
            await jobs.install(connection)
            return False
        await _give_up_after(connection, _TABLE_S_MAX)
        if step.kind == "contract":
            # Who enters now waits for us, and then sees what we did.
            await connection.execute(_SQL["keep_others_out"])
            if await connection.fetch(_SQL["older_processes"], step.number):
                left[step.number] = f"{step.number:04}_{step.name}"
                return True
        await connection.execute(step.sql)
        await connection.execute(_SQL["remember"], step.number, step.name, step.kind)
        return True


def _refuse_newer(number: int, name: str, known: int) -> None:
    if number > known:
        raise OutdatedError(
            f"The database was changed by a newer Tocsin, which took away what this one needs (its "
            f"tables are at step {number}, {name}; this one knows {known}): start that version, or "
            "restore a backup."
        )


async def _give_up_after(connection: Any, wait_s: float) -> None:
    await connection.execute(_SQL["limit"], f"{wait_s}s", f"{_IDLE_S_MAX}s")


async def _who_holds_it(connection: Any) -> str:
    async with connection.transaction():
        row = await connection.fetchrow(_SQL["holder"], _LOCK)
    if row is None:
        return (
            "The tables cannot be brought up to date: a long transaction uses one of them. "
            "Look for it in pg_stat_activity."
        )
    return (
        f"Another process ({row['name']}, session {row['pid']} of the database) has been bringing "
        f"the tables up to date for {row['for_s']:.0f} s and is not done. If it hangs, end it: "
        f"SELECT pg_terminate_backend({row['pid']})."
    )
