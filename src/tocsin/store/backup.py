r"""A backup is a file of lines of JSON that any later Tocsin can read, on any PostgreSQL.

The first line says what it is. For each table a line names its columns, and a line for each row
follows, in the order of the table's key. The last line counts the rows and holds the SHA-256 of all
lines between the first and itself. The same rows always make the same lines.

Values are written as PostgreSQL writes them, but bytes: those are the text they hold, or
``{"base64": ...}`` where they hold none.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import asyncpg
import msgspec

from tocsin import __version__
from tocsin.store import live, migrate
from tocsin.store.connection import Connection
from tocsin.store.database import Database
from tocsin.store.route import Use
from tocsin.store.statements import statements

__all__ = [
    "FORMAT",
    "KEPT",
    "LEFT_OUT",
    "Header",
    "NotRestored",
    "Unfit",
    "lines",
    "read",
    "restore",
]

_SQL = statements("backup")
FORMAT = 1
# In the order in which they are written and read. Of the inbox only what still waits is kept:
# nobody waits for the rest in another place.
KEPT = (
    "server_secrets",
    "users",
    "grants",
    "runbooks",
    "journal",
    "streams",
    "incidents",
    "incident_alerts",
    "alerts",
    "inbox",
    "timers",
    "deliveries",
    "silences",
    "quarantine",
    "contacts",
    "senders",
    "audit",
)
# What is about a place and not about incidents: who is signed in where, which processes run, how
# the tables were made, which clock was seen. The job library's tables follow from ours.
LEFT_OUT = ("sessions", "sign_in_links", "processes", "clock_seen", "installed", "migrations")
_ENDED_BY_A_RESTORE = ("sessions", "sign_in_links")
# Turns and requests hold rows of these first, so whoever keeps them out takes these first, too.
_HELD_FIRST = ("streams", "inbox", "deliveries")
_DEADLOCKS_MAX = 10
_CONDITIONS = {"inbox": "done_at IS NULL"}
# A lease names a process of the place where the backup was made.
_BLANK = {"deliveries": ("leased_until", "leased_by")}
_SEQUENCES = ("incident_numbers",)
_JOBS = "tocsin_pgqueuer"
_ROWS_AT_ONCE = 1_000
_LINE_BYTES_MAX = 256 * 1024 * 1024
_BYTES = "bytea"
_SESSION = {"datestyle": "ISO, YMD", "intervalstyle": "postgres", "extra_float_digits": "3"}
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})

Progress = Callable[[str, int], None]


class Unfit(Exception):  # noqa: N818 - it says what is so, in one line for a person
    """This file cannot be restored: <why>."""


class NotRestored(Exception):  # noqa: N818 - as above
    """The database was left as it was: <why, and what to do>."""


class Header(msgspec.Struct, frozen=True):
    """The first line: the form of the file, the newest migration, the version, and when (UTC)."""

    tocsin_backup: int
    step: int
    version: str
    at: str


class _Base64(msgspec.Struct, frozen=True):
    base64: str


class _Table(msgspec.Struct, frozen=True):
    """The line before the rows of a table. ``bytes`` are its columns that hold bytes."""

    table: str
    columns: tuple[str, ...]
    bytes: tuple[str, ...] = ()


class _Numbers(msgspec.Struct, frozen=True):
    """How far each sequence has counted; null before its first number."""

    numbers: dict[str, int | None]


class _Footer(msgspec.Struct, frozen=True):
    rows: dict[str, int]
    sha256: str


_Row = list[str | _Base64 | None]
_Line = _Table | _Numbers | _Footer
_ROW = msgspec.json.Decoder(_Row)


class _Section(NamedTuple):
    """A table of a file, with where its rows begin in it (bytes) and how many there are."""

    table: _Table
    begins_at: int
    rows: int


class Contents(NamedTuple):
    """A file that was read to its end and found whole."""

    header: Header
    sections: tuple[_Section, ...]
    numbers: dict[str, int | None]

    @property
    def rows(self) -> int:
        """Return how many rows it holds."""
        return sum(section.rows for section in self.sections)


def _ignore(_: str, __: int) -> None:
    """Show no progress."""


# -- Writing ---------------------------------------------------------------------------------------


async def lines(database: Database, progress: Progress = _ignore) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a backup, all as of one instant; the first is the header.

    Nothing is held up meanwhile, and a thousand rows are in memory. ``progress`` is told each table
    and how many of its rows were written. Raises Unavailable where the database goes away.
    """
    encode = msgspec.json.Encoder().encode
    digest = hashlib.sha256()
    rows: dict[str, int] = {}
    async with (
        database.direct.dedicated(
            "tocsin backup", Use.LONG, settings=_SESSION, command_s_max=None
        ) as c,
        c.transaction(isolation="repeatable_read", readonly=True),
    ):
        at = await c.fetchval(_SQL["now"])
        step = await c.fetchval(_SQL["step"])
        yield encode(Header(FORMAT, step, __version__, at.isoformat())) + b"\n"
        numbers: dict[str, int | None] = {}
        for name in KEPT:
            async for line in _table_lines(c, name, encode, rows, progress):
                digest.update(line)
                yield line
            numbers |= await _numbers_of(c, name)
        for sequence in _SEQUENCES:
            numbers[sequence] = await _last(c, sequence)
        line = encode(_Numbers(numbers)) + b"\n"
        digest.update(line)
        yield line
        yield encode(_Footer(rows, digest.hexdigest())) + b"\n"


