"""``tocsin serve`` and ``tocsin demo``: a running server."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from tocsin.app import Plan, Running
    from tocsin.core.surroundings import Directory, Tuning

DEFAULT_LISTEN = "127.0.0.1:8642"


class Role(StrEnum):
    """What a process does of all there is to do."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("serve")(serve)
    app.command("demo")(demo)


def serve(
    runbook: Annotated[
        Path, typer.Option(help="A Markdown file, or a folder of them.", readable=False)
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="Settings; default: tocsin.toml beside the runbook.", readable=False),
    ] = None,
    data: Annotated[Path, typer.Option(help="Where the database and the tokens live.")] = Path(
        "tocsin-data"
    ),
    listen: Annotated[str, typer.Option(metavar="HOST:PORT")] = DEFAULT_LISTEN,
    role: Annotated[
        Role,
        typer.Option(
            help="What this process does: web takes alerts in and shows pages, worker decides and "
            "delivers, all does both."
        ),
    ] = Role.ALL,
) -> None:
    """Serve a runbook: take in alerts, grade, page, escalate, and show the board."""
    from tocsin import config as settings_of

    def plan() -> Plan:
        return plan_of(runbook, config, data, listen, settings_of.database_url(), role)

    run_until_done(lambda: _serve(plan()))


def demo(
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help=f"Default: {DEFAULT_LISTEN}.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where the demo keeps its files; default: ./tocsin-demo.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Exit when the incident is written up.")
    ] = False,
) -> None:
    """Play a real incident on the example runbook, from detection to post-mortem."""
    from tocsin.cli import demo as playing

    run_until_done(lambda: playing.play(listen, data, once=once))


def plan_of(
    runbook: Path,
    config: Path | None,
    data: Path,
    listen: str,
    database_url: str,
    role: Role = Role.ALL,
) -> Plan:
    """Return what to serve, from the options of a command; raises one of the expected errors."""
    from tocsin import config as settings_of
    from tocsin.app import CannotStart, Plan

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise CannotStart(f"--listen {listen}: wants HOST:PORT, such as {DEFAULT_LISTEN}.")
    if config is not None and not config.is_file():
        raise CannotStart(f"--config {config}: there is no such file.")
    return Plan(
        runbook=runbook,
        settings=settings_of.load(config or settings_of.find(runbook)),
        data=data,
        host=host.strip("[]"),
        port=int(port),
        database_url=database_url,
        database_direct_url=settings_of.database_direct_url() if database_url else "",
        role=role.value,
    )


def settings_beside(runbook: Path) -> tuple[Directory, Tuning] | None:
    """Return what the settings beside a runbook say of people and levels; None without settings.

    Exits with the mistakes of the file, when it has any.
    """
    from tocsin import config as settings_of

    path = settings_of.find(runbook)
    if path is None:
        return None
    try:
        settings = settings_of.load(path, need_secrets=False)
    except settings_of.ConfigError as error:
        _fail(str(error))
    return settings.directory, settings.tuning


def alert_rules_beside(runbook: Path) -> tuple[Path, ...]:
    """Return the files of alerting rules that the settings beside a runbook name."""
    from tocsin import config as settings_of

    path = settings_of.find(runbook)
    # The settings are read once more, and have been found without a mistake before.
    return () if path is None else settings_of.load(path, need_secrets=False).alert_rules


async def _serve(plan: Plan) -> None:
    from tocsin.app import crash_where_told, give_up_on_signal, running, stop_on_signal

    configure_logging()
    give_up_on_signal()
    crash_where_told()
    async with running(plan) as server:
        stop_on_signal(server.stop)
        for line in banner(plan, server):
            typer.echo(line)
        await server.stop.wait()
        typer.echo("Stopping.")


def banner(plan: Plan, server: Running) -> list[str]:
    """Return what ``serve`` prints when it answers: where it is, and how to use it."""
    policy = server.book.current.policy
    levels = ", ".join(s.level for s in policy.severities) or "no severity levels"
    key_file, token_file = plan.data / "ingest.key", plan.data / "admin.token"
    lines = [
        f"Tocsin serves {plan.runbook} at {server.url}",
        f"  Runbook    {levels}; {_count(policy.escalations, 'escalation rule')}, "
        f"{_count(policy.plays, 'play')}, {_count(server.book.findings, 'finding')}: "
        f"tocsin check {plan.runbook}",
    ]
    if plan.role == "worker":
        return [
            *lines,
            "  Worker     decides and delivers; it answers /healthz, /readyz and /metrics only",
            "  Stop with Ctrl-C.",
        ]
    lines += [
        f"  Board      {server.login_url}",
        "             for you, once, within 15 minutes; who is new becomes an admin",
        f"  Prometheus alertmanagers: path_prefix: /in/<the key in {key_file}>/",
        f'  Commands   export TOCSIN_TOKEN="$(cat {quote(str(token_file))})"; tocsin incidents',
    ]
    if plan.data != Path("tocsin-data") or server.url != f"http://{DEFAULT_LISTEN}":
        lines[-1] += f" --server {server.url}"
    if not plan.settings.is_configured:
        lines.append(
            "  No tocsin.toml: pages appear in the app only. "
            "To reach people, put one beside the runbook: tocsin init shows how."
        )
    elif not plan.settings.public_url:
        lines.append(
            f"  Links in pages and mails begin with {server.url}: set [server] url in "
            f"{plan.settings.path} to where people reach it."
        )
    lines.append("  Stop with Ctrl-C.")
    return lines


def _count(things: object, word: str) -> str:
    number = len(things)  # type: ignore[arg-type] # every caller passes a tuple
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def configure_logging(to: Path | None = None) -> None:
    """Log JSON lines, one event each, to standard error or to a file. Libraries' logs too."""
    import logging

    import structlog

    from tocsin.cli import log

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    stream = log.stream(to)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def run_until_done(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on uvloop; print an expected failure as one line and exit 1."""
    from tocsin.app import CannotStart
    from tocsin.config import ConfigError, Unreadable
    from tocsin.store.database import Unavailable
    from tocsin.store.embedded import EmbeddedError

    expected = (CannotStart, ConfigError, EmbeddedError, Unavailable, Unreadable)
    try:
        _loop(work())
    except expected as error:
        _fail(str(error))
    except BaseExceptionGroup as group:
        known, _ = group.split(expected)
        if known is None:
            raise
        _fail(str(_first(known)))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except asyncio.CancelledError:
        raise typer.Exit(143) from None


def _loop(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _fail(message: str) -> NoReturn:
    typer.echo(f"tocsin: {message}", err=True)
    raise typer.Exit(1)
