"""``tocsin backup``, ``restore`` and ``rebuild``: what is kept, taken away, put back, put right.

Each works on the database itself: that of DATABASE_URL, also while Tocsin runs on it, or the one
under --data while no Tocsin does. ``backup`` and ``rebuild`` also ask a running server.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from tocsin.cli.remote import Remote, Token, fail, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tocsin.store.backup import Contents, Progress
    from tocsin.store.database import Database

_STDOUT: Final = Path("-")
_DATA: Final = Path("tocsin-data")
_SHOWN_EVERY: Final = 5_000

Data = Annotated[
    Path,
    typer.Option(help="Where the database lives, unless DATABASE_URL names another."),
]
Through = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="TOCSIN_SERVER",
        show_default=False,
        help="Ask the Tocsin that runs there instead of the database itself.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    panel = "What is kept"
    for command in (backup, restore, rebuild):
        app.command(rich_help_panel=panel)(command)


# -- Commands --------------------------------------------------------------------------------------


def backup(
    file: Annotated[Path, typer.Argument(help='Where to write it; "-" is standard output.')],
    server: Through = "",
    token: Token = "",
    data: Data = _DATA,
) -> None:
    """Write everything into one file, as of one instant, while all goes on.

    It holds the hashes of tokens, and the secret that signs links: keep it as you keep those.
    """
    with _written(file) as out, _shown("Backing up") as progress:
        if server:
            _fetch_backup(Remote(server, token), out, progress)
        else:
            _on_the_database(data, must_exist=True, work=lambda d: _write_backup(d, out, progress))
    if file != _STDOUT:
        _say(f"{file}: {file.stat().st_size / 1e6:,.1f} MB. It was read again and is whole.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `tocsin backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Throw away what the database holds.")
    ] = False,
    data: Data = _DATA,
) -> None:
    """Put a backup into an empty database, or with --replace in the place of what is there.

    The file is read to its end first: one that is damaged changes nothing.
    """
    from tocsin.store.backup import NotRestored, Unfit, read

    try:
        with file.open("rb") as source:
            with _shown("Reading") as progress:
                contents = read(source, progress)
            header = contents.header
            _say(f"{file}: {contents.rows:,} rows of {header.at}, by Tocsin {header.version}.")
            with _shown("Restoring") as progress:
                _on_the_database(
                    data,
                    must_exist=False,
                    work=lambda d: _put_back(
                        d, source, contents, replace=replace, progress=progress
                    ),
                )
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror or error}.")
    except (Unfit, NotRestored) as error:
        fail(f"{file}: {error}" if isinstance(error, Unfit) else str(error))
    _say("Restored. What was due meanwhile happens as soon as Tocsin runs on it.")


def rebuild(
    check: Annotated[
        bool, typer.Option("--check", help="Compare only, and change nothing.")
    ] = False,
    server: Through = "",
    token: Token = "",
    data: Data = _DATA,
) -> None:
    """Compare what is stored of each incident and desk with its journal, and make it so again.

    One is claimed at a time, so all others go on. With --check, differences make the exit status 1.
    """
    summary: dict[str, Any] = {}

    def take(line: dict[str, Any]) -> None:
        if line.get("done"):
            summary.update(line)
        elif "verdict" in line:
            what = "; ".join(line["what"])
            typer.echo(plain(f"{line['stream']}  {line['verdict']}: {what}"))

    if server:
        with Remote(server, token).stream("POST", "rebuild", {"check": check}) as lines:
            for line in lines:
                take(json.loads(line))
    else:
        _on_the_database(data, must_exist=True, work=lambda d: _rebuild(d, take, check=check))
    if not summary:
        fail("It was cut off before its end. What was made anew by then stays so.")
    differs = summary["differs"]
    typer.echo(
        f"{summary['streams']:,} incidents and desks, {summary['events']:,} events: "
        f"{summary['same']:,} as their journals say, {differs:,} "
        f"{'that differ' if check else 'made so again'}, {summary['pruned']:,} pruned, "
        f"{summary['unreadable']:,} unreadable."
    )
    if summary["unreadable"] or (check and differs):
        raise typer.Exit(1)


async def _put_back(
    database: Database, file: BinaryIO, contents: Contents, *, replace: bool, progress: Progress
) -> None:
    from tocsin.store import audit
    from tocsin.store.backup import restore as put_back

    await put_back(database, file, contents, replace=replace, progress=progress)
    async with database.transaction() as connection:
        await audit.note(connection, "restore", f"of {contents.header.at}")


# -- Backup ----------------------------------------------------------------------------------------


async def _write_backup(database: Database, out: BinaryIO, progress: Progress) -> None:
    from tocsin.store.backup import lines

    async with contextlib.aclosing(lines(database, progress)) as found:
        async for line in found:
            out.write(line)


def _fetch_backup(remote: Remote, out: BinaryIO, progress: Progress) -> None:
    with remote.stream("GET", "backup") as lines:
        for count, line in enumerate(lines, 1):
            out.write(line)
            if count % _SHOWN_EVERY == 0:
                progress("everything", count)


@contextlib.contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """Lend a private file that takes its name only when it is written, on the disk, and whole."""
    from tocsin.store.backup import Unfit, read

    if file == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror or error}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
            out.seek(0)
            read(out)
        part.replace(file)
        _sync(file.parent)
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror or error}.")
    except Unfit as error:
        fail(f"The backup came damaged, and was thrown away. {error}")
    finally:
        part.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- Rebuild ---------------------------------------------------------------------------------------


async def _rebuild(
    database: Database, take: Callable[[dict[str, Any]], None], *, check: bool
) -> None:
    from tocsin.engine.rebuild import tell

    async with contextlib.aclosing(tell(database, check=check)) as lines:
        async for line in lines:
            take(json.loads(line))


# -- The database ----------------------------------------------------------------------------------


def _on_the_database(data: Path, *, must_exist: bool, work: Callable[[Database], Any]) -> None:
    from tocsin.cli.serving import run_until_done

    run_until_done(lambda: _with_database(data, must_exist=must_exist, work=work))


async def _with_database(data: Path, *, must_exist: bool, work: Callable[[Database], Any]) -> None:
    async with _opened(data, must_exist=must_exist) as database:
        await work(database)


@contextlib.asynccontextmanager
async def _opened(data: Path, *, must_exist: bool) -> AsyncIterator[Database]:
    """Open the database of DATABASE_URL, or start the one under ``data`` for a while."""
    from tocsin import config
    from tocsin.app import CannotStart
    from tocsin.store.database import Database
    from tocsin.store.embedded import Embedded
    from tocsin.store.migrate import MigrationError

    url, embedded = config.database_url(), None
    if not url:
        if must_exist and not (data / "postgres").is_dir():
            raise CannotStart(
                f"{data}: there is no database. Name its folder with --data, set DATABASE_URL, or "
                "ask a running Tocsin with --server."
            )
        embedded = await Embedded.start(data)
        url = embedded.url
    try:
        direct = config.database_direct_url() if embedded is None else ""
        try:
            database = await Database.open(url, direct_url=direct)
        except MigrationError as error:
            raise CannotStart(str(error)) from error
        try:
            yield database
        finally:
            await database.close()
    finally:
        if embedded is not None:
            await embedded.stop()


# -- Saying ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _shown(doing: str) -> Iterator[Progress]:
    """Show at a terminal how far it is; say nothing where nobody watches."""
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False)
    if not console.is_terminal:
        yield lambda _, __: None
        return
    with console.status(f"{doing} ...") as status:
        yield lambda table, rows: status.update(f"{doing}: {table}, {rows:,} rows")


def _say(text: str) -> None:
    """Say it to the person, and never into the file that standard output may be."""
    typer.echo(plain(text), err=True)