async def _table_lines(
    c: Any, name: str, encode: Callable[[object], bytes], rows: dict[str, int], progress: Progress
) -> AsyncIterator[bytes]:
    blank = _BLANK.get(name, ())
    columns = [r for r in await c.fetch(_SQL["columns"], name) if r["name"] not in blank]
    names = tuple(str(column["name"]) for column in columns)
    holds_bytes = [column["type"] == _BYTES for column in columns]
    table = _Table(name, names, tuple(n for n, b in zip(names, holds_bytes, strict=True) if b))
    yield encode(table) + b"\n"
    key = [row["name"] for row in await c.fetch(_SQL["key"], name)]
    query = _SQL["rows"].format(
        columns=", ".join(
            _quoted(n) if b else f"{_quoted(n)}::text"
            for n, b in zip(names, holds_bytes, strict=True)
        ),
        table=_quoted(name),
        condition=_CONDITIONS.get(name, "true"),
        key=", ".join(map(_quoted, key)),
    )
    written = 0
    cursor = await c.cursor(query)
    while found := await cursor.fetch(_ROWS_AT_ONCE):
        for row in found:
            values = [
                _said(value) if b and value is not None else value
                for value, b in zip(row, holds_bytes, strict=True)
            ]
            yield encode(values) + b"\n"
        written += len(found)
        progress(name, written)
    rows[name] = written


def _said(value: bytes) -> str | _Base64:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _Base64(base64.b64encode(value).decode())


async def _numbers_of(c: Any, table: str) -> dict[str, int | None]:
    return {
        f"{table}.{row['name']}": await _last(c, row["sequence"])
        for row in await c.fetch(_SQL["numbers"], table)
    }


async def _last(c: Any, sequence: str) -> int | None:
    last = await c.fetchval(_SQL["number"].format(sequence=sequence))
    return None if last is None else int(last)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# -- Reading ---------------------------------------------------------------------------------------


def read(file: BinaryIO, progress: Progress = _ignore) -> Contents:
    """Read a whole file and return what is in it; nothing of it is kept in memory.

    Raises Unfit for a file that is no backup, was cut off or damaged, or is of a newer Tocsin.
    """
    header = _header(file.readline(_LINE_BYTES_MAX))
    reader = _Reader(progress)
    begins_at = file.tell()
    while line := file.readline(_LINE_BYTES_MAX):
        if not line.endswith(b"\n"):
            break
        reader.take(line, begins_at)
        begins_at += len(line)
        if reader.footer is not None:
            break
    if reader.footer is None:
        raise Unfit("It ends before its last line: it was cut off.")
    if file.read(1):
        raise Unfit("Something follows its last line.")
    return reader.contents(header)


