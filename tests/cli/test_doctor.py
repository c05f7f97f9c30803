"""The doctor at a terminal: with a server, and without one."""

from __future__ import annotations

import fcntl
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import structlog
import typer
from anyio import to_thread
from click.testing import Result
from typer.testing import CliRunner

from tests.web.site import RUNBOOK, Site, open_site, served
from tocsin.cli import contacts, doctor
from tocsin.core.surroundings import Contact, Directory, Person
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio

PROGRAM = typer.Typer(pretty_exceptions_enable=False)
doctor.register(PROGRAM)
contacts.register(PROGRAM)
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
async def served_site(database: Database) -> AsyncIterator[tuple[Site, str]]:
    # The server shares this process's standard output, which the runner of commands takes over.
    with structlog.testing.capture_logs():
        async with open_site(database) as site, served(site.app) as url:
            yield site, url


async def run(*arguments: str, **environment: str) -> Result:
    # In a thread: the commands block, and the server answers in this one.
    call = partial(CliRunner().invoke, PROGRAM, list(arguments), env=environment)
    result: Result = await to_thread.run_sync(call)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


async def checked(*arguments: str, **environment: str) -> tuple[Result, list[dict[str, str]]]:
    result = await run("doctor", *arguments, "--format", "json", **environment)
    return result, json.loads(result.stdout)["checks"]


async def test_a_server_is_asked_and_problems_come_first(served_site: tuple[Site, str]) -> None:
    site, url = served_site
    environment = {"TOCSIN_SERVER": url, "TOCSIN_TOKEN": site.tokens["admin"]}
    result = await run("doctor", **environment)
    lines = result.stdout.splitlines()
    assert lines[0] == f"Tocsin 0.0.test at {url}, role all"
    words = [line.split()[0] for line in lines if line[:1] in "pwo" and line[:1].strip()]
    assert words == sorted(words, key=["problem", "warning", "ok"].index)
    assert result.exit_code == 1
    assert "problem  contacts      The settings name no contact at all" in result.stdout
    assert "-> Name some under [people.NAME]" in result.stdout
    assert "more are well." in lines[-1]
    assert max(map(len, lines)) <= 110

    _, checks = await checked(**environment)
    assert {check["about"] for check in checks} >= {"database", "clocks", "contacts"}


async def test_all_is_well_says_so_and_exits_with_nought() -> None:
    from tocsin.engine.doctor import Check, Verdict

    assert doctor._sum([Check("disk", Verdict.OK, "There is room.")]) == "All is well."
    assert doctor._sum([Check("a", Verdict.WARNING, "x")] * 2) == "2 warnings."


async def test_without_a_server_what_lies_here_is_looked_at(tmp_path: Path) -> None:
    runbook = tmp_path / "runbook.md"
    runbook.write_text(RUNBOOK)
    (tmp_path / "tocsin.toml").write_text("[servr]\nurl = 'http://x'\n")
    data = tmp_path / "data"
    (data / "postgres").mkdir(parents=True)
    (data / "admin.token").write_text("some-token\n")
    options = ("--server", NOWHERE, "--runbook", str(runbook), "--data", str(data))
    result, checks = await checked(*options)
    said = {(c["about"], c["verdict"]): c["says"] for c in checks}
    assert result.exit_code == 1
    assert said["server", "problem"] == f"Nothing answers at {NOWHERE}."
    assert said["runbook", "ok"] == f"{runbook} can be put in force."
    assert "servr is not a setting. Did you mean 'server'?" in said["settings", "problem"]
    assert "no Tocsin runs on it: nobody is paged." in said["data folder", "problem"]
    assert ("disk", "ok") in said or ("disk", "warning") in said or ("disk", "problem") in said

    lock = data / "lock"
    with lock.open("w") as held:
        held.write("4711\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        _, checks = await checked(*options)
    said = {(c["about"], c["verdict"]): c["says"] for c in checks}
    assert "A Tocsin (process 4711) runs on it" in said["data folder", "ok"]


async def test_the_database_of_the_environment_is_looked_at_and_not_changed(
    embedded_url_empty: str, tmp_path: Path
) -> None:
    _, checks = await checked(
        "--server",
        NOWHERE,
        "--token",
        "t",
        "--data",
        str(tmp_path),
        DATABASE_URL=embedded_url_empty,
    )
    said = {(c["about"], c["verdict"]): c["says"] for c in checks}
    assert "(that of DATABASE_URL) answers" in said["database", "ok"]
    assert ("clocks", "ok") in said

    gone = "postgresql://nobody:secret@127.0.0.1:1/none"
    result, checks = await checked("--server", NOWHERE, "--token", "t", DATABASE_URL=gone)
    [problem] = [c for c in checks if c["about"] == "database"]
    assert problem["verdict"] == "problem"
    assert "secret" not in result.stdout


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("http://[", "is not Tocsin, or is no address"),
        ("ftp://x", "is not Tocsin, or is no address"),
    ],
)
async def test_an_address_that_is_none_is_said_to_be_none(server: str, said: str) -> None:
    _, checks = await checked("--server", server, "--token", "t")
    assert said in checks[0]["says"]


async def test_without_a_token_it_says_where_one_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, checks = await checked("--server", NOWHERE, TOCSIN_TOKEN="")
    assert "There is no token" in checks[0]["says"]


async def test_a_token_of_somebody_else_is_refused_with_the_servers_words(
    served_site: tuple[Site, str],
) -> None:
    site, url = served_site
    _, checks = await checked("--server", url, "--token", site.tokens["reader"])
    assert "answers 403" in checks[0]["says"]
    assert "admin" in checks[0]["says"]


async def test_contacts_are_listed_with_how_they_did(served_site: tuple[Site, str]) -> None:
    site, url = served_site
    environment = {"TOCSIN_SERVER": url, "TOCSIN_TOKEN": site.tokens["admin"]}
    assert "pages appear in the app only" in (await run("contacts", **environment)).stdout
    ona = Person("ona", "Ona Vale", (Contact("webhook", "pager"),))
    object.__setattr__(site.context, "directory", Directory(people={"ona": ona}))
    listed = (await run("contacts", **environment)).stdout
    assert "webhook:pager  Ona Vale  never used" in listed
    assert "To try them: tocsin contacts test" in listed
    answer = json.loads((await run("contacts", "--format", "json", **environment)).stdout)
    assert answer["contacts"][0]["state"] == "untested"
    refused = await run("contacts", "test", "nobody", **environment)
    assert refused.exit_code == 1
    assert 'nobody with one by the name "nobody"' in refused.output
