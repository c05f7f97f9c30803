"""``tocsin contacts``: by which ways people are reached, and whether these work."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import typer

from tocsin.cli.remote import (
    DEFAULT_SERVER,
    Format,
    Remote,
    Server,
    Shown,
    Token,
    plain,
    print_json,
    print_table,
    when,
)

_WAIT_S_MAX: Final = 90.0
_LOOK_EVERY_S: Final = 0.25

contacts = typer.Typer(
    help="List contacts, and try whether they reach anybody.",
    invoke_without_command=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(contacts, name="contacts", rich_help_panel="Looking after a running server")


@contacts.callback()
def list_contacts(
    context: typer.Context,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List contacts, and how each did when it was last used."""
    if context.invoked_subcommand is not None:
        context.obj = (server, token, shown)
        return
    answer = Remote(server, token).get("contacts")
    if shown is Format.JSON:
        print_json(answer)
        return
    rows = [
        (each["contact"], ", ".join(each["whose"]), _how(each), _why(each))
        for each in answer["contacts"]
    ]
    if not rows:
        typer.echo("The settings name no contacts: pages appear in the app only.")
        return
    print_table(("CONTACT", "WHOSE", "LAST", ""), rows)
    untested = sum(each["state"] == "untested" for each in answer["contacts"])
    if untested:
        typer.echo(f"\n{untested} never used. To try them: tocsin contacts test")


@contacts.command("test")
def try_contacts(
    context: typer.Context,
    of: Annotated[
        str,
        typer.Argument(
            metavar="[PERSON|CONTACT]",
            help="Whom to send a test message; without it, every contact of every person.",
        ),
    ] = "",
    server: Server = "",
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Send a test message that says it is one, and wait for what the channel says."""
    given_server, given_token, given_shown = context.obj
    remote = Remote(server or given_server, token or given_token)
    asked = remote.post("contacts/tests", {"of": of})["tests"]
    ended = [_outcome(remote, each) for each in asked]
    if (shown if shown is Format.JSON else given_shown) is Format.JSON:
        print_json({"tests": ended})
    else:
        for each in ended:
            typer.echo(_said(each))
    if any(each["state"] != "delivered" for each in ended):
        raise typer.Exit(1)


def _outcome(remote: Remote, asked: dict[str, Any]) -> dict[str, Any]:
    """Return a test message once it came to its end, or as it stands when that takes too long."""
    end = time.monotonic() + _WAIT_S_MAX
    stands = asked
    while stands["state"] == "pending" and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_S)  # noqa: TID251 - a command that waits for a server
        [stands] = remote.get(f"contacts/tests/{asked['id']}")["tests"]
    return stands


def _said(test: dict[str, Any]) -> str:
    contact, detail = plain(test["contact"]), plain(test["detail"])
    if test["state"] == "delivered":
        return f"{contact}: delivered. Did it arrive?"
    if test["state"] == "failed":
        return f"{contact}: failed. {detail}"
    return f"{contact}: still under way after {_WAIT_S_MAX:.0f} s. {detail}".rstrip()


def _how(contact: dict[str, Any]) -> str:
    if contact["state"] == "untested":
        return "never used"
    if contact["state"] == "failing":
        return f"failed {when(contact['failed_at'])}"
    return f"delivered {when(contact['delivered_at'])}"


def _why(contact: dict[str, Any]) -> str:
    if contact["missing"]:
        return f"leads nowhere: {contact['missing']}"
    return str(contact["detail"]) if contact["state"] == "failing" else ""