def _header(line: bytes) -> Header:
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unfit("It is not a backup of Tocsin: its first line does not say so.") from None
    if header.tocsin_backup > FORMAT or header.step > migrate.newest_step():
        raise Unfit(
            f"It was made by a newer Tocsin ({header.version}, at step {header.step}; this one, "
            f"{__version__}, knows {migrate.newest_step()}): restore it with that version."
        )
    return header


class _Reader:
    """Goes through the lines after the header, and checks what can be checked."""

    def __init__(self, progress: Progress) -> None:
        self.footer: _Footer | None = None
        self._progress = progress
        self._digest = hashlib.sha256()
        self._tables: list[tuple[_Table, int]] = []
        self._rows: dict[str, int] = {}
        self._numbers: dict[str, int | None] = {}

    def take(self, line: bytes, begins_at: int) -> None:
        try:
            if line.startswith(b"["):
                self._row(_ROW.decode(line))
            elif line.startswith(b'{"rows"'):
                self.footer = msgspec.json.decode(line, type=_Footer)
                return
            elif line.startswith(b'{"numbers"'):
                self._numbers = msgspec.json.decode(line, type=_Numbers).numbers
            else:
                table = msgspec.json.decode(line, type=_Table)
                if table.table not in KEPT or table.table in self._rows:
                    raise Unfit(f"It is damaged: it speaks of a table {table.table!r}.")
                self._tables.append((table, begins_at + len(line)))
                self._rows[table.table] = 0
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unfit(f"It is damaged: {error}.") from error
        self._digest.update(line)

    def _row(self, row: _Row) -> None:
        if not self._tables or len(row) != len(self._tables[-1][0].columns):
            raise Unfit("It is damaged: a row does not fit its table.")
        name = self._tables[-1][0].table
        self._rows[name] += 1
        if self._rows[name] % _ROWS_AT_ONCE == 0:
            self._progress(name, self._rows[name])

    def contents(self, header: Header) -> Contents:
        assert self.footer is not None, "it was read to its end"
        if self.footer.sha256 != self._digest.hexdigest() or self.footer.rows != self._rows:
            raise Unfit("It is damaged: its lines are not those that were written.")
        missing = [name for name in KEPT if name not in self._rows]
        # A backup of an older Tocsin knows nothing of the tables that came later.
        if missing and header.step >= migrate.newest_step():
            raise Unfit(f"It is damaged: it says nothing of {', '.join(missing)}.")
        sections = tuple(
            _Section(table, begins_at, self._rows[table.table]) for table, begins_at in self._tables
        )
        return Contents(header, sections, self._numbers)


# -- Restoring -------------------------------------------------------------------------------------


async def restore(
    database: Database,
    file: BinaryIO,
    contents: Contents,
    *,
    replace: bool = False,
    progress: Progress = _ignore,
) -> None:
    """Put what ``read`` found in a file into the database, in one transaction.

    The database must hold nothing, or ``replace`` throws away what it holds. Processes that run on
    it meanwhile wait, and are told then ("restored") to forget what they remember. What is due goes
    on by itself: the sweep finds timers and deliveries that have no job.

    Raises NotRestored, and then nothing was changed; Unavailable where the database goes away.
    """
    async with database.direct.dedicated(
        "tocsin restore", Use.LONG, settings=_SESSION, command_s_max=None
    ) as c:
        try:
            async with contextlib.AsyncExitStack() as stack:
                await _begin_alone(c, stack)
                await _empty(c, replace=replace)
                for section in contents.sections:
                    await _fill(c, file, section, progress)
                await _count_on(c, contents.numbers)
                for topic in (live.RESTORED, "access", "inbox"):
                    await live.announce(c, topic)
        except asyncpg.LockNotAvailableError:
            raise NotRestored(
                "Somebody has been using a table for half a minute: look for a long transaction in "
                "pg_stat_activity, and try again."
            ) from None
        except asyncpg.DataError as error:
            raise NotRestored(f"PostgreSQL does not take a row of the file: {error}.") from error
        except asyncpg.IntegrityConstraintViolationError as error:
            raise NotRestored(f"Two rows of the file contradict each other: {error}.") from error


