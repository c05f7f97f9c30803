"""``tocsin doctor``: how a Tocsin is, told by itself, or by what lies here when it does not answer."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import textwrap
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from tocsin.cli.remote import (
    DEFAULT_SERVER,
    TOKEN_FILE,
    Format,
    Server,
    Shown,
    Token,
    plain,
    print_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tocsin.engine.doctor import Check

_ANSWERS_WITHIN_S: Final = 15.0
_WIDTH_MAX: Final = 100
_INDENT: Final = 23
_MISTAKES_SHOWN_MAX: Final = 5
_STYLE: Final = {"problem": "bold red", "warning": "yellow", "ok": "green"}
_ORDER: Final = ("problem", "warning", "ok")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel="Looking after a running server")(doctor)


def doctor(
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    runbook: Annotated[
        Path | None,
        typer.Option(help="The runbook, looked at when the server does not answer."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Its settings; default: tocsin.toml beside it.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where the database and the tokens live.")] = Path(
        "tocsin-data"
    ),
    shown: Shown = Format.TABLE,
) -> None:
    """Say what is well, what is worrying and what is broken. Exits with 1 on a problem."""
    answer, refusal = _ask(server.rstrip("/"), token, data)
    if answer is None:
        assert refusal is not None, "one of the two is always said"
        heading = f"{server} does not tell how it is. What can be seen from here:"
        checks = [refusal, *_from_here(runbook, config, data)]
    else:
        heading = f"Tocsin {answer['version']} at {server}, role {answer['role']}"
        checks = [*_told(answer), *_clock(answer)]
    if shown is Format.JSON:
        print_json(
            {
                "server": server,
                "answers": answer is not None,
                "verdict": str(_worst(checks)),
                "checks": [
                    {
                        "about": c.about,
                        "verdict": str(c.verdict),
                        "says": c.says,
                        "remedy": c.remedy,
                    }
                    for c in checks
                ],
            }
        )
    else:
        _print(heading, checks)
    if _worst(checks) == "problem":
        raise typer.Exit(1)


# -- Asking ----------------------------------------------------------------------------------------


def _ask(server: str, token: str, data: Path) -> tuple[dict[str, Any] | None, Check | None]:
    """Return what the server says, or a check that says why it says nothing."""
    import httpx2

    known = token.strip() or _kept_token(data)
    if not known:
        return None, _problem(
            "server",
            f"There is no token to ask {server} with.",
            f"Give --token, set TOCSIN_TOKEN, or run where {TOKEN_FILE} lies.",
        )
    try:
        is_local = urlsplit(server).hostname in ("127.0.0.1", "localhost", "::1")
        with httpx2.Client(timeout=_ANSWERS_WITHIN_S, trust_env=not is_local) as client:
            before = _now()
            response = client.get(
                f"{server}/api/v1/doctor",
                headers={"Authorization": f"Bearer {known}", "Accept": "application/json"},
            )
            middle = before + (_now() - before) / 2
        answer = response.json()
    except httpx2.ConnectError:
        return None, _problem(
            "server",
            f"Nothing answers at {server}.",
            "Start it with tocsin serve, or name another with --server.",
        )
    except httpx2.TimeoutException:
        return None, _problem(
            "server",
            f"{server} takes connections but did not answer within {_ANSWERS_WITHIN_S:.0f} s.",
            "It is frozen, or its machine is overloaded. Look at it there; start it again.",
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError) as error:
        return None, _problem(
            "server",
            f"What answers at {server} is not Tocsin, or is no address: {plain(str(error))}",
            f"An address looks like {DEFAULT_SERVER}.",
        )
    if response.status_code == 200 and isinstance(answer, dict) and "checks" in answer:
        return {**answer, "asked_at": middle}, None
    said = answer.get("error") if isinstance(answer, dict) else None
    message = said.get("message") if isinstance(said, dict) else None
    hint = said.get("hint") if isinstance(said, dict) else None
    return None, _problem(
        "server",
        f"{server} answers {response.status_code}: {message or 'not as Tocsin would.'}",
        str(hint or "Ask with the token of an admin."),
    )


def _kept_token(data: Path) -> str:
    for file in (data / TOKEN_FILE.name, TOKEN_FILE):
        try:
            return file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def _told(answer: dict[str, Any]) -> list[Check]:
    from tocsin.engine.doctor import Check, Verdict

    return [
        Check(each["about"], Verdict(each["verdict"]), each["says"], each["remedy"])
        for each in answer["checks"]
    ]


def _clock(answer: dict[str, Any]) -> Iterator[Check]:
    """Yield a check where the clock of this machine, where somebody reads, is off."""
    from tocsin.engine.doctor import Verdict, clocks

    if answer["database_at"]:
        offset_s = (
            answer["asked_at"] - datetime.fromisoformat(answer["database_at"])
        ).total_seconds()
        check = clocks("this machine", offset_s)
        if check.verdict is not Verdict.OK:
            yield check


# -- Looking ---------------------------------------------------------------------------------------


def _from_here(runbook: Path | None, config: Path | None, data: Path) -> Iterator[Check]:
    from tocsin import config as settings_of

    if runbook is not None:
        yield from _runbook(runbook)
        config = config or settings_of.find(runbook)
    if runbook is not None or config is not None:
        yield from _settings(config)
    else:
        yield _warning(
            "settings",
            "Neither runbook nor settings were looked at.",
            "Name the runbook with --runbook.",
        )
    yield from _folder(data)
    yield from _database()


def _runbook(runbook: Path) -> Iterator[Check]:
    from tocsin import config as settings_of
    from tocsin.core.policy import Level
    from tocsin.engine.doctor import Check, Verdict
    from tocsin.runbook import compile_runbook

    try:
        compiled = compile_runbook(settings_of.read_runbook(runbook))
    except settings_of.Unreadable as error:
        yield _problem("runbook", str(error), "Name another with --runbook.")
        return
    errors = [f for f in compiled.findings if f.level is Level.ERROR]
    for found in errors[:_MISTAKES_SHOWN_MAX]:
        yield _problem("runbook", f"{found.source} {found.message}", found.remedy)
    if not errors:
        yield Check("runbook", Verdict.OK, f"{runbook} can be put in force.")


def _settings(config: Path | None) -> Iterator[Check]:
    from tocsin import config as settings_of
    from tocsin.engine.doctor import Check, Verdict

    if config is None:
        yield _warning(
            "settings",
            "There is no tocsin.toml beside the runbook: pages would appear in the app only.",
            "tocsin init writes one.",
        )
        return
    try:
        settings_of.load(config)
    except settings_of.ConfigError as error:
        for mistake in str(error).splitlines()[:_MISTAKES_SHOWN_MAX]:
            yield _problem("settings", mistake, "Mend it; the server does not start on it.")
    else:
        yield Check("settings", Verdict.OK, f"{config} can be read, and so can its secrets.")


def _folder(data: Path) -> Iterator[Check]:
    from tocsin.engine.doctor import Check, Verdict, room, say_bytes

    if not data.is_dir():
        yield _warning(
            "data folder", f"There is no folder {data}.", "Say where the data lies with --data."
        )
        return
    try:
        disk = shutil.disk_usage(data)
        takes = sum(f.stat().st_size for f in data.rglob("*") if f.is_file())
    except OSError as error:
        yield _problem(
            "data folder",
            f"{data} cannot be looked at: {error.strerror or error}.",
            "Run this as the user who runs Tocsin.",
        )
        return
    yield room(disk, f"{data} takes {say_bytes(takes)}")
    holder = _holder(data / "lock")
    if holder:
        yield Check(
            "data folder",
            Verdict.OK,
            f"A Tocsin (process {holder}) runs on it, so it is alive on this machine; perhaps it "
            "listens elsewhere.",
        )
    elif (data / "postgres").is_dir():
        yield _problem(
            "data folder",
            f"There is a database in {data}, and no Tocsin runs on it: nobody is paged.",
            f"Start it: tocsin serve --runbook PATH --data {data}",
        )


def _holder(lock: Path) -> str:
    """Return the process that holds a data folder, or "" where none does."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return ""


