"""The client commands against a server that answers on a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from anyio import to_thread
from click.testing import Result
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from typer.testing import CliRunner

from tests.web.site import PUBLIC_URL, Site, open_site, served
from tocsin.cli import client
from tocsin.core.effects import Message, SendNotice, SendPage, Topic
from tocsin.core.surroundings import Contact
from tocsin.store import deliveries as store_deliveries
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio

PROGRAM = typer.Typer(pretty_exceptions_enable=False)
client.register(PROGRAM)


class Terminal:
    """Runs commands as a person with the admin token would."""

    def __init__(self, site: Site, url: str) -> None:
        self.site = site
        self.url = url

    async def run(self, *arguments: str, name: str = "admin", code: int = 0, **env: str) -> Result:
        options = {"TOCSIN_SERVER": self.url, "TOCSIN_TOKEN": self.site.tokens[name], **env}
        result = await _invoke(*arguments, **options)
        assert result.exit_code == code, result.output
        return result

    async def json(self, *arguments: str) -> Any:
        return json.loads((await self.run(*arguments, "--format", "json")).stdout)


async def _invoke(*arguments: str, **env: str) -> Result:
    # In a thread: the commands block, and the server answers in this one.
    run = partial(CliRunner().invoke, PROGRAM, list(arguments), env=env)
    result: Result = await to_thread.run_sync(run)
    return result


@pytest.fixture
async def terminal(database: Database) -> AsyncIterator[Terminal]:
    # The server shares this process's standard output, which the runner of commands takes over.
    with structlog.testing.capture_logs():
        async with open_site(database) as site, served(site.app) as url:
            yield Terminal(site, url)


async def test_an_incident_from_declaration_to_postmortem(terminal: Terminal) -> None:
    assert "No incidents." in (await terminal.run("incidents")).stdout
    said = (
        await terminal.run("declare", "API down", "--severity", "P1", "--service", "api")
    ).stdout
    assert said.startswith("INC-1  P1  API down\n")

    shown = (await terminal.run("show", "INC-1")).stdout
    assert "says so" in shown
    assert "Priya" in shown
    assert "runbook.md:" in shown
    assert "team lead" in shown  # What will happen next.

    assert "by admin" in (await terminal.run("ack", "inc-1")).stdout
    assert "investigating" in (await terminal.run("phase", "1", "investigating")).stdout
    said = (await terminal.run("severity", "INC-1", "P2", "--because", "one region only")).stdout
    assert "one region only" in said
    await terminal.run("note", "INC-1", "Rolled back to 1.2.3")
    assert "resolved" in (await terminal.run("resolve", "INC-1", "--because", "fixed")).stdout
    assert "P2" in (await terminal.run("reopen", "INC-1")).stdout

    told = (await terminal.run("timeline", "INC-1")).stdout
    assert "Rolled back to 1.2.3" in told
    assert "runbook.md:" in told
    assert "admin" in told
    assert "API down" in (await terminal.run("postmortem", "INC-1")).stdout
    listed = (await terminal.run("incidents", "--severity", "P2", "--service", "api")).stdout
    assert "INC-1" in listed
    assert "No incidents." in (await terminal.run("incidents", "--phase", "resolved")).stdout


async def test_json_is_what_the_api_says(terminal: Terminal) -> None:
    made = await terminal.json("declare", "Breach", "--security-breach")
    assert made["security_breach"] is True
    name = made["id"]
    assert (await terminal.json("show", name)) == made
    assert [each["id"] for each in (await terminal.json("incidents"))["incidents"]] == [name]
    assert (await terminal.json("ack", name))["acknowledged_by"] == "admin"
    assert (await terminal.json("timeline", name))["timeline"]
    assert (await terminal.json("postmortem", name))["markdown"].startswith("#")


async def test_what_is_held_says_once_what_it_waits_for(terminal: Terminal) -> None:
    await terminal.run("declare", "API down", "--severity", "P1")
    await terminal.run("ack", "1")
    await terminal.run("phase", "1", "monitoring")
    shown = " ".join((await terminal.run("show", "1")).stdout.split())
    assert "(waits while the incident is being monitored)" in shown
    assert shown.lower().count("waits while") == 1


async def test_an_acknowledgement_from_a_terminal_came_via_the_api(terminal: Terminal) -> None:
    await terminal.run("declare", "API down")
    await terminal.run("ack", "1")
    told = (await terminal.run("timeline", "1")).stdout
    assert "admin acknowledged, via the API" in told


async def test_a_link_from_the_terminal_signs_in_once(terminal: Terminal) -> None:
    result = await terminal.run("login")
    assert result.stdout.startswith(f"{PUBLIC_URL}/login/")
    assert result.stdout.count("\n") == 1, "only the link, so that it can be piped"
    assert "once, until" in result.stderr
    path = result.stdout.strip().removeprefix(PUBLIC_URL)
    own = {"Origin": PUBLIC_URL}
    opened = [
        await terminal.site.http.post(path, headers=own, data={"name": "Kim"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in opened] == [303, 410]
    assert set(await terminal.json("login")) == {"url", "expires_at"}


async def test_deliveries_are_listed_with_what_the_channel_said(terminal: Terminal) -> None:
    assert "Nothing was sent." in (await terminal.run("deliveries")).stdout
    await terminal.run("declare", "API down")
    message = Message(Topic.NOTICE, "INC-1", "API down", "P1", 1, "api")
    async with terminal.site.context.database.transaction() as connection:
        pages = [
            SendPage("INC-1/d8", "sam", "sam", "Sam", Contact("email", "s@x.test"), message),
            SendNotice("INC-1/d9", Contact("slack", "C1"), message),
        ]
        await store_deliveries.add(connection, "INC-1", pages)
        await store_deliveries.settle(
            connection, [store_deliveries.Settled("INC-1/d8", 0, False, "550 no such mailbox")]
        )
    for arguments in (["deliveries"], ["deliveries", "--incident", "1"]):
        lines = (await terminal.run(*arguments)).stdout.splitlines()
        assert lines[0].split() == ["ID", "TO", "BY", "STATE", "ATTEMPTS", "DETAIL", "WHEN"]
        rows = {tuple(line.split()[:4]) for line in lines[1:]}
        assert rows == {
            ("INC-1", "Sam", "email:s@x.test", "failed"),
            ("INC-1", "C1", "slack", "pending"),
            ("INC-1", "Priya", "-", "pending"),  # Without a contact: in the app only.
        }
        assert "550 no such mailbox" in "\n".join(lines)
    found = await terminal.json("deliveries", "--incident", "inc-1")
    assert {each["id"] for each in found["deliveries"]} >= {"INC-1/d8", "INC-1/d9"}


async def test_options_outweigh_the_environment(terminal: Terminal) -> None:
    await terminal.run(
        "incidents",
        "--server",
        terminal.url + "/",
        "--token",
        terminal.site.tokens["reader"],
        TOCSIN_SERVER="http://127.0.0.1:1",
        TOCSIN_TOKEN="wrong",
    )


async def test_the_token_of_the_first_start_is_found_where_it_lies(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = await terminal.run("incidents", TOCSIN_TOKEN="", code=2)
    assert result.stderr == (
        "tocsin: There is no token: give --token, set TOCSIN_TOKEN,"
        " or run where tocsin-data/admin.token lies.\n"
    )
    file = tmp_path / "tocsin-data" / "admin.token"
    file.parent.mkdir()
    file.write_text(terminal.site.tokens["admin"] + "\n")
    await terminal.run("incidents", TOCSIN_TOKEN="")
    file.write_text("outdated\n")
    result = await terminal.run("incidents", TOCSIN_TOKEN="", code=1)
    assert "does not know the token from tocsin-data/admin.token" in result.stderr


async def test_the_token_of_this_machine_is_sent_to_no_other(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tocsin-data" / "admin.token"
    file.parent.mkdir()
    file.write_text(terminal.site.tokens["admin"] + "\n")
    elsewhere = "http://tocsin.invalid:8642"
    result = await terminal.run("incidents", "--server", elsewhere, TOCSIN_TOKEN="", code=2)
    assert result.stderr == (
        f"tocsin: There is no token for {elsewhere}: give --token or set TOCSIN_TOKEN."
        " tocsin-data/admin.token is for the server on this machine.\n"
    )


async def test_nobody_there_is_one_line_that_says_what_to_do(terminal: Terminal) -> None:
    result = await terminal.run("incidents", "--server", "http://127.0.0.1:1", code=1)
    assert result.stderr.count("\n") == 1
    assert "Nothing answers at http://127.0.0.1:1." in result.stderr
    assert "tocsin serve" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "name", "code", "said"),
    [
        (
            ["show", "INC-99"],
            "admin",
            1,
            "There is no incident INC-99. `tocsin incidents` lists them.\n",
        ),
        (["deliveries", "--incident", "99"], "admin", 1, "There is no incident INC-99."),
        (["login"], "responder", 1, "scope admin"),
        (["incidents", "--phase", "asleep"], "admin", 1, 'There is no phase "asleep".'),
        (["declare", "x", "--severity", "P9"], "admin", 1, 'no severity "P9"'),
        (["declare", "x"], "reader", 1, "scope respond"),
        (["incidents", "--token", "wrong"], "admin", 1, "does not know the token from --token"),
        (["incidents", "--token", "ü"], "admin", 2, "not plain text"),
        (["incidents", "--server", "localhost"], "admin", 2, "is not an address such as"),
        (["incidents", "--server", "http://[::1"], "admin", 2, "is not an address such as"),
        (["severity", "1", "P1"], "admin", 2, "--because"),
        (["show"], "admin", 2, "ID"),
        (["incidents", "--format", "xml"], "admin", 2, "xml"),
    ],
)
async def test_what_fails_says_why(
    terminal: Terminal, arguments: list[str], name: str, code: int, said: str
) -> None:
    result = await terminal.run(*arguments, name=name, code=code)
    assert said in result.stderr
    assert "Traceback" not in result.output
    if code == 1:
        assert result.stderr.count("\n") == 1


async def test_a_refusal_of_the_core_is_said_as_it_is(terminal: Terminal) -> None:
    await terminal.run("declare", "API down")
    await terminal.run("resolve", "1")
    result = await terminal.run("resolve", "1", code=1)
    assert result.stderr.startswith("tocsin: ")


async def test_hostile_titles_do_not_drive_the_terminal(terminal: Terminal) -> None:
    await terminal.run("declare", "\x1b[2J\x1b]0;owned\x07 [bold]x[/bold] \u202eabc\nINC-9 fake")
    for command in (["incidents"], ["show", "1"], ["timeline", "1"], ["postmortem", "1"]):
        said = (await terminal.run(*command)).stdout
        assert "\x1b" not in said, command
        assert "\x07" not in said, command
        assert "\u202e" not in said, command
    said = (await terminal.run("incidents")).stdout
    assert "[bold]x[/bold]" in said
    assert not any(line.startswith("INC-9") for line in said.splitlines())


async def test_what_is_not_tocsin_is_called_so() -> None:
    other = FastAPI()

    @other.get("/api/v1/incidents")
    async def page() -> HTMLResponse:
        return HTMLResponse("<h1>Welcome</h1>")

    async with served(other) as url:
        result = await _invoke("incidents", TOCSIN_SERVER=url, TOCSIN_TOKEN="x")
        assert (result.exit_code, result.stderr) == (
            1,
            f"tocsin: {url} answers, but it is not Tocsin.\n",
        )
        result = await _invoke("show", "1", TOCSIN_SERVER=url, TOCSIN_TOKEN="x")
        assert result.exit_code == 1
        assert "not as Tocsin would" in result.stderr