async def _begin_alone(c: Any, stack: contextlib.AsyncExitStack) -> None:
    """Begin a transaction in which nobody else uses the tables; it ends with the stack."""
    tables = dict.fromkeys((*_HELD_FIRST, *KEPT, *_ENDED_BY_A_RESTORE))
    hold = _SQL["hold"].format(tables=", ".join(map(_quoted, tables)))
    for attempt in range(1, _DEADLOCKS_MAX + 1):
        async with contextlib.AsyncExitStack() as begun:
            await begun.enter_async_context(c.transaction())
            await c.execute(_SQL["wait_for_tables"])
            try:
                await c.execute(hold)
            except asyncpg.DeadlockDetectedError:
                # Somebody holds what we want and wants what we hold; they went on, and so may we.
                if attempt == _DEADLOCKS_MAX:
                    raise
                continue
            stack.push_async_exit(begun.pop_all())
            return


async def _empty(c: Any, *, replace: bool) -> None:
    all_tables = ", ".join(map(_quoted, (*KEPT, *_ENDED_BY_A_RESTORE)))
    if not replace:
        used = [
            name for name in KEPT if await c.fetchval(_SQL["is_used"].format(table=_quoted(name)))
        ]
        if used:
            raise NotRestored(
                f"The database is not empty ({', '.join(used)}). Restore into an empty one, or "
                "throw away what it holds with --replace."
            )
    await c.execute(_SQL["empty"].format(tables=all_tables))


async def _fill(c: Any, file: BinaryIO, section: _Section, progress: Progress) -> None:
    name = section.table.table
    columns = {row["name"]: row["type"] for row in await c.fetch(_SQL["columns"], name)}
    for column in section.table.columns:
        if column not in columns:
            raise NotRestored(
                f"The file has a column {name}.{column} that this Tocsin does not know: restore it "
                "with the version that made it, and upgrade then."
            )
    file.seek(section.begins_at)
    await c.copy_to_table(
        name,
        source=_chunks(file, section, progress),
        columns=section.table.columns,
        format="text",
    )


async def _chunks(file: BinaryIO, section: _Section, progress: Progress) -> AsyncIterator[bytes]:
    held = [column in section.table.bytes for column in section.table.columns]
    left = section.rows
    while left:
        count = min(left, _ROWS_AT_ONCE)
        rows = (_ROW.decode(file.readline(_LINE_BYTES_MAX)) for _ in range(count))
        yield b"".join(_copy_line(row, held) for row in rows)
        left -= count
        progress(section.table.table, section.rows - left)


def _copy_line(row: _Row, held: Sequence[bool]) -> bytes:
    return "\t".join(_copy_fields(row, held)).encode() + b"\n"


def _copy_fields(row: _Row, held: Sequence[bool]) -> Iterator[str]:
    for value, is_bytes in zip(row, held, strict=True):
        if value is None:
            yield "\\N"
        elif is_bytes:
            yield "\\\\x" + _raw(value).hex()
        else:
            assert isinstance(value, str), "only bytes are written as anything but text"
            yield value.translate(_COPY_ESCAPES)


def _raw(value: str | _Base64) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value.base64, validate=True)
    except binascii.Error as error:
        raise NotRestored(f"A value of the file is not base64: {error}.") from error


async def _count_on(c: Any, numbers: dict[str, int | None]) -> None:
    sequences = {name: name for name in _SEQUENCES}
    for table in KEPT:
        for row in await c.fetch(_SQL["numbers"], table):
            sequences[f"{table}.{row['name']}"] = row["sequence"]
    for name, sequence in sequences.items():
        last = numbers.get(name)
        if last is None:
            await c.execute(_SQL["count_anew"], sequence)
        else:
            await c.execute(_SQL["count_on"], sequence, last)


async def undecided(c: Connection) -> frozenset[str]:
    """Return the tables of which nobody has said whether a backup holds them."""
    names = (str(row["name"]) for row in await c.fetch(_SQL["tables"]))
    ours = (name for name in names if not name.startswith(_JOBS))
    return frozenset(ours) - {*KEPT, *LEFT_OUT}