def _database() -> Iterator[Check]:
    """Look at the database that ``DATABASE_URL`` names, changing nothing there."""
    from tocsin import config as settings_of
    from tocsin.engine.doctor import clocks, judge_server
    from tocsin.store import counts
    from tocsin.store.unavailable import Unavailable

    url = settings_of.database_url()
    if not url:
        return
    try:
        before = _now()
        server = asyncio.run(counts.look_at(url))
        middle = before + (_now() - before) / 2
    except Unavailable as error:
        yield _problem(
            "database",
            f"{str(error).rstrip('.')} (DATABASE_URL).",
            "Is PostgreSQL running, and is the address right?",
        )
        return
    yield from judge_server(server, whose="that of DATABASE_URL")
    yield clocks("this machine", (middle - server.at).total_seconds())


# -- Saying ----------------------------------------------------------------------------------------


def _print(heading: str, checks: Sequence[Check]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, highlight=False, soft_wrap=True)
    width = min(console.width, _WIDTH_MAX) if console.is_terminal else _WIDTH_MAX
    console.print(plain(heading))
    console.print()
    for verdict in _ORDER:
        for check in checks:
            if check.verdict != verdict:
                continue
            said = textwrap.wrap(plain(check.says), max(width - _INDENT, 30)) or [""]
            line = Text()
            line.append(f"{verdict:<9}", style=_STYLE[verdict])
            line.append(f"{check.about:<{_INDENT - 9}}", style="bold")
            line.append(said[0])
            console.print(line)
            for more in said[1:]:
                console.print(" " * _INDENT + more)
            if check.remedy:
                do = textwrap.wrap(plain(check.remedy), max(width - _INDENT - 3, 30))
                for place, more in enumerate(do):
                    console.print(
                        Text(" " * _INDENT + ("-> " if place == 0 else "   ") + more, style="dim")
                    )
    console.print()
    console.print(_sum(checks))


def _sum(checks: Sequence[Check]) -> str:
    numbers = Counter(str(check.verdict) for check in checks)
    if not numbers["problem"] and not numbers["warning"]:
        return "All is well."
    parts = [
        f"{numbers[word]} {word}{'' if numbers[word] == 1 else 's'}"
        for word in ("problem", "warning")
        if numbers[word]
    ]
    rest = f"; {numbers['ok']} more {'is' if numbers['ok'] == 1 else 'are'} well" * bool(
        numbers["ok"]
    )
    return f"{' and '.join(parts)}{rest}."


def _worst(checks: Sequence[Check]) -> str:
    from tocsin.engine.doctor import worst

    return worst(checks).value


def _problem(about: str, says: str, remedy: str) -> Check:
    from tocsin.engine.doctor import Check, Verdict

    return Check(about, Verdict.PROBLEM, says, remedy)


def _warning(about: str, says: str, remedy: str) -> Check:
    from tocsin.engine.doctor import Check, Verdict

    return Check(about, Verdict.WARNING, says, remedy)


def _now() -> datetime:
    from tocsin.engine.system import SystemClock

    return SystemClock().now()
