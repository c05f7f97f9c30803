"""The composition root: builds the rooms and hands them to each other."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pathlib
import resource
import signal
import socket
import stat
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import msgspec.structs
import structlog
import uvicorn

import tocsin.core
import tocsin.runbook
from tocsin import __version__
from tocsin.base import faults
from tocsin.base.rights import Scope
from tocsin.base.source import Source
from tocsin.config import Unreadable, crash_at, read_runbook
from tocsin.core.policy import Finding, Level
from tocsin.engine.about import About
from tocsin.engine.book import Book
from tocsin.engine.courier import Courier
from tocsin.engine.engine import Engine
from tocsin.engine.instruments import Instruments
from tocsin.engine.outbound import GuardedClient
from tocsin.engine.system import SystemClock, SystemIds
from tocsin.engine.watchdog import Watchdog
from tocsin.integrations.outbound import load as load_outbound
from tocsin.integrations.wire import Links
from tocsin.runbook import Compiled, Compiler, compile_runbook
from tocsin.store import access, audit, live, processes
from tocsin.store.database import Database, Unavailable
from tocsin.store.embedded import Embedded
from tocsin.store.migrate import MigrationError
from tocsin.web.context import Context
from tocsin.web.links import Signer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tocsin.config import Settings
    from tocsin.engine.engine import Role
    from tocsin.store.connection import Connection

_log = structlog.get_logger("tocsin")

ALL_SCOPES = tuple(Scope)
INGEST_SCOPES = (Scope.INGEST,)
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - a file name
COMPILED_FILE = "compiled.msgpack"
INGEST_KEY_FILE = "ingest.key"
LINK_LIFE = timedelta(minutes=15)
RUNBOOK_POLL_S = 1.0
RESTORES_APART_S = 2.0
SHUTDOWN_S_MAX = 10
FIRST_WORDS_AGAIN_S = 0.5
DATABASE_WAIT_S_MAX = 60.0
FILES_MAX = 65_536


class CannotStart(Exception):  # noqa: N818 - it says what is so, in one line for a person
    """Tocsin cannot start: <what, where, and what to do>."""


@dataclass(frozen=True)
class Plan:
    """What to serve, and which part of it in this process.

    ``database_url`` is "" for the embedded server under ``data``.
    """

    runbook: Path
    settings: Settings
    data: Path
    host: str
    port: int
    database_url: str = ""
    database_direct_url: str = ""
    shorten_by: float = 1.0
    role: Role = "all"


@dataclass(frozen=True)
class Running:
    """A server that answers. ``url`` is where; ``login_url`` works once, for fifteen minutes."""

    url: str
    login_url: str
    admin_token: str
    ingest_key: str
    engine: Engine
    database: Database
    book: Book
    stop: asyncio.Event


def compile_or_refuse(documents: dict[str, str], runbook: Path) -> Compiled:
    """Compile a runbook to start on; raise CannotStart with its errors if it has any."""
    compiled = compile_runbook(documents)
    if compiled.has_errors:
        errors = [f for f in compiled.findings if f.level is Level.ERROR]
        listed = "\n".join(f"{f.source}:{f.column} {f.code} {f.message} {f.remedy}" for f in errors)
        raise CannotStart(
            f"{listed}\nThe runbook has errors and cannot be put in force. "
            f"Mend them, or see: tocsin check {runbook}"
        )
    return compiled


class _Kept(msgspec.Struct):
    """A compiled runbook on disk, so that starting again need not load the parsers."""

    mark: str
    compiled: Compiled


def _compiler_mark(documents: dict[str, str]) -> str:
    """Return what is the same only for the same documents and the same compiler."""
    digest = hashlib.sha256(msgspec.json.encode(documents, order="sorted"))
    for room in (tocsin.runbook.__path__[0], tocsin.core.__path__[0]):
        for file in sorted(pathlib.Path(room).rglob("*.py")):
            now = file.stat()
            digest.update(f"{file.name} {now.st_size} {now.st_mtime_ns}".encode())
    return digest.hexdigest()


def _prepare(plan: Plan) -> _Kept:
    """Do what takes a while and needs no database: load the web room, compile the runbook."""
    import tocsin.web.app  # noqa: F401 - loading it is the work

    documents = read_runbook(plan.runbook)
    mark = _compiler_mark(documents)
    with contextlib.suppress(OSError, msgspec.DecodeError):
        file = plan.data / COMPILED_FILE
        if _is_ours(file) and not file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            kept = msgspec.msgpack.decode(file.read_bytes(), type=_Kept)
            if kept.mark == mark:
                return kept
    return _Kept(mark, compile_or_refuse(documents, plan.runbook))


def _keep(plan: Plan, kept: _Kept) -> None:
    # It saves time and nothing else: a disk that refuses costs a compilation at the next start.
    with contextlib.suppress(OSError):
        file = plan.data / COMPILED_FILE
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _write_private(fresh, msgspec.msgpack.encode(kept))
        fresh.replace(file)


@contextlib.asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Running]:
    """Start everything, yield while it serves, and stop everything in order.

    Raises CannotStart, store.EmbeddedError or config.ConfigError with one clear sentence.
    """
    if plan.role != "all" and not plan.database_url:
        raise CannotStart(
            f"--role {plan.role}: is one part of Tocsin, and needs a database that the other part "
            "reaches, too. Set DATABASE_URL, or leave --role out."
        )
    _allow_many_connections()
    listening = _listen(plan.host, plan.port)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listening.close)
        # PostgreSQL starts in its own process while this one loads what it needs.
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(_database(plan, stack))
            preparing = group.create_task(asyncio.to_thread(_prepare, plan))
        database, embedded = opening.result()
        kept = preparing.result()
        book = Book(
            _shortened(kept.compiled, plan.shorten_by),
            plan.settings.directory,
            configured=plan.settings.is_configured,
            tuning=plan.settings.tuning,
        )
        from tocsin.web.app import create_app
        from tocsin.web.connections import Impatient

        clock, ids = SystemClock(), SystemIds()
        instruments = Instruments(__version__, plan.role)
        database.on_commit = instruments.committed
        first = await _first_words(plan, database, book, clock, ids)
        url = _url(plan.host, listening)
        public_url = plan.settings.public_url or url
        signer = first.signer
        client = await stack.enter_async_context(GuardedClient(allow=plan.settings.outbound_allow))
        engine = _engine(
            plan, database, book, client, clock, instruments, _links(public_url, signer, clock), url
        )
        stop = asyncio.Event()
        context = Context(
            engine=engine,
            database=database,
            book=book,
            clock=clock,
            ids=ids,
            public_url=public_url,
            directory=plan.settings.directory,
            signer=signer,
            version=__version__,
            started_at=clock.now(),
            closing=stop,
            about=About(
                role=plan.role,
                version=__version__,
                data=plan.data,
                is_embedded=embedded is not None,
                has_heartbeat=plan.settings.heartbeat is not None,
                watchdog_contacts=tuple(str(c) for c in plan.settings.watchdog.contacts),
                retention=plan.settings.retention.say(),
                beats=engine.watchdog.state,
            ),
            instruments=instruments,
            audit_kept=plan.settings.retention.audit,
        )
        _keep(plan, kept)
        server = _Server(
            uvicorn.Config(
                create_app(context),
                http=Impatient,
                log_config=None,
                access_log=False,
                server_header=False,
                # Whoever is on this machine, a proxy among them, could choose its own address.
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_S_MAX,
                timeout_keep_alive=65,
                lifespan="on",
                ws="none",
            ),
            stop,
        )
        async with asyncio.TaskGroup() as group:
            for lasting in (
                engine.run(stop),
                database.watch(stop),
                _watch(plan, book, database, clock, stop),
                instruments.watch_loop(stop),
                _follow_restores(plan, context, engine, book, signer, ids),
            ):
                group.create_task(lasting)
            if embedded is not None:
                group.create_task(embedded.keep(stop))
            serving = group.create_task(server.serve(sockets=[listening]))
            while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.005)
            try:
                yield Running(
                    url=url,
                    login_url=f"{url}/login/{first.link}",
                    admin_token=first.tokens["admin"],
                    ingest_key=first.tokens["ingest"],
                    engine=engine,
                    database=database,
                    book=book,
                    stop=stop,
                )
            finally:
                stop.set()
                server.should_exit = True


def _engine(
    plan: Plan,
    database: Database,
    book: Book,
    client: GuardedClient,
    clock: SystemClock,
    instruments: Instruments,
    links: Callable[[str, str | None], Links],
    url: str,
) -> Engine:
    courier = Courier(
        database=database,
        outbound=load_outbound(),
        credentials=plan.settings.credentials,
        smtp=plan.settings.smtp,
        client=client,
        links=links,
        clock=clock,
        instruments=instruments,
    )
    watchdog = Watchdog(
        clock,
        courier.channels,
        client,
        alarm=plan.settings.watchdog,
        heartbeat=plan.settings.heartbeat,
        about=f"role {plan.role}, version {__version__}, at {url}",
    )
    engine = Engine(
        database,
        book,
        courier,
        clock,
        plan.settings.directory,
        plan.settings.tuning,
        instruments,
        plan.settings.intake,
        role=plan.role,
        watchdog=watchdog,
        retention=plan.settings.retention,
    )
    courier.on_report(engine.wake)
    return engine


class _Server(uvicorn.Server):
    """Uvicorn, but a signal also ends the open streams: one of them would hold up the shutdown."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def] # uvicorn's own signature is untyped here
        """Leave signals to the command: it sets ``stop``, which ends streams, engine and server."""
        yield


