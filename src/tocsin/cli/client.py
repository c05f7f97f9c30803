"""The commands that talk to a running server: what people do at a terminal in an incident.

They know nothing but the HTTP API. What a server says is shown as text, never obeyed: control
characters and markup in titles and notes stay visible characters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

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
    without_controls,
)

Id = Annotated[str, typer.Argument(metavar="ID", help='An incident, such as "INC-7" or just "7".')]


def register(app: typer.Typer) -> None:
    """Add the client commands to the program."""
    panel = "Incidents on a running server"
    for command in (incidents, show, declare, ack, note, phase, severity, resolve, reopen):
        app.command(rich_help_panel=panel)(command)
    for command in (timeline, postmortem):
        app.command(rich_help_panel=panel)(command)
    app.command(rich_help_panel=panel)(deliveries)
    app.command(rich_help_panel=panel)(login)


# -- Commands --------------------------------------------------------------------------------------


def incidents(
    phase: Annotated[list[str] | None, typer.Option(help="Only this phase; repeatable.")] = None,
    severity: Annotated[str, typer.Option(help="Only this level, such as P1.")] = "",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List incidents: open first, worst first."""
    query = [("phase", word) for word in phase or ()]
    query += [(k, v) for k, v in (("severity", severity), ("service", service)) if v]
    answer = Remote(server, token).get("incidents", query)
    if shown is Format.JSON:
        print_json(answer)
        return
    rows = [
        (
            each["id"],
            each["severity"] or "-",
            each["phase"],
            each["service"],
            when(each["opened_at"]),
            each["title"],
        )
        for each in answer["incidents"]
    ]
    if rows:
        print_table(("ID", "SEVERITY", "PHASE", "SERVICE", "OPENED", "TITLE"), rows)
    else:
        typer.echo("No incidents.")


