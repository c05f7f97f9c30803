"""``tocsin user``, ``token`` and ``audit``: who may do what, and who did. All of it by the API."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.base.rights import Role, Scope
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

_PAGE = 500
User = Annotated[str, typer.Argument(metavar="NAME", help='A user, by id or name, such as "ona".')]

user = typer.Typer(help="Say who may sign in, and as what.", no_args_is_help=True)
token = typer.Typer(help="Make and revoke tokens for programs.", no_args_is_help=True)


class Trail(StrEnum):
    """How the audit trail is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    panel = "People and programs on a running server"
    app.add_typer(user, name="user", rich_help_panel=panel)
    app.add_typer(token, name="token", rich_help_panel=panel)
    app.command("audit", rich_help_panel=panel)(show_audit)


# -- People ----------------------------------------------------------------------------------------


@user.command("add")
def add_user(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help='A short name such as "ona"; it is for ever.'),
    ],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    shown_name: Annotated[
        str,
        typer.Option(
            "--name",
            metavar="DISPLAY",
            help="The name on timelines; default: that of [people.NAME] in the settings, else NAME.",
        ),
    ] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Add a user. They sign in with a link: `tocsin user link NAME`."""
    body: dict[str, object] = {"id": name, "role": role.value, "name": shown_name}
    answer = Remote(server, token).post("users", body)
    if shown is Format.JSON:
        print_json(answer)
        return
    typer.echo(f"{_is(answer)} They sign in with a link: tocsin user link {plain(answer['id'])}")


@user.command("list")
def list_users(
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List users: those who may come in first, by name."""
    answer = Remote(server, token).get("users")
    if shown is Format.JSON:
        print_json(answer)
        return
    rows = [
        (
            each["id"],
            each["name"],
            each["role"],
            "disabled" if each["disabled_at"] else "yes" if each["is_paged"] else "no",
            when(each["seen_at"]),
            each["created_by"] or "-",
        )
        for each in answer["users"]
    ]
    if rows:
        print_table(("ID", "NAME", "ROLE", "PAGED", "LAST HERE", "ADDED BY"), rows)
    else:
        typer.echo("No users yet. The link that `tocsin serve` prints makes the first one.")


