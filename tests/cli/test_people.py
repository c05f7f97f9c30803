"""``tocsin user``, ``token`` and ``audit`` against a server that answers on a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import structlog

from tests.cli.test_client import PROGRAM, Terminal
from tests.web.site import PUBLIC_URL, open_site, served
from tocsin.cli import people
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
people.register(PROGRAM)


@pytest.fixture
async def terminal(database: Database) -> AsyncIterator[Terminal]:
    with structlog.testing.capture_logs():
        async with open_site(database) as site, served(site.app) as url:
            yield Terminal(site, url)


async def test_a_user_comes_works_changes_and_goes(terminal: Terminal) -> None:
    said = (await terminal.run("user", "add", "priya", "--role", "viewer")).stdout
    # The settings know who priya is: her pages are hers.
    assert said.startswith("Priya is viewer. They sign in with a link: tocsin user link priya")
    link = await terminal.run("user", "link", "priya")
    assert link.stdout.startswith(f"{PUBLIC_URL}/login/")
    assert link.stdout.count("\n") == 1, "only the link, so that it can be piped"
    path = link.stdout.strip().removeprefix(PUBLIC_URL)
    opened = await terminal.site.http.post(path, headers={"Origin": PUBLIC_URL})
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    board = {"Accept": "text/html"}
    assert (await terminal.site.http.get("/", headers=board)).status_code == 200
    assert "Priya is lead." in (await terminal.run("user", "role", "Priya", "lead")).stdout
    table = (await terminal.run("user", "list")).stdout
    assert table.split("\n")[0].split()[:4] == ["ID", "NAME", "ROLE", "PAGED"]
    [row] = [line.split() for line in table.splitlines() if line.startswith("priya ")]
    assert row[:4] == ["priya", "Priya", "lead", "yes"]
    assert "Priya is disabled." in (await terminal.run("user", "disable", "priya")).stdout
    assert (await terminal.site.http.get("/", headers=board)).status_code == 401
    refused = await terminal.run("user", "link", "priya", code=1)
    assert "is disabled and cannot sign in" in refused.stderr
    assert "Priya is lead." in (await terminal.run("user", "enable", "priya")).stdout
    said = (await terminal.run("user", "sign-out", "priya")).stdout
    assert said == "priya is signed out everywhere.\n"


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(terminal: Terminal) -> None:
    made = await terminal.run("token", "create", "ci", "--scope", "read", "--scope", "respond",
                              "--expires", "90d")  # fmt: skip
    secret = made.stdout.strip()
    assert made.stdout.count("\n") == 1, "only the secret, so that it can be piped"
    assert "ci may read, respond, until " in made.stderr
    await terminal.run("incidents", "--token", secret)
    listed = (await terminal.run("token", "list")).stdout
    assert secret not in listed
    assert "read, respond" in listed
    said = (await terminal.run("token", "revoke", "ci")).stdout
    assert "is revoked." in said
    refused = await terminal.run("incidents", "--token", secret, code=1)
    assert refused.stderr == (
        "tocsin: The token ci was revoked. It comes from --token or TOCSIN_TOKEN.\n"
    )
    assert secret not in json.dumps(await terminal.json("audit"))


async def test_the_audit_trail_is_told_in_three_forms(terminal: Terminal) -> None:
    await terminal.run("declare", "API down", name="responder")
    await terminal.run("ack", "1")
    table = (await terminal.run("audit")).stdout
    assert "POST /api/v1/incidents" in table
    assert "admin (token)" in table
    found = (await terminal.json("audit", "--actor", "responder"))["audit"]
    assert [each["action"] for each in found] == ["POST /api/v1/incidents"]
    assert found[0]["status"] == 201
    lines = (await terminal.run("audit", "--format", "jsonl", "--limit", "1")).stdout.splitlines()
    [newest] = [json.loads(line) for line in lines]
    assert (newest["target"], newest["status"]) == ("INC-1", 200)
    assert "Nothing was done." in (await terminal.run("audit", "--actor", "nobody")).stdout


@pytest.mark.parametrize(
    ("arguments", "name", "code", "said"),
    [
        (["user", "add", "Bad Id", "--role", "viewer"], "admin", 1, "is no id of a user"),
        (["user", "add", "x", "--role", "king"], "admin", 2, "king"),
        (["user", "add", "x"], "admin", 2, "--role"),
        (["user", "add", "ci", "--role", "viewer", "--name", "Ana"], "admin", 1, "already"),
        (["user", "role", "nobody", "lead"], "admin", 1, "There is no user nobody."),
        (["user", "list"], "responder", 1, "scope admin"),
        (["token", "create", "x", "--scope", "everything"], "admin", 2, "everything"),
        (["token", "create", "x"], "admin", 2, "--scope"),
        (["token", "create", "x", "--scope", "read", "--expires", "soon"], "admin", 1, "no time"),
        (["token", "create", "admin", "--scope", "read"], "admin", 1, "There is a token admin"),
        (["token", "revoke", "nothing"], "admin", 1, "There is no token nothing."),
        (["audit", "--since", "yesterday"], "admin", 1, "is no instant"),
        (["audit"], "responder", 1, "scope audit"),
    ],
)
async def test_what_fails_says_why(
    terminal: Terminal, arguments: list[str], name: str, code: int, said: str
) -> None:
    result = await terminal.run(*arguments, name=name, code=code)
    assert said in result.stderr
    assert "Traceback" not in result.output
