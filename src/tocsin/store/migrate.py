"""Numbered SQL, each applied once, under a lock that all starting processes share."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, NamedTuple

import asyncpg

from tocsin.store import jobs
from tocsin.store.statements import statements

_SQL = statements("migrate")
_FILE = re.compile(r"^(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql$")
# Any constant will do, as long as nobody else locks it: "tocsin" in a row of bytes.
_LOCK = int.from_bytes(b"tocsin", "big")


class MigrationError(Exception):
    """The tables cannot be brought to what this Tocsin needs: <why>."""


class Migration(NamedTuple):
    """One step of the tables' history. ``number`` counts from 1 without holes."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Return all steps in order."""
    steps = []
    for file in resources.files("tocsin.store").joinpath("migrations").iterdir():
        matched = _FILE.match(file.name)
        if matched:
            sql = file.read_text("utf-8")
            steps.append(Migration(int(matched["number"]), matched["name"], sql))
    steps.sort()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1)), "a hole, or a twin"
    return steps


async def apply(connection: Any) -> int:
    """Apply what is missing and return how many steps that were.

    ``connection`` is a whole asyncpg connection outside of a transaction. Raises MigrationError
    where the database knows steps that we do not (an older Tocsin must not write there), and where
    our role may not make tables.
    """
    try:
        return await _apply(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"The database does not let us make our tables: {error}. "
            "Grant the role of DATABASE_URL the right to create in its schema."
        ) from error


async def _apply(connection: Any) -> int:
    await connection.execute(_SQL["lock"], _LOCK)
    try:
        await connection.execute(_SQL["keep_history"])
        applied = {row["number"] for row in await connection.fetch(_SQL["history"])}
        known = migrations()
        newest = max(applied, default=0)
        if newest > len(known):
            raise MigrationError(
                f"The database was written by a newer Tocsin (its tables are at step {newest}, "
                f"this one knows {len(known)}): start that version, or restore a backup."
            )
        missing = [step for step in known if step.number not in applied]
        for step in missing:
            async with connection.transaction():
                await connection.execute(step.sql)
                await connection.execute(_SQL["remember"], step.number, step.name)
        await jobs.install(connection)
        return len(missing)
    finally:
        await connection.execute(_SQL["unlock"], _LOCK)