@user.command("role")
def change_role(
    name: User,
    role: Annotated[Role, typer.Argument(help="What they may do from now on.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Make a user something else. It counts from their next click on."""
    _change(name, "role", {"role": role.value}, server, token, shown)


@user.command("disable")
def disable(
    name: User,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Keep a user out: sessions and links end at once, and what their tokens may, too."""
    _change(name, "disable", {}, server, token, shown)


@user.command("enable")
def enable(
    name: User,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Let a user in again, who needs a fresh link."""
    _change(name, "enable", {}, server, token, shown)


@user.command("link")
def make_link(
    name: User,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Print a link that signs one browser in as that user, once, within 15 minutes."""
    answer = Remote(server, token).post(_path(name, "sign-in-link"), {})
    if shown is Format.JSON:
        print_json(answer)
        return
    typer.echo(plain(answer["url"]))
    typer.echo(
        f"It signs one browser in as {plain(answer['user'])}, once,"
        f" until {when(answer['expires_at'])}.",
        err=True,
    )


@user.command("sign-out")
def sign_out(
    name: User,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """End every session of a user, and every link that was made for them."""
    answer = Remote(server, token).post(_path(name, "sign-out"), {})
    if shown is Format.JSON:
        print_json(answer)
        return
    typer.echo(f"{plain(name)} is signed out everywhere.")


# -- Tokens ----------------------------------------------------------------------------------------


@token.command("create")
def create_token(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What timelines call it, such as prometheus-eu.")
    ],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.")],
    expires: Annotated[
        str,
        typer.Option(metavar="DURATION", help='How long it lasts, such as "90d"; else for ever.'),
    ] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Make a token and print its secret, this once."""
    scopes = [each.value for each in scope]
    body: dict[str, object] = {"name": name, "scopes": scopes, "expires": expires}
    answer = Remote(server, token).post("tokens", body)
    if shown is Format.JSON:
        print_json(answer)
        return
    made = answer["token"]
    typer.echo(plain(answer["secret"]))
    lasts = f"until {when(made['expires_at'])}" if made["expires_at"] else "until it is revoked"
    typer.echo(
        f"{plain(made['name'])} may {', '.join(made['scopes'])}, {lasts}."
        " The secret is not shown again.",
        err=True,
    )


@token.command("list")
def list_tokens(
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List tokens with what they may, never their secrets."""
    answer = Remote(server, token).get("tokens")
    if shown is Format.JSON:
        print_json(answer)
        return
    print_table(
        ("NAME", "SCOPES", "MADE BY", "EXPIRES", "LAST USED", "NUMBER"),
        [
            (
                each["name"],
                ", ".join(each["scopes"]) or "-",
                each["kept_in"] or each["granted_by"] or "-",
                "expired" if each["is_over"] else when(each["expires_at"]),
                when(each["seen_at"]),
                each["number"],
            )
            for each in answer["tokens"]
        ],
    )


@token.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A token, by name or number.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """End a token for good; all of that name, or the one of that number."""
    answer = Remote(server, token).post(f"tokens/{quote(name, safe='')}/revoke", {})
    if shown is Format.JSON:
        print_json(answer)
        return
    for each in answer["revoked"]:
        typer.echo(f"{plain(each['name'])} ({each['number']}) is revoked.")
        if each["kept_in"]:
            typer.echo(
                f"It is kept in {plain(each['kept_in'])}: delete that file and start the server"
                " again to have a fresh one."
            )
    if answer["made"]:
        typer.echo(f"It had made these, which live on: {plain(', '.join(answer['made']))}")


# -- The audit trail -------------------------------------------------------------------------------


def show_audit(
    actor: Annotated[str, typer.Option(help="Only of this user or token.")] = "",
    since: Annotated[
        str, typer.Option(metavar="INSTANT", help='Only from then on: "2026-03-01T02:00Z".')
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Annotated[
        Trail, typer.Option("--format", help="A table for people, JSON or JSON lines for programs.")
    ] = Trail.TABLE,
) -> None:
    """Tell who did what, newest first."""
    found = _acts(Remote(server, token), actor, since, limit)
    if shown is Trail.JSON:
        print_json({"audit": found})
    elif shown is Trail.JSONL:
        for each in found:
            typer.echo(json.dumps(each, separators=(",", ":")))
    elif found:
        print_table(
            ("AT", "WHO", "WHAT", "ABOUT", "STATUS", "DETAIL", "FROM"),
            [
                (
                    when(each["at"]),
                    f"{each['actor'] or '-'} ({each['kind']})",
                    each["action"],
                    each["target"] or "-",
                    str(each["status"] or "unknown"),
                    each["detail"] or "-",
                    each["address"] or "-",
                )
                for each in found
            ],
        )
    else:
        typer.echo("Nothing was done.")


def _acts(remote: Remote, actor: str, since: str, limit: int) -> list[dict[str, Any]]:
    """Return as many acts as were asked for, a page at a time."""
    found: list[dict[str, Any]] = []
    before: int | None = None
    while len(found) < limit:
        query = [("limit", str(min(_PAGE, limit - len(found))))]
        query += [(k, v) for k, v in (("actor", actor), ("since", since)) if v]
        if before is not None:
            query.append(("before", str(before)))
        answer = remote.get("audit", query)
        found += answer["audit"]
        before = answer["next"]
        if before is None:
            break
    return found


# -- Shared steps ----------------------------------------------------------------------------------


def _change(
    name: str, act: str, body: dict[str, object], server: str, token: str, shown: Format
) -> None:
    answer = Remote(server, token).post(_path(name, act), body)
    if shown is Format.JSON:
        print_json(answer)
        return
    typer.echo(_is(answer))


def _is(user: dict[str, Any]) -> str:
    name = plain(user["name"])
    return f"{name} is disabled." if user["disabled_at"] else f"{name} is {user['role']}."


def _path(name: str, act: str) -> str:
    return f"users/{quote(name, safe='')}/{act}"