def show(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Show one incident: why it has its severity, who was paged, what will happen next."""
    remote = Remote(server, token)
    answer = remote.get(_path(incident))
    if shown is Format.JSON:
        print_json(answer)
        return
    upcoming = remote.get(_path(incident, "upcoming"))["upcoming"]
    for line in _about(answer):
        typer.echo(line)
    if answer["pages"]:
        typer.echo()
        print_table(
            ("WHO", "ROLE", "ASKED", "DELIVERED", "ACKNOWLEDGED", "BY"),
            [
                (
                    page["name"],
                    page["role"],
                    when(page["asked_at"]),
                    "unreachable" if page["unreachable"] else when(page["delivered_at"]),
                    when(page["acknowledged_at"]),
                    _cited(page),
                )
                for page in answer["pages"]
            ],
        )
    if upcoming:
        typer.echo()
        print_table(
            ("NEXT", "WHAT", "BY"),
            [
                (
                    when(each["due_at"]),
                    each["sentence"]
                    + (f" ({_within(each['waits_for'])})" if each["waits_for"] else ""),
                    _cited(each),
                )
                for each in upcoming
            ],
        )


def declare(
    title: Annotated[str, typer.Argument(help="What is wrong, in a few words.")],
    severity: Annotated[str, typer.Option(help="A level; else the runbook grades it.")] = "",
    service: Annotated[str, typer.Option(help="What it is about.")] = "",
    security_breach: Annotated[
        bool, typer.Option("--security-breach", help="It is a security breach.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Declare an incident."""
    body: dict[str, object] = {"title": title, "security_breach": security_breach}
    body |= {k: v for k, v in (("severity", severity), ("service", service)) if v}
    _print_incident(Remote(server, token).post("incidents", body), shown)


def ack(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Take an incident: its pages stop repeating."""
    _act(incident, "acknowledge", {}, server, token, shown)


def note(
    incident: Id,
    text: Annotated[str, typer.Argument(help="Words for the timeline.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Write on the timeline of an incident."""
    _act(incident, "notes", {"text": text}, server, token, shown)


def phase(
    incident: Id,
    to: Annotated[
        str, typer.Argument(metavar="PHASE", help="investigating, fixing, monitoring, reviewed.")
    ],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Move an incident to another phase."""
    _act(incident, "phase", {"phase": to}, server, token, shown)


def severity(
    incident: Id,
    level: Annotated[str, typer.Argument(help="A level of the runbook, such as P1.")],
    because: Annotated[str, typer.Option(help="Why it is right; stands on the timeline.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Grade an incident; this outweighs what the runbook made of it."""
    _act(incident, "severity", {"severity": level, "because": because}, server, token, shown)


def resolve(
    incident: Id,
    because: Annotated[str, typer.Option(help="What ended it.")] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Say that an incident is over: nobody is paged any more."""
    _act(incident, "resolve", {"because": because} if because else {}, server, token, shown)


def reopen(
    incident: Id,
    because: Annotated[str, typer.Option(help="Why it was not over.")] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Say that an incident was not over: the clocks of its escalation start again."""
    _act(incident, "reopen", {"because": because} if because else {}, server, token, shown)


def timeline(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Tell what happened, oldest first, with the runbook lines that decided it."""
    answer = Remote(server, token).get(_path(incident, "timeline"))
    if shown is Format.JSON:
        print_json(answer)
        return
    print_table(
        ("AT", "WHAT", "BY"),
        [
            (
                when(entry["at"]),
                entry["text"] + (f": {entry['words']}" if entry["words"] else ""),
                entry["who"] or _cited(entry),
            )
            for entry in answer["timeline"]
        ],
    )


def postmortem(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Print the post-mortem as drafted now, in Markdown."""
    answer = Remote(server, token).get(_path(incident, "postmortem"))
    if shown is Format.JSON:
        print_json(answer)
    else:
        typer.echo(without_controls(answer["markdown"]).rstrip("\n"))


def deliveries(
    incident: Annotated[
        str, typer.Option(metavar="ID", help='Only of this incident, "INC-7" or just "7".')
    ] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List the pages and notices that were sent, newest first, with what the channel answered."""
    query = [("incident", _name(incident))] if incident else []
    remote = Remote(server, token)
    answer = remote.get("deliveries", query)
    if incident and not answer["deliveries"]:
        remote.get(_path(incident))  # "Nothing" would hide that there is no such incident.
    if shown is Format.JSON:
        print_json(answer)
        return
    rows = [
        (
            each["incident"] or "test",
            each["to"],
            _by(each["contact"], each["to"]),
            each["state"],
            str(each["attempts"]),
            each["detail"] or "-",
            when(each["updated_at"]),
        )
        for each in answer["deliveries"]
    ]
    if rows:
        print_table(("ID", "TO", "BY", "STATE", "ATTEMPTS", "DETAIL", "WHEN"), rows)
    else:
        typer.echo("Nothing was sent.")


def login(
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Print a link like the one that serve prints: whoever opens it is an admin, once."""
    answer = Remote(server, token).post("sign-in-links", {})
    if shown is Format.JSON:
        print_json(answer)
        return
    typer.echo(plain(answer["url"]))
    typer.echo(f"It signs one browser in, once, until {when(answer['expires_at'])}.", err=True)


# -- Shared steps ----------------------------------------------------------------------------------


def _act(
    incident: str, act: str, body: dict[str, object], server: str, token: str, shown: Format
) -> None:
    _print_incident(Remote(server, token).post(_path(incident, act), body), shown)


def _path(incident: str, part: str = "") -> str:
    """Return the path of an incident, or of a part of it."""
    return f"incidents/{quote(_name(incident), safe='')}" + (f"/{part}" if part else "")


def _name(incident: str) -> str:
    """Return the id of an incident; "7" and "inc-7" mean INC-7."""
    name = f"INC-{incident}" if incident.isdecimal() else incident
    return name.upper() if name.lower().startswith("inc-") else name


# -- Printing --------------------------------------------------------------------------------------


def _print_incident(answer: dict[str, Any], shown: Format) -> None:
    if shown is Format.JSON:
        print_json(answer)
        return
    if "phase" not in answer:
        typer.echo(f"{plain(answer['id'])} is declared.")
        return
    for line in _about(answer):
        typer.echo(line)


def _about(incident: dict[str, Any]) -> list[str]:
    lines = [f"{incident['id']}  {incident['severity'] or '-'}  {incident['title']}"]
    because = incident["severity_because"]
    if because:
        words = ", ".join(because["words"]) if because["because"] != "label" else ""
        lines.append(because["sentence"] + (f" Matched {words}." if words else ""))
    state = [incident["phase"], f"service {incident['service']}"]
    state.append(f"opened {when(incident['opened_at'])}")
    counts = incident["alert_counts"]
    if counts["total"]:
        state.append(f"{counts['firing']} of {counts['total']} alerts firing")
    lines.append(", ".join(state))
    if incident["acknowledged_at"]:
        lines.append(
            f"acknowledged {when(incident['acknowledged_at'])} by {incident['acknowledged_by']}"
        )
    if incident["resolved_at"]:
        lines.append(f"resolved {when(incident['resolved_at'])}")
    if incident["play"]:
        lines.append(f"scenario: {incident['play']}")
    if incident["holds"]:
        lines.append(f"escalation waits: {', '.join(incident['holds'])}")
    return [plain(line) for line in lines]


def _within(sentence: str) -> str:
    """Return a sentence as it stands inside another: it begins with a small letter."""
    return sentence[:1].lower() + sentence[1:]


def _by(contact: str, to: str) -> str:
    """Return how a delivery went: the contact, or just its kind where ``to`` is its address."""
    kind, _, address = contact.partition(":")
    return kind if address == to else contact or "-"


def _cited(entry: dict[str, Any]) -> str:
    """Return the runbook line as ``name:line``: a whole path would leave a table no room."""
    return f"{Path(entry['file']).name}:{entry['line']}" if entry["line"] is not None else ""