def crash_where_told() -> None:
    """Arm the crash point that TOCSIN_CRASH_AT names, if it is set; raises ConfigError."""
    told = crash_at()
    if told is None:
        return
    name, nth = told
    _log.warning("this process will kill itself", at=name, nth=nth)

    def crash() -> None:
        sys.stderr.write(f"tocsin: crash point {name}, time {nth}\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    faults.arm(faults.at(name, nth, crash))


def give_up_on_signal() -> None:
    """Let SIGTERM cancel the calling task, so that what was begun while starting is undone."""
    task = asyncio.current_task()
    assert task is not None  # it is called from a coroutine
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def stop_on_signal(stop: asyncio.Event) -> None:
    """Let SIGINT and SIGTERM set ``stop``, which ends streams, engine and server in order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _database(
    plan: Plan, stack: contextlib.AsyncExitStack
) -> tuple[Database, Embedded | None]:
    """Open the database, starting the embedded one first where no other is named."""
    embedded = None
    url = plan.database_url
    if not url:
        embedded = await Embedded.start(plan.data)
        stack.push_async_exit(_leaving(embedded))
        url = embedded.url
    try:
        database = await Database.open(
            url,
            direct_url=plan.database_direct_url if plan.database_url else "",
            # An embedded one is there by now; another may be starting with the same machine.
            wait_s=DATABASE_WAIT_S_MAX if plan.database_url else 0,
        )
        stack.push_async_callback(database.close)
        if embedded is not None:
            # We hold its directory: whoever was here is dead, and what it had in hand is ours.
            async with database.transaction() as connection:
                await processes.bury(connection)
    except Unavailable as error:
        where = "DATABASE_URL" if plan.database_url else str(plan.data)
        raise CannotStart(
            f"{error} ({where}) Is PostgreSQL running, and is the address right?"
        ) from error
    except MigrationError as error:
        raise CannotStart(str(error)) from error
    return database, embedded


class _FirstWords(NamedTuple):
    """What a start asks of the database, and leaves there."""

    signer: Signer
    tokens: dict[str, str]
    link: str


async def _first_words(
    plan: Plan, database: Database, book: Book, clock: SystemClock, ids: SystemIds
) -> _FirstWords:
    """Exchange them, again where the database goes away meanwhile: each may be said twice."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + DATABASE_WAIT_S_MAX
    while True:
        try:
            await book.remember(database, clock.now())
            tokens = await _tokens(plan.data, database, ids)
            link = ids.secret()
            async with database.transaction() as connection:
                signer = Signer(await access.server_secret(connection))
                now = await database.now(connection)
                await access.offer_link(connection, link, now + LINK_LIFE)
                await _note_runbook(connection, book)
        except Unavailable as error:
            # An embedded one has nobody yet who would start it again.
            if not plan.database_url or loop.time() >= ends:
                raise CannotStart(f"{error} It went away while Tocsin started.") from error
            _log.warning("the start waits for the database", why=str(error))
            await database.direct.rest(FIRST_WORDS_AGAIN_S)
        else:
            return _FirstWords(signer, tokens, link)


def _leaving(
    embedded: Embedded,
) -> Callable[[object, BaseException | None, object], Awaitable[None]]:
    """Return what stops it at the end. A first start that refuses leaves no database behind."""

    async def leave(_kind: object, error: BaseException | None, _trace: object) -> None:
        refusals = (CannotStart, Unreadable)
        if isinstance(error, BaseExceptionGroup):
            error = error.subgroup(refusals)
        if isinstance(error, (*refusals, BaseExceptionGroup)):
            await embedded.discard_if_new()
        else:
            await embedded.stop()

    return leave


def _allow_many_connections() -> None:
    """Ask for more file descriptors than the usual 1,024, which are few for a front door."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"{host}:{port}: cannot listen there: {error.strerror or error}. "
            "Choose another address with --listen HOST:PORT."
        ) from error
    return listening


def _url(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _links(
    public_url: str, signer: Signer, clock: SystemClock
) -> Callable[[str, str | None], Links]:
    def links(incident: str, page: str | None) -> Links:
        room = f"{public_url}/incidents/{incident}"
        if page is None:
            return Links(room)
        return Links(room, f"{public_url}/ack/{signer.ack_token(incident, page, clock.now())}")

    return links


async def _tokens(data: Path, database: Database, ids: SystemIds) -> dict[str, str]:
    """Return the first credentials, writing them on the first start (mode 0600)."""
    found = {}
    for name, file_name, scopes in (
        ("admin", ADMIN_TOKEN_FILE, ALL_SCOPES),
        ("ingest", INGEST_KEY_FILE, INGEST_SCOPES),
    ):
        found[name] = _kept_secret(data / file_name, ids)
        async with database.transaction() as connection:
            in_force = await access.keep(connection, name, found[name], scopes, file_name)
        if not in_force:
            # Whoever revoked it meant it: a fresh one is made when somebody removes the file.
            _log.warning(
                "this token was revoked and opens nothing; delete the file and start again to have"
                " a fresh one",
                file=str(data / file_name),
            )
    return found


def _kept_secret(file: Path, ids: SystemIds) -> str:
    try:
        if file.exists():
            if not _is_ours(file):
                raise CannotStart(
                    f"{file}: belongs to another user, who then knows the token in it. "
                    "Remove it, or choose another --data."
                )
            kept = file.read_text(encoding="utf-8").strip()
            if kept:
                return kept
            # A power cut may leave the name and lose what stood under it.
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = ids.secret()
        fresh = file.with_name(f"{file.name}.new")
        fresh.unlink(missing_ok=True)
        _write_private(fresh, f"{secret}\n".encode())
        fresh.replace(file)
    except OSError as error:
        raise CannotStart(
            f"{file}: cannot keep a token there: {error.strerror or error}."
        ) from error
    return secret


def _is_ours(file: Path) -> bool:
    """Say whether a file, and the link that leads to it if there is one, is ours or root's."""
    return {file.lstat().st_uid, file.stat().st_uid} <= {0, os.geteuid()}


def _write_private(file: Path, content: bytes) -> None:
    """Write a file that nobody else can read, and that was not there before."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(descriptor)


async def _follow_restores(
    plan: Plan, context: Context, engine: Engine, book: Book, signer: Signer, ids: SystemIds
) -> None:
    """Put what this process needs into a database that was replaced by a backup, until the end."""
    engine.when_restored(context.restored.set)
    ending = asyncio.ensure_future(context.closing.wait())
    try:
        while not context.closing.is_set():
            restored = asyncio.ensure_future(context.restored.wait())
            await asyncio.wait((ending, restored), return_when=asyncio.FIRST_COMPLETED)
            restored.cancel()
            if context.closing.is_set():
                return
            context.restored.clear()
            engine.forget()
            try:
                async with context.database.transaction() as connection:
                    signer.renew(await access.server_secret(connection))
                await book.remember(context.database, context.clock.now())
                await _tokens(plan.data, context.database, ids)
            except CannotStart as error:
                _log.error("the tokens in files cannot be looked after", why=str(error))
            except Unavailable as error:
                _log.warning("what a restore may have taken waits", why=str(error))
                context.restored.set()
            # "Anything may have changed" is heard often where a pooler keeps what we listen to.
            await asyncio.wait((ending,), timeout=RESTORES_APART_S)
    finally:
        ending.cancel()


async def _watch(
    plan: Plan, book: Book, database: Database, clock: SystemClock, stop: asyncio.Event
) -> None:
    """Compile the runbook again when its files change; with errors the old one stays in force."""
    # One document of a large folder changes at a time; the others are not read again.
    compiler = Compiler()
    seen = _fingerprint(plan.runbook)
    settings_seen = _fingerprint(plan.settings.path) if plan.settings.path else ()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RUNBOOK_POLL_S):
                await stop.wait()
        if plan.settings.path and _fingerprint(plan.settings.path) != settings_seen:
            settings_seen = _fingerprint(plan.settings.path)
            _log.warning("settings changed; they are read at the next start")
        now = _fingerprint(plan.runbook)
        if now == seen:
            continue
        try:
            # In a thread: requests are answered while a long runbook compiles.
            compiled = await asyncio.to_thread(_compile_again, plan, book.current, compiler)
            in_force = await book.offer(compiled, database, clock.now())
            async with database.transaction() as connection:
                await live.announce(connection, "runbook")
                if in_force:
                    await _note_runbook(connection, book)
        except Unavailable as error:
            _log.warning("runbook waits for the database", why=str(error))
            continue
        if in_force:
            _log.info("runbook in force", revision=book.current.policy.revision[:12])
        else:
            errors = [f for f in compiled.findings if f.level is Level.ERROR]
            said = [f"{f.source}:{f.column} {f.code} {f.message}" for f in errors]
            _log.warning("runbook has errors; the old one stays in force", errors=said[:5])
        seen = now


async def _note_runbook(connection: Connection, book: Book) -> None:
    await audit.note(connection, "runbook in force", book.current.policy.revision[:12])


def _compile_again(plan: Plan, in_force: Compiled, compiler: Compiler) -> Compiled:
    """Compile the files as they are now; files that cannot be read are an error like any other."""
    try:
        documents = read_runbook(plan.runbook)
    except Unreadable as error:
        finding = Finding(
            "T159",
            Level.ERROR,
            Source(str(plan.runbook), 1),
            1,
            str(error),
            "Put it back; until then the revision in force stays.",
        )
        return msgspec.structs.replace(in_force, findings=(finding,))
    return _shortened(compiler.compile(documents), plan.shorten_by)


def _fingerprint(runbook: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file of the runbook does: paths, times and sizes."""
    try:
        files = sorted(runbook.rglob("*.md")) if runbook.is_dir() else [runbook]
    except OSError as error:
        return ((str(error), 0, 0),)
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            now = file.stat()
            found.append((str(file), now.st_mtime_ns, now.st_size))
    return tuple(found)


def _shortened(compiled: Compiled, divisor: float) -> Compiled:
    return msgspec.structs.replace(compiled, policy=compiled.policy.shortened(divisor))
